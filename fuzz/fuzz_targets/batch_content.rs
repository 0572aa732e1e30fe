//! `parsers::batch_content` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::batch_content(data);
});
