//! `parsers::fhir_export_file` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::fhir_export_file(data);
});
