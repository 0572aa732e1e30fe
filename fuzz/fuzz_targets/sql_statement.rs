//! `parsers::sql_statement` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parsers::sql_statement(data);
});
