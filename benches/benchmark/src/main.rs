//! `cargo xtask bench`: measures the two programs as their users run them.

mod arguments;
mod bench;
mod error;
mod peers;
mod processes;
mod rest;
mod say;

use std::process::ExitCode;

use arguments::Action;
use error::Error;

fn main() -> ExitCode {
    match arguments::read(lexopt::Parser::from_env()).and_then(|action| run(&action)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::complain(&error.to_string());
            ExitCode::from(if matches!(error, Error::Usage(_)) {
                2
            } else {
                1
            })
        }
    }
}

fn run(action: &Action) -> Result<(), Error> {
    match action {
        Action::Help => {
            say::line(arguments::HELP);
            Ok(())
        }
        Action::Measure(options) => {
            tokio::runtime::Runtime::new()
                .map_err(Error::io("start the runtime"))?
                .block_on(async {
                    // Dropping the work ends the servers and removes what was made.
                    tokio::select! {
                        done = bench::bench(options) => done,
                        _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
                    }
                })
        }
    }
}
