//! The `clinic-gateway` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    clinic_gateway::cli::main()
}
