//! `cargo xtask`: the project's chores.

mod arguments;
mod bench;
mod error;
mod peers;
mod processes;
mod rest;
mod say;

use std::process::ExitCode;

use arguments::Chore;
use error::Error;

fn main() -> ExitCode {
    match arguments::read(lexopt::Parser::from_env()).and_then(|chore| run(&chore)) {
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

fn run(chore: &Chore) -> Result<(), Error> {
    match chore {
        Chore::Help(text) => {
            say::line(text);
            Ok(())
        }
        Chore::Bench(options) => {
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
