//! The `city-registry` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    registry::cli::main()
}
