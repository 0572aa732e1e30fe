//! TLS on both sides: with the registry by certificates of both, and with browsers.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::browser::{citizen, exchange, post};
use crate::double::{Behaviour, Double};
use crate::program::{Portal, TIMEOUT, configured, run, write_private};

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

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        roots
    }

    /// Writes the authority and a certificate of it, with its key.
    fn write(&self, folder: &Path, name: &str) {
        let (certificate, key) = self.sign(name);
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        write_private(folder, &format!("{name}.key"), &key.serialize_pem());
    }
}

/// Speaks TLS in front of a double, and lets in who shows a certificate of the authority.
async fn front(double: &Double, city: &Authority, clients: &Authority) -> u16 {
    front_of(double, city, clients, rustls::DEFAULT_VERSIONS).await
}

/// The same, with these versions of TLS alone.
async fn front_of(
    double: &Double,
    city: &Authority,
    clients: &Authority,
    versions: &[&'static SupportedProtocolVersion],
) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(
        Arc::new(clients.roots()),
        Arc::clone(&provider),
    );
    let (certificate, key) = city.sign("localhost");
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, PrivateKeyDer::Pkcs8(key.serialize_der().into()))
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

/// Portal that asks at the port by TLS, with these settings of `[registry]`.
async fn portal(port: u16, settings: &str, files: impl FnOnce(&Path)) -> Portal {
    let (folder, page, metrics) = configured(&format!("https://localhost:{port}"), "");
    files(folder.path());
    let path = folder.path().join("city-portal.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replacen(TIMEOUT, settings, 1);
    std::fs::write(&path, text).unwrap();
    Portal::start(folder, page, metrics).await
}

const BOTH: &str = "ca_file = \"city.pem\"\nclient_certificate = { cert_file = \"portal.pem\", key = \
                    { file = \"portal.key\" } }";

#[tokio::test]
async fn the_registry_is_asked_by_mutual_tls_and_mistakes_are_told_apart() {
    let double = Double::start(Behaviour::Entitled).await;
    let city = Authority::new("the city");
    let clients = Authority::new("the clients");
    let stranger = Authority::new("somebody else");
    let port = front(&double, &city, &clients).await;
    let write_city = |folder: &Path| {
        std::fs::write(folder.join("city.pem"), city.certificate.pem()).unwrap();
    };
    let good = portal(port, BOTH, |folder| {
        write_city(folder);
        clients.write(folder, "portal");
    });
    let good = good.await;
    let answer = post(good.port, "/api/status", &citizen()).await;
    assert_eq!(answer.outcome(), "status");

    let without = portal(port, "ca_file = \"city.pem\"", write_city).await;
    let answer = post(without.port, "/api/status", &citizen()).await;
    assert_eq!(answer.code(), "client-certificate");
    assert!(without.log().contains("registry.client_certificate"));

    let foreign = portal(port, BOTH, |folder| {
        write_city(folder);
        stranger.write(folder, "portal");
    });
    let foreign = foreign.await;
    let answer = post(foreign.port, "/api/status", &citizen()).await;
    assert_eq!(answer.code(), "client-certificate");

    let other_city = portal(port, BOTH, |folder| {
        std::fs::write(folder.join("city.pem"), stranger.certificate.pem()).unwrap();
        clients.write(folder, "portal");
    });
    let other_city = other_city.await;
    let answer = post(other_city.port, "/api/status", &citizen()).await;
    assert_eq!(answer.code(), "registry-certificate");
    assert!(other_city.log().contains("registry.ca_file"));
    assert_eq!(double.asked().len(), 1);
}

#[tokio::test]
async fn a_registry_that_knows_tls_1_2_alone_is_shown_no_certificate() {
    let double = Double::start(Behaviour::Entitled).await;
    let city = Authority::new("the city");
    let clients = Authority::new("the clients");
    let port = front_of(&double, &city, &clients, &[&rustls::version::TLS12]).await;
    let portal = portal(port, BOTH, |folder| {
        std::fs::write(folder.join("city.pem"), city.certificate.pem()).unwrap();
        clients.write(folder, "portal");
    });
    let portal = portal.await;
    let answer = post(portal.port, "/api/status", &citizen()).await;
    assert_eq!(answer.code(), "registry-certificate");
    let log = portal.log();
    assert!(log.contains("enable TLS 1.3 there"), "{log}");
    assert!(double.asked().is_empty());
}

#[tokio::test]
async fn a_certificate_without_its_key_ends_with_78() {
    let city = Authority::new("the city");
    let (folder, ..) = configured("https://localhost:9", "");
    let base = folder.path();
    std::fs::write(base.join("city.pem"), city.certificate.pem()).unwrap();
    city.write(base, "portal");
    let path = base.join("city-portal.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen(TIMEOUT, BOTH, 1)).unwrap();
    write_private(base, "portal.key", "no key");
    let (code, printed) = run(base, &["check"]);
    assert_eq!(code, Some(78), "{printed}");
    assert!(printed.contains("registry.client_certificate"), "{printed}");
}

#[tokio::test]
async fn browsers_are_answered_by_tls_where_there_is_a_certificate() {
    let double = Double::start(Behaviour::Entitled).await;
    let city = Authority::new("the city");
    let tls = "[portal.tls]\ncertificate_file = \"localhost.pem\"\nkey = { file = \
               \"localhost.key\" }\n";
    let (folder, port, metrics) = configured(&format!("http://127.0.0.1:{}", double.port), tls);
    city.write(folder.path(), "localhost");
    let portal = Portal::start(folder, port, metrics).await;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(city.roots())
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", portal.port))
        .await
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.unwrap();
    let answer = exchange(stream, "GET / HTTP/1.1\r\nHost: localhost\r\n", "").await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200);
    let strict = answer.header("strict-transport-security");
    assert_eq!(strict, Some("max-age=31536000"));
}
