//! `parsers::pass_cose` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::pass_cose(data);
});
