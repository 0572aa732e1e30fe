//! Mutual TLS, and its faults in words.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use key_client::{KeyClient, KeyClientError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::double::{Behaviour, Double, blinding, read};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate, key)
    }

    /// Writes a certificate of this authority and its key.
    fn write_client(&self, folder: &Path, certificate_file: &str, key_file: &str) {
        let (certificate, key) = self.sign("client");
        std::fs::write(folder.join(certificate_file), certificate.pem()).unwrap();
        write_private(folder, key_file, &key.serialize_pem());
    }
}

fn write_private(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Folder with a client's certificate and key under these names.
pub(crate) fn folder_with_client(certificate_file: &str, key_file: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    Authority::new("of clients").write_client(folder.path(), certificate_file, key_file);
    folder
}

/// Writes a key that belongs to no certificate.
pub(crate) fn write_other_key(folder: &Path, name: &str) {
    let key = KeyPair::generate().unwrap();
    write_private(folder, name, &key.serialize_pem());
}

/// Speaks TLS in front of a double, and lets in who shows a certificate of the authority.
async fn front(double: &Double, service: &Authority, clients: &Authority) -> u16 {
    front_of(double, service, clients, rustls::DEFAULT_VERSIONS).await
}

/// The same, with these versions of TLS alone.
async fn front_of(
    double: &Double,
    service: &Authority,
    clients: &Authority,
    versions: &[&'static SupportedProtocolVersion],
) -> u16 {
    let mut roots = RootCertStore::empty();
    roots.add(clients.certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let (certificate, key) = service.sign("localhost");
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = double.port;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut behind = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                let _ended = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
            });
        }
    });
    port
}

/// Client with the files of a folder: `ca.pem`, `client.pem`, `client.key`.
fn client(url: &str, double: &Double, folder: &Path) -> KeyClient {
    let text = format!(
        "[[services]]\nurl = \"{url}\"\nca_file = \"ca.pem\"\ncertificate = \
         \"client.pem\"\nprivate_key = {{ file = \"client.key\" }}\n{}",
        double.pinned()
    );
    KeyClient::new(&read(&text), folder).unwrap()
}

fn folder(trusted: &Authority, clients: &Authority) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), trusted.certificate.pem()).unwrap();
    clients.write_client(folder.path(), "client.pem", "client.key");
    folder
}

async fn misconfigured(client: &KeyClient) -> (String, String) {
    match client.evaluate(blinding(), 1).await {
        Err(KeyClientError::Misconfigured { what, help }) => (what, help),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_service_is_asked_by_mutual_tls_and_mistakes_are_told_apart() {
    let double = Double::start(&[Behaviour::Right]).await;
    let services = Authority::new("of services");
    let clients = Authority::new("of clients");
    let stranger = Authority::new("of somebody else");
    let port = front(&double, &services, &clients).await;
    let url = format!("https://localhost:{port}");

    let good = folder(&services, &clients);
    let good = client(&url, &double, good.path());
    // Twice: the second one goes over the kept connection.
    for _ in 0..2 {
        assert_eq!(good.evaluate(blinding(), 1).await.unwrap().len(), 2);
    }
    assert_eq!(double.asked().len(), 2);

    let files = folder(&stranger, &clients);
    let (what, _) = misconfigured(&client(&url, &double, files.path())).await;
    let expected = format!("the certificate of the key service localhost:{port} is self-signed");
    assert!(what.starts_with(&expected), "{what}");

    let files = folder(&services, &stranger);
    let (what, help) = misconfigured(&client(&url, &double, files.path())).await;
    assert!(
        what.contains("wants a client certificate it trusts"),
        "{what}"
    );
    assert!(help.contains("certificate and private_key"), "{help}");

    let files = folder(&services, &clients);
    let by_address = format!("https://127.0.0.1:{port}");
    let (what, _) = misconfigured(&client(&by_address, &double, files.path())).await;
    assert!(
        what.starts_with("the certificate of the key service"),
        "{what}"
    );

    let no_tls = format!("https://localhost:{}", double.port);
    let (what, help) = misconfigured(&client(&no_tls, &double, files.path())).await;
    assert!(what.starts_with("no TLS is spoken at"), "{what}");
    assert!(help.contains("url"), "{help}");
    // Only what a good client asked has arrived.
    assert_eq!(double.asked().len(), 2);
}

#[tokio::test]
async fn a_service_that_knows_tls_1_2_alone_is_refused() {
    let double = Double::start(&[Behaviour::Right]).await;
    let services = Authority::new("of services");
    let clients = Authority::new("of clients");
    let old = [&rustls::version::TLS12];
    let port = front_of(&double, &services, &clients, &old).await;
    let files = folder(&services, &clients);
    let url = format!("https://localhost:{port}");
    let (what, help) = misconfigured(&client(&url, &double, files.path())).await;
    assert!(what.contains(&format!("localhost:{port}")), "{what}");
    assert!(help.starts_with("enable TLS 1.3 there"), "{help}");
    assert!(double.asked().is_empty());
}
