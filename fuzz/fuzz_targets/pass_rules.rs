//! `parsers::pass_rules` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::pass_rules(data);
});
