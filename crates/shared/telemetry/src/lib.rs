//! Signals that a running program gives of itself: logs, metrics, health, and what its disks are
//! like.

mod disk;
mod flat_json;
mod health;
mod listen;
mod logs;

#[cfg(feature = "http")]
mod endpoint;
#[cfg(feature = "http")]
mod server;

pub use disk::{Disk, DiskState};
#[cfg(feature = "http")]
pub use endpoint::{Endpoint, ListenError, try_address};
pub use health::{Health, HealthPart};
pub use listen::{ListenConfig, shared_address_mistake};
pub use logs::{LogConfig, LogError, LogFormat, init_logs};
