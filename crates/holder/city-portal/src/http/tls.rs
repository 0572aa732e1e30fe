//! Certificate of the page.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret;
use settings::{FileError, SecretError, read_regular_file};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsConfig;

/// Largest file of certificates, in bytes.
const MAX_CERTIFICATES_BYTES: u64 = 1024 * 1024;

/// Protocol that is agreed on within TLS.
const HTTP_1: &[u8] = b"http/1.1";

/// Mistake in `[portal.tls]`.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// File of certificates that cannot be read.
    #[error("portal.tls.certificate_file: {path} cannot be read: {error}")]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Reason.
        error: FileError,
    },
    /// File that holds no certificate.
    #[error(
        "portal.tls.certificate_file holds no certificate; {}",
        tls_fault::CERTIFICATE_FORM
    )]
    NoCertificate,
    /// Key that cannot be read.
    #[error("portal.tls.key: {0}")]
    Secret(#[from] SecretError),
    /// File of the key that holds none.
    #[error(
        "portal.tls.key holds no private key in PEM form; it starts with -----BEGIN PRIVATE \
         KEY-----, without a pass phrase"
    )]
    NoKey,
    /// Certificate and key that do not fit each other.
    #[error(
        "portal.tls: certificate_file and key do not belong together; give the certificate made \
         for this key first"
    )]
    Pair,
}

/// Reads the files, and makes what accepts connections. Relative paths start from `base`.
///
/// # Errors
/// [`TlsError`].
pub fn acceptor(config: &TlsConfig, base: &Path) -> Result<TlsAcceptor, TlsError> {
    let path = base.join(&config.certificate_file);
    let pem = read_regular_file(&path, MAX_CERTIFICATES_BYTES)
        .map_err(|error| TlsError::Unreadable { path, error })?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let key = config.key.read(base)?;
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
        .map_err(|_| TlsError::NoKey)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|_| TlsError::Pair)?;
    server.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}
