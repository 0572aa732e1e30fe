//! `parsers::batch_frame` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::batch_frame(data);
});
