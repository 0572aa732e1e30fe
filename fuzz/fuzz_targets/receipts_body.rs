//! `parsers::receipts_body` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::receipts_body(data);
});
