//! `parsers::gateway_settings` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::gateway_settings(data);
});
