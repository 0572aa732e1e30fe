//! State file of the gateway, as commands read it beside a running gateway.

use std::path::PathBuf;

use outbox::{OutboxError, OutboxReader};
use program::Failure;

use crate::config::LoadedConfig;
use crate::gateway::StartError;

/// Returns the path of the state file.
pub(super) fn path(loaded: &LoadedConfig) -> PathBuf {
    loaded.base.join(&loaded.config.outbox.path)
}

/// Opens the state file for reading. One that does not exist yet is no matter of configuration.
pub(super) async fn open(loaded: &LoadedConfig) -> Result<OutboxReader, Failure> {
    match OutboxReader::open(&path(loaded)).await {
        Err(error @ OutboxError::Missing) => Err(Failure::later(error)),
        reader => Ok(reader.map_err(StartError::from)?),
    }
}
