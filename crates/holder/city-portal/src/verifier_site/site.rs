//! The site as a whole, opened from its configuration.

use std::path::Path;
use std::sync::Arc;

use clock::Clock;

use super::page_folder::{PageFolder, PageFolderMistake};
use super::publication::Publication;
use super::root::{self, PinnedRoot, RootMistake};
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
    pub(super) root: Arc<PinnedRoot>,
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
        let root = Arc::new(root::read(&base.join(&config.root))?);
        Ok(Arc::new(Self {
            page: PageFolder::read(&base.join(&config.page))?,
            root: Arc::clone(&root),
            registry,
            publication: Publication::new(root),
            clock,
        }))
    }

    /// Returns whether the page will accept a trust bundle of the registry: it is signed by the root
    /// that the page pins, for its issuer.
    #[must_use]
    pub fn accepts(&self, bundle: &[u8]) -> bool {
        self.root.signs(bundle)
    }
}
