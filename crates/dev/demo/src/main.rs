//! `cargo demo`: two unlike clinics, a gateway each, a queue and a city registry in one process,
//! from nothing.

mod arguments;
mod citizens;
mod clinics;
mod files;
mod fsb;
mod fso;
mod guesses;
mod operators;
mod portal;
mod print;
mod relayed;
#[cfg(feature = "serve")]
mod serve;
mod servers;
mod show;
mod stage;
mod stolen_tokens;
mod story;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match arguments::read() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(message) => return fail(&message, 2),
    };
    if let Some(code) = servers::build_with_them_if_needed(&arguments) {
        return code;
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime cannot be started: {error}"), 1),
    };
    match runtime.block_on(story::play(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message, 1),
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    print::print_error(message);
    ExitCode::from(code)
}
