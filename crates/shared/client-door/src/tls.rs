//! Certificates of a door: the server's, and the authorities of its clients'.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig};
use secrecy::ExposeSecret;
use settings::{FileError, SecretError, read_private_file, read_regular_file};
use tokio_rustls::TlsAcceptor;

use crate::{SettingNames, TlsConfig};

/// Largest file of certificates, in bytes.
const MAX_CERTIFICATES_BYTES: u64 = 1024 * 1024;

/// Protocol that is agreed on within TLS.
const HTTP_1: &[u8] = b"http/1.1";

/// Mistake in the section of TLS, whose name stands before each setting.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// File of certificates that cannot be read.
    #[error("{section}.{setting}: {path} cannot be read: {error}")]
    Unreadable {
        /// Name of the section.
        section: &'static str,
        /// Name of the setting.
        setting: &'static str,
        /// Path of the file.
        path: PathBuf,
        /// Reason.
        error: FileError,
    },
    /// File that holds no certificate.
    #[error(
        "{section}.{setting}: {path} holds no certificate in PEM form; it starts with \
         -----BEGIN CERTIFICATE-----"
    )]
    NoCertificate {
        /// Name of the section.
        section: &'static str,
        /// Name of the setting.
        setting: &'static str,
        /// Path of the file.
        path: PathBuf,
    },
    /// Key that cannot be read.
    #[error("{section}.key_file: {error}")]
    Secret {
        /// Name of the section.
        section: &'static str,
        /// Reason.
        error: SecretError,
    },
    /// File of the key that holds none.
    #[error(
        "{section}.key_file holds no private key in PEM form; it starts with \
         -----BEGIN PRIVATE KEY-----, without a pass phrase"
    )]
    NoKey {
        /// Name of the section.
        section: &'static str,
    },
    /// Authority that cannot be one.
    #[error("{section}.client_ca_file holds a certificate that cannot be an authority's")]
    Authority {
        /// Name of the section.
        section: &'static str,
    },
    /// Certificate and key that do not fit each other.
    #[error(
        "{section}: certificate_file and key_file do not belong together; give the certificate \
         made for this key first"
    )]
    Pair {
        /// Name of the section.
        section: &'static str,
    },
}

/// Reads the files, and makes what accepts connections. Relative paths start from `base`.
pub(crate) fn acceptor(
    config: &TlsConfig,
    base: &Path,
    names: SettingNames,
) -> Result<TlsAcceptor, TlsError> {
    let section = names.tls;
    let authority = |_| TlsError::Authority { section };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    let client_ca = base.join(&config.client_ca_file);
    for certificate in certificates(section, "client_ca_file", &client_ca)? {
        roots.add(certificate).map_err(authority)?;
    }
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|_| TlsError::Authority { section })?;
    let chain = base.join(&config.certificate_file);
    let chain = certificates(section, "certificate_file", &chain)?;
    let pem = read_private_file(&base.join(&config.key_file))
        .map_err(|error| TlsError::Secret { section, error })?;
    let key = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
        .map_err(|_| TlsError::NoKey { section })?;
    let pair = |_| TlsError::Pair { section };
    // In TLS 1.2 whoever listens would read the clients' certificates, which name them.
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(pair)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(pair)?;
    server.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

fn certificates(
    section: &'static str,
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read_regular_file(path, MAX_CERTIFICATES_BYTES).map_err(|error| {
        let path = path.to_owned();
        TlsError::Unreadable {
            section,
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
        return Err(TlsError::NoCertificate {
            section,
            setting,
            path,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NAMES: SettingNames = SettingNames {
        address: "service.listen",
        tls: "service.tls",
    };

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }

    /// Writes `a.pem` and `a.key`, and returns settings that name them.
    fn files(folder: &Path) -> TlsConfig {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        write(folder, "a.pem", &signed.cert.pem());
        write(folder, "a.key", &signed.signing_key.serialize_pem());
        TlsConfig {
            certificate_file: "a.pem".into(),
            key_file: "a.key".into(),
            client_ca_file: "a.pem".into(),
        }
    }

    /// Result of reading the files `a.pem`, `a.key` and `a.pem`, after a change of them.
    fn opened(change: impl FnOnce(&Path)) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let config = files(folder.path());
        change(folder.path());
        let opened = acceptor(&config, folder.path(), NAMES);
        opened.map(drop).map_err(|error| error.to_string())
    }

    /// First messages of both sides, where the client knows these versions alone.
    fn greeted(
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Result<(), rustls::Error> {
        let folder = tempfile::tempdir().unwrap();
        let config = files(folder.path());
        let door = acceptor(&config, folder.path(), NAMES).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        let mut server = rustls::ServerConnection::new(Arc::clone(door.config())).unwrap();
        server.read_tls(&mut hello.as_slice()).unwrap();
        server.process_new_packets().map(drop)
    }

    #[test]
    fn only_the_version_that_hides_certificates_is_spoken() {
        greeted(&[&TLS13]).unwrap();
        let refused = greeted(&[&rustls::version::TLS12]).unwrap_err();
        assert!(
            matches!(refused, rustls::Error::PeerIncompatible(_)),
            "{refused}"
        );
    }

    #[test]
    fn files_that_fit_are_taken_and_others_named_by_their_setting() {
        assert_eq!(opened(|_| {}), Ok(()));
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let said = |change: &dyn Fn(&Path)| opened(change).unwrap_err();
        let told = said(&|folder| write(folder, "a.key", &other));
        assert!(told.starts_with("service.tls: ") && told.contains("do not belong together"));
        let told = said(&|folder| write(folder, "a.key", "no key"));
        assert!(told.starts_with("service.tls.key_file "), "{told}");
        let told = said(&|folder| std::fs::remove_file(folder.join("a.key")).unwrap());
        assert!(told.starts_with("service.tls.key_file: "), "{told}");
        let told = said(&|folder| write(folder, "a.pem", &other));
        assert!(told.starts_with("service.tls.client_ca_file: "), "{told}");
    }
}
