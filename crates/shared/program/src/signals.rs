//! Signals that ask a program to stop, and the one that must not end a daemon.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Failure;

/// Returns a token for a command in the foreground: the first SIGTERM, SIGINT or SIGHUP cancels it.
/// A second SIGTERM or SIGINT ends the process at once, with exit code 1. A SIGHUP that was ignored
/// when the program started (`nohup`) stays so.
///
/// # Errors
/// [`Failure::Later`]: the operating system does not let signals be listened to.
pub fn stop_on_signal() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    if !hangup_is_ignored() {
        let mut hangup = listen(SignalKind::hangup())?;
        let stopper = stop.clone();
        tokio::spawn(async move {
            hangup.recv().await;
            tracing::warn!(
                event = "hangup",
                "SIGHUP: the terminal has gone, so the command stops"
            );
            stopper.cancel();
            // Another one, of the shell beside the terminal's, asks for nothing more.
            while hangup.recv().await.is_some() {}
        });
    }
    stop_on_termination(&stop)?;
    Ok(stop)
}

/// Signals of a daemon: SIGTERM and SIGINT stop it, SIGHUP does not.
pub struct DaemonSignals {
    hangup: Signal,
}

impl DaemonSignals {
    /// Lets SIGHUP end the program no more. To be called first of all, before the configuration is
    /// read.
    ///
    /// # Errors
    /// [`Failure::Later`]: the operating system does not let signals be listened to.
    pub fn listen() -> Result<Self, Failure> {
        let hangup = listen(SignalKind::hangup())?;
        Ok(Self { hangup })
    }

    /// Returns a token that the first SIGTERM or SIGINT cancels, a second one ends the process at
    /// once. A SIGHUP, also one that came before, is answered with a line of the log, which has to
    /// be started by now.
    ///
    /// # Errors
    /// [`Failure::Later`]: the operating system does not let signals be listened to.
    pub fn stop(self) -> Result<CancellationToken, Failure> {
        let mut hangup = self.hangup;
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                tracing::warn!(
                    event = "hangup-ignored",
                    "SIGHUP is ignored: the configuration is not read again while the program \
                     runs; restart it, for a changed one to hold"
                );
            }
        });
        let stop = CancellationToken::new();
        stop_on_termination(&stop)?;
        Ok(stop)
    }
}

fn stop_on_termination(stop: &CancellationToken) -> Result<(), Failure> {
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let stopper = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        stopper.cancel();
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(1);
    });
    Ok(())
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind)
        .map_err(|error| Failure::Later(format!("signals cannot be listened to: {}", error.kind())))
}

/// Returns whether the program was started with SIGHUP ignored, as `nohup` does it; false where the
/// operating system does not say.
fn hangup_is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| ignored_signals(&status))
        .is_some_and(|ignored| ignored & 1 != 0)
}

/// Reads the mask of ignored signals (proc(5)); its lowest bit is SIGHUP, signal 1.
fn ignored_signals(status: &str) -> Option<u64> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_of_ignored_signals_is_read() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored_signals(status), Some(0x1001));
        assert_eq!(ignored_signals("Name:\tx\n"), None);
    }
}
