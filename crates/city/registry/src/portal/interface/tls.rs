//! Certificates of the portal's interface: the server's, and the authorities of its clients'.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use secrecy::ExposeSecret;
use settings::{FileError, SecretError, read_private_file, read_regular_file};
use tokio_rustls::TlsAcceptor;

use super::TlsConfig;

/// Largest file of certificates, in bytes.
const MAX_CERTIFICATES_BYTES: u64 = 1024 * 1024;

/// Protocol that is agreed on within TLS.
const HTTP_1: &[u8] = b"http/1.1";

/// Mistake in `[portal.tls]`.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// File of certificates that cannot be read.
    #[error("portal.tls.{setting}: {path} cannot be read: {error}")]
    Unreadable {
        /// Name of the setting.
        setting: &'static str,
        /// Path of the file.
        path: PathBuf,
        /// Reason.
        error: FileError,
    },
    /// File that holds no certificate.
    #[error(
        "portal.tls.{setting}: {path} holds no certificate in PEM form; it starts with \
         -----BEGIN CERTIFICATE-----"
    )]
    NoCertificate {
        /// Name of the setting.
        setting: &'static str,
        /// Path of the file.
        path: PathBuf,
    },
    /// Key that cannot be read.
    #[error("portal.tls.key_file: {0}")]
    Secret(#[from] SecretError),
    /// File of the key that holds none.
    #[error(
        "portal.tls.key_file holds no private key in PEM form; it starts with \
         -----BEGIN PRIVATE KEY-----, without a pass phrase"
    )]
    NoKey,
    /// Authority that cannot be one.
    #[error("portal.tls.client_ca_file holds a certificate that cannot be an authority's")]
    Authority,
    /// Certificate and key that do not fit each other.
    #[error(
        "portal.tls: certificate_file and key_file do not belong together; give the certificate \
         made for this key first"
    )]
    Pair,
}

/// Reads the files, and makes what accepts connections. Relative paths start from `base`.
pub(super) fn acceptor(config: &TlsConfig, base: &Path) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in certificates("client_ca_file", &base.join(&config.client_ca_file))? {
        roots.add(authority).map_err(|_| TlsError::Authority)?;
    }
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|_| TlsError::Authority)?;
    let chain = certificates("certificate_file", &base.join(&config.certificate_file))?;
    let pem = read_private_file(&base.join(&config.key_file))?;
    let key = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
        .map_err(|_| TlsError::NoKey)?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Pair)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(|_| TlsError::Pair)?;
    server.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read_regular_file(path, MAX_CERTIFICATES_BYTES).map_err(|error| {
        let path = path.to_owned();
        TlsError::Unreadable {
            setting,
            path,
            error,
        }
    })?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    if found.is_empty() {
        let path = path.to_owned();
        return Err(TlsError::NoCertificate { setting, path });
    }
    Ok(found)
}
