//! Configuration together with the place it came from.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::SettingsError;
use crate::file::load;

/// Configuration of type `C` and the file it was read from.
#[derive(Debug, Clone)]
pub struct Loaded<C> {
    /// File that the configuration was read from.
    pub path: PathBuf,
    /// Folder of the file; relative paths in the configuration start from it.
    pub base: PathBuf,
    /// Content of the file.
    pub config: C,
}

impl<C: DeserializeOwned> Loaded<C> {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`SettingsError`], whose text is a message for the person who wrote the file.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        Ok(Self {
            path: path.to_owned(),
            base: path.parent().map(Path::to_owned).unwrap_or_default(),
            config: load(path)?,
        })
    }
}
