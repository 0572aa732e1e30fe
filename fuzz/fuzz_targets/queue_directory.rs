//! `parsers::queue_directory` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::queue_directory(data);
});
