//! Tests of reading rules.
