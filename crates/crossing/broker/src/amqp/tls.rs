//! TLS for `amqps://`: the authorities to trust and the certificate to show, through rustls with
//! ring.

use std::io;
use std::path::Path;
use std::sync::Arc;

use lapin::tcp::{RustlsConnector, RustlsConnectorConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;
use settings::{FileError, SecretSource};

use crate::{BrokerError, TlsConfig};

/// Largest certificate file, in bytes. One certificate takes a few kilobytes, a system's bundle a
/// few hundred.
const MAX_CERTIFICATES_BYTES: u64 = 4 * 1024 * 1024;

/// Reads the certificate files, and makes the connector for `amqps://` (`encrypted`); none for
/// `amqp://`. Relative paths start from `base`.
pub(super) fn connector(
    config: &TlsConfig,
    encrypted: bool,
    base: &Path,
) -> Result<Option<RustlsConnector>, BrokerError> {
    if !encrypted {
        if *config != TlsConfig::default() {
            return Err(BrokerError::misconfigured(
                "[queue.amqp.tls] is set, but `url` starts with amqp://",
                "start it with amqps://, or remove the section",
            ));
        }
        return Ok(None);
    }
    match (&config.cert_file, &config.key) {
        (None, None) => without_certificate(config, base).map(Some),
        (Some(file), Some(key)) => with_certificate(config, file, key, base).map(Some),
        _ => Err(BrokerError::misconfigured(
            "only one of `cert_file` and `key` is set in [queue.amqp.tls]",
            "a client certificate needs both",
        )),
    }
}

/// Connector that shows no certificate; the broker may be an old one that knows TLS 1.2 alone.
fn without_certificate(config: &TlsConfig, base: &Path) -> Result<RustlsConnector, BrokerError> {
    let trusted = match &config.ca_file {
        Some(file) => RustlsConnectorConfig::default()
            .with_parsable_certificates(certificates("ca_file", &base.join(file))?),
        None => RustlsConnectorConfig::new_with_native_certs().map_err(|_| {
            BrokerError::misconfigured(
                "the operating system trusts no certificate authority",
                "install ca-certificates, or set `ca_file` in [queue.amqp.tls]",
            )
        })?,
    };
    trusted
        .connector_with_no_client_auth()
        .map_err(|_| no_authority())
}

/// Connector that shows a certificate. It speaks TLS 1.3 alone: in TLS 1.2 whoever listens would
/// read the certificate, which names the institution.
fn with_certificate(
    config: &TlsConfig,
    file: &Path,
    key: &SecretSource,
    base: &Path,
) -> Result<RustlsConnector, BrokerError> {
    // lapin's own way to the operating system's authorities takes no versions.
    let Some(authorities) = &config.ca_file else {
        return Err(BrokerError::misconfigured(
            "`cert_file` is set in [queue.amqp.tls], and `ca_file` is not",
            "name the file of the broker's authority; Debian's authorities are in \
             /etc/ssl/certs/ca-certificates.crt",
        ));
    };
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(certificates("ca_file", &base.join(authorities))?);
    if trusted.is_empty() {
        return Err(no_authority());
    }
    let chain = certificates("cert_file", &base.join(file))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|_| no_authority())?
        .with_root_certificates(trusted)
        .with_client_auth_cert(chain, private_key(key, base)?);
    let client = client.map_err(|_| {
        BrokerError::misconfigured(
            "the client certificate and its key in [queue.amqp.tls] do not belong together",
            "give the certificate made for this key first in `cert_file`",
        )
    })?;
    Ok(client.into())
}

fn no_authority() -> BrokerError {
    BrokerError::misconfigured(
        "no usable certificate authority was found",
        "set `ca_file` in [queue.amqp.tls] to the PEM file of the broker's authority",
    )
}

fn private_key(key: &SecretSource, base: &Path) -> Result<PrivateKeyDer<'static>, BrokerError> {
    let pem = key.read(base).map_err(|error| {
        BrokerError::misconfigured(
            error.to_string(),
            "it is the queue's client certificate key",
        )
    })?;
    PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes()).map_err(|_| {
        BrokerError::misconfigured(
            "`key` in [queue.amqp.tls] holds no private key in PEM form",
            "it starts with -----BEGIN PRIVATE KEY-----, without a pass phrase",
        )
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, FileError> {
    let bytes = settings::read_regular_file(path, MAX_CERTIFICATES_BYTES + 1)?;
    if bytes.len() as u64 > MAX_CERTIFICATES_BYTES {
        return Err(FileError::Io(io::ErrorKind::FileTooLarge));
    }
    Ok(bytes)
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, BrokerError> {
    let named = || format!("`{key}` in [queue.amqp.tls], {},", path.display());
    let pem = read_file(path).map_err(|error| {
        BrokerError::misconfigured(
            format!("{} cannot be read: {error}", named()),
            "it should be a PEM file that this program's user may read",
        )
    })?;
    let found = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .unwrap_or_default();
    if found.is_empty() {
        return Err(BrokerError::misconfigured(
            format!("{} holds no certificate in PEM form", named()),
            "it starts with -----BEGIN CERTIFICATE-----",
        ));
    }
    Ok(found)
}
