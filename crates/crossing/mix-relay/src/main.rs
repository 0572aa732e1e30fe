//! Program `mix-relay`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mix_relay::cli::main()
}
