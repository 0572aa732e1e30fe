//! When a program is asked to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Calls `stop` at the first SIGTERM or SIGINT; a second one ends the process at once, with exit
/// code 1.
///
/// # Errors
/// What the operating system said when it would not let signals be listened to.
pub fn on_stop(stop: impl FnOnce() + Send + 'static) -> Result<(), std::io::ErrorKind> {
    let listen = |kind| signal(kind).map_err(|error| error.kind());
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        stop();
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(1);
    });
    Ok(())
}
