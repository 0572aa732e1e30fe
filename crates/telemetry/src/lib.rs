//! What an operator sees of either program: logs, metrics, health.

mod listen;
mod logs;

#[cfg(feature = "http")]
pub mod http;

pub use listen::ListenConfig;
pub use logs::{LogConfig, LogError, LogFormat, init_logs};
