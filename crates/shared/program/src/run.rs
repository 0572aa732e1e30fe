//! Runtime of a program, and its end.

use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::{Failure, core_dumps, memory_lock, terminal};

/// Time that blocking calls get to return once the command is done.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs a command to its end on a runtime of its own, prints its failure, and returns the exit code
/// of the process. No core dump is written of it, and where the limit of locked memory is infinite
/// none of its memory is swapped out.
pub fn run(command: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    core_dumps::forbid();
    // What failed is told when there is a log.
    let _locked = memory_lock::lock();
    fault::arm_from_environment();
    match block_on(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::print_error(failure.message());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::Later(format!("the runtime cannot be started: {}", error.kind()))
        })?;
    let result = runtime.block_on(command);
    // A blocking call that hangs (a stalled disk) must not keep the process from ending.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    result
}
