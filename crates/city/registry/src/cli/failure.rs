//! Conversions of the registry's errors into failures of a command.

use program::Failure;

use crate::registry::OpenRegistryError;
use crate::{ConsumeError, KeysError, StoreError};

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        Self::change(error)
    }
}

impl From<OpenRegistryError> for Failure {
    fn from(error: OpenRegistryError) -> Self {
        if error.is_misconfigured() {
            Self::change(error)
        } else {
            Self::later(error)
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        OpenRegistryError::Store(error).into()
    }
}

impl From<ConsumeError> for Failure {
    fn from(error: ConsumeError) -> Self {
        match error {
            ConsumeError::Queue(error) => OpenRegistryError::Queue(error).into(),
            ConsumeError::Store(error) => error.into(),
        }
    }
}
