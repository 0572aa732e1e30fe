//! The program `city-portal`.

use std::process::ExitCode;

fn main() -> ExitCode {
    city_portal::cli::main()
}
