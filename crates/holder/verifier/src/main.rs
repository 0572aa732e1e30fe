//! The `pass` program: checks passes, and certificates of others, without network.

use std::process::ExitCode;

fn main() -> ExitCode {
    verifier::main()
}
