//! The site as a whole: opened from its configuration, and served.

use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use clock::Clock;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::page_folder::{PageFolder, PageFolderMistake};
use super::publication::Publication;
use super::root::{self, RootMistake};
use super::routes::router;
use crate::config::VerifierConfig;
use crate::http::serve_router;
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

    /// Answers browsers until `stop` is cancelled; by TLS where an acceptor is given.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        stop: CancellationToken,
    ) {
        let is_https = tls.is_some();
        serve_router(router(self), is_https, listener, tls, stop).await;
    }
}
