//! `parsers::sealed_batch` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::sealed_batch(data);
});
