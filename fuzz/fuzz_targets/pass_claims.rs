//! `parsers::pass_claims` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::pass_claims(data);
});
