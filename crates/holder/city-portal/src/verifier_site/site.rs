//! The site as a whole, opened from its configuration.

use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use clock::Clock;

use super::page_folder::{PageFolder, PageFolderMistake};
use super::publication::Publication;
use super::root::{self, RootMistake};
use crate::config::VerifierConfig;
use crate::registry::RegistryClient;

/// Mistake in `[verifier]`, or in a file that it names.
#[derive(Debug, thiserror::Error)]
pub enum VerifierMistake {
    /// Folder that is no verifier page.
    #[error(transparent)]
    Page(#[from] PageFolderMistake),
    /// File that names no root.
    #[error(transparent)]
    Root(#[from] RootMistake),
}

/// Verifier page with what it fetches.
pub struct VerifierSite {
    pub(super) page: PageFolder,
    pub(super) root: Bytes,
    pub(super) registry: Arc<RegistryClient>,
    pub(super) publication: Publication,
    pub(super) clock: Arc<dyn Clock>,
}

impl VerifierSite {
    /// Reads the page and the root. Relative paths start from `base`.
    ///
    /// # Errors
    /// [`VerifierMistake`].
    pub fn open(
        config: &VerifierConfig,
        base: &Path,
        registry: Arc<RegistryClient>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, VerifierMistake> {
        Ok(Arc::new(Self {
            page: PageFolder::read(&base.join(&config.page))?,
            root: root::read(&base.join(&config.root))?,
            registry,
            publication: Publication::default(),
            clock,
        }))
    }
}
