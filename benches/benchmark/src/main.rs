//! `cargo xtask bench`: measures the programs as their users run them.

mod arguments;
mod clinics;
mod error;
mod http;
mod limits;
mod machine;
mod parts;
mod peers;
mod print;
mod processes;
mod report;
mod results;
mod run;
mod session;

use std::process::ExitCode;

use arguments::Action;
use error::Error;

fn main() -> ExitCode {
    match arguments::read(lexopt::Parser::from_env()).and_then(|action| perform(&action)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(&error.to_string());
            ExitCode::from(if matches!(error, Error::Usage(_)) {
                2
            } else {
                1
            })
        }
    }
}

fn perform(action: &Action) -> Result<(), Error> {
    match action {
        Action::Help => {
            print::result(arguments::HELP);
            Ok(())
        }
        Action::Measure(options) => tokio::runtime::Runtime::new()
            .map_err(Error::io("start the runtime"))?
            .block_on(async {
                // Dropping the work ends the servers and removes what was made.
                tokio::select! {
                    done = run::run(options) => done,
                    _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
                }
            }),
    }
}
