//! `parsers::sql_cells` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::sql_cells(data);
});
