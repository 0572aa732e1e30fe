//! `parsers::trust_bundle` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::trust_bundle(data);
});
