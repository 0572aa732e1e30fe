//! Where either program meets its operator: terminal, logs, metrics, health, stop signals.

mod flat_json;
mod listen;
mod logs;

#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http")]
pub mod signals;
pub mod terminal;

pub use listen::ListenConfig;
pub use logs::{LogConfig, LogError, LogFormat, init_logs};
