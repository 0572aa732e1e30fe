//! State of a publisher's connection, and the depth of the queue.

/// State of a publisher's connection to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueState {
    /// No connection was needed yet.
    Idle,
    /// Connected, and the broker takes messages.
    Connected,
    /// Connected, but the broker takes nothing: its memory or disk alarm is on.
    Blocked,
    /// No connection, or the last attempt failed.
    Down,
}

/// Numbers of messages in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait for a consumer; those handed out and not acknowledged are not counted.
    pub waiting: u64,
    /// Dead letters.
    pub dead: u64,
}

impl QueueState {
    /// State of a directory after this attempt to write into it.
    pub(crate) fn after<E>(outcome: &Result<(), E>) -> Self {
        match outcome {
            Ok(()) => Self::Connected,
            Err(_) => Self::Down,
        }
    }
}
