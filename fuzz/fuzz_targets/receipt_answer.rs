//! `parsers::receipt_answer` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::receipt_answer(data);
});
