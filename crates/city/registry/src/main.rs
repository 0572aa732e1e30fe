//! Program `city-registry`.

use std::process::ExitCode;

fn main() -> ExitCode {
    fault::arm_from_environment();
    registry::cli::main()
}
