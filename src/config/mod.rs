//! The gateway's configuration file: its types, and what must hold between them.

#[cfg(test)]
mod examples;
mod file;
mod fingerprint;
mod load;
mod registry;
mod release;
mod schedule;
mod schema;
mod source;

pub use file::{Config, KeysConfig, OutboxConfig, RelayConfig, SuiteName};
pub use fingerprint::{NoFingerprint, PseudonymFingerprint};
pub use load::{LoadedConfig, load, load_unfinished};
pub use registry::{ReceiptsMode, ReconcileConfig, RegistryConfig};
pub use release::{
    RecoveryReleaseConfig, ReleaseConfig, ReleaseMistake, ReleasePreset, TestReleaseConfig,
    VaccinationReleaseConfig,
};
pub use schedule::Schedule;
pub use schema::json_schema;
pub use source::{ConnectorSection, OnRefusedCorrection, SourceConfig, SweepConfig};
