//! What an operator sees of either program: logs, metrics, health.

mod logs;

#[cfg(feature = "http")]
pub mod http;

pub use logs::{LogConfig, LogError, LogFormat, init_logs};
