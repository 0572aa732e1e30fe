//! Program `key-service`.

use std::process::ExitCode;

fn main() -> ExitCode {
    key_service::cli::main()
}
