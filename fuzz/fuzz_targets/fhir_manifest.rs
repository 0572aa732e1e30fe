//! `parsers::fhir_manifest` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::fhir_manifest(data);
});
