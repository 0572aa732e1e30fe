//! The `pass` program: checks passes.

fn main() {}
