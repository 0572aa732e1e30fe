//! State of a daemon, told to systemd (`Type=notify` in its unit).

use sd_notify::NotifyState;

/// Tells systemd that the program has started.
pub fn notify_ready() {
    notify(NotifyState::Ready);
}

/// Tells systemd that the program is about to end.
pub fn notify_stopping() {
    notify(NotifyState::Stopping);
}

fn notify(state: NotifyState<'_>) {
    // Without systemd there is nobody to tell, which is no error.
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(event = "sd-notify", kind = ?error.kind());
    }
}
