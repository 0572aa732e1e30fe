//! Tests of mutual TLS: who is let in.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use registry::portal::{Door, DoorError, PortalConfig, TlsConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::http::{Answer, Served, exchange};
use super::question;
use crate::world::World;

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
}

fn write(folder: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Writes the portal's files, and returns its configuration.
fn configure(folder: &Path, city: &Authority, clients: &Authority) -> PortalConfig {
    let (certificate, key) = city.sign("localhost");
    write(folder, "portal.pem", &certificate.pem());
    write(folder, "portal.key", &key.serialize_pem());
    write(folder, "clients-ca.pem", &clients.certificate.pem());
    PortalConfig {
        tls: Some(TlsConfig {
            certificate_file: "portal.pem".into(),
            key_file: "portal.key".into(),
            client_ca_file: "clients-ca.pem".into(),
        }),
        ..PortalConfig::default()
    }
}

/// Asks over TLS, with a certificate where one is given.
async fn ask(
    served: &Served,
    city: &Authority,
    shown: Option<&(rcgen::Certificate, KeyPair)>,
) -> std::io::Result<Answer> {
    let mut roots = RootCertStore::empty();
    roots.add(city.certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
            let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let stream = TcpStream::connect(served.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    let body = question(1);
    let head = format!(
        "POST /v1/eligibility HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    exchange(stream, &head, &body).await
}

#[tokio::test]
async fn only_a_client_with_a_certificate_of_the_authority_is_answered() {
    let world = World::small().await;
    let city = Authority::new("the city");
    let clients = Authority::new("the clients");
    let stranger = Authority::new("somebody else");
    let mut config = configure(world.base(), &city, &clients);
    config.requests_per_hour = 1.try_into().unwrap();
    let served = Served::over(&world, config).await;
    let portal = clients.sign("portal-1");
    assert_eq!(
        ask(&served, &city, Some(&portal)).await.unwrap().status,
        200
    );
    assert!(ask(&served, &city, None).await.is_err());
    let other = stranger.sign("portal-1");
    assert!(ask(&served, &city, Some(&other)).await.is_err());
    let self_made = city.sign("portal-1");
    assert!(ask(&served, &city, Some(&self_made)).await.is_err());
    // Whoever speaks no TLS gets nothing.
    let plain = TcpStream::connect(served.address).await.unwrap();
    let plain = exchange(plain, "GET /v1/trust HTTP/1.1\r\n", "").await;
    assert!(plain.is_err() || plain.is_ok_and(|answer| answer.status >= 400));
    // Every certificate has a ceiling of its own.
    let refused = ask(&served, &city, Some(&portal)).await.unwrap();
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "client-ceiling")
    );
    let second = clients.sign("portal-2");
    assert_eq!(
        ask(&served, &city, Some(&second)).await.unwrap().status,
        200
    );
}

#[tokio::test]
async fn files_that_do_not_fit_are_named() {
    let world = World::small().await;
    let city = Authority::new("the city");
    let config = configure(world.base(), &city, &city);
    let open = async || match Door::open(&config, world.base()).await {
        Ok(_) => panic!("it opened"),
        Err(error @ DoorError::Tls(_)) => error.to_string(),
        Err(error) => panic!("{error}"),
    };
    let (_, other_key) = city.sign("localhost");
    write(world.base(), "portal.key", &other_key.serialize_pem());
    assert!(open().await.contains("do not belong together"));
    write(world.base(), "portal.key", "no key");
    assert!(open().await.contains("portal.tls.key_file"));
    write(world.base(), "portal.pem", &other_key.serialize_pem());
    assert!(open().await.contains("portal.tls.certificate_file"));
    std::fs::remove_file(world.base().join("clients-ca.pem")).unwrap();
    assert!(open().await.contains("portal.tls.client_ca_file"));
}

#[test]
fn without_tls_only_a_loopback_address_is_taken() {
    let at = |address: &str| PortalConfig {
        address: address.parse().unwrap(),
        ..PortalConfig::default()
    };
    for address in ["127.0.0.1:1", "[::1]:1", "127.9.9.9:1"] {
        assert_eq!(at(address).mistake(), None);
    }
    for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
        let (what, help) = at(address).mistake().unwrap();
        assert!(what.contains(address) && help.contains("[portal.tls]"));
    }
}
