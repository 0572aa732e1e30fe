//! Program `city-registry`.

use std::process::ExitCode;

fn main() -> ExitCode {
    registry::cli::main()
}
