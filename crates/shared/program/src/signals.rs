//! Signals that ask a program to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Failure;

/// Returns a token that the first SIGTERM or SIGINT cancels. A second one ends the process at once,
/// with exit code 1.
///
/// # Errors
/// [`Failure::Later`]: the operating system does not let signals be listened to.
pub fn stop_on_signal() -> Result<CancellationToken, Failure> {
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        stopper.cancel();
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(1);
    });
    Ok(stop)
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind)
        .map_err(|error| Failure::Later(format!("signals cannot be listened to: {}", error.kind())))
}
