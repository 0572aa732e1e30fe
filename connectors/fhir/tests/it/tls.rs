//! TLS: a private authority, a client certificate, and one clear sentence for each kind of bad
//! certificate.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use connector_kit::{Feed, SourceError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};

use crate::support::{first, try_connector};

/// An authority with its PEM in a folder of its own.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

/// A certificate with its key.
struct Issued {
    chain: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn issue(&self, name: &str, years: (i32, i32)) -> Issued {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            chain: vec![certificate.der().clone()],
            pem: certificate.pem(),
            key,
        }
    }
}

/// Serves an empty Bundle over TLS, one connection after the other, for as long as the test lives.
fn serve(issued: &Issued, clients_of: Option<&Authority>) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients_of {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::try_from(issued.key.serialize_der()).unwrap();
    let config = Arc::new(builder.with_single_cert(issued.chain.clone(), key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::Stream::new(&mut connection, &mut stream);
            let mut request = [0; 4096];
            if tls.read(&mut request).is_ok_and(|read| read > 0) {
                let body = r#"{"resourceType":"Bundle"}"#;
                let length = body.len();
                let head =
                    "HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json\r\nconnection: close";
                let _ = write!(tls, "{head}\r\ncontent-length: {length}\r\n\r\n{body}");
                connection.send_close_notify();
            }
            let _ = connection.write_tls(&mut stream);
        }
    });
    format!("https://localhost:{port}/fhir")
}

async fn outcome(url: &str, settings: Value, folder: &Path) -> Result<(), SourceError> {
    first(&try_connector(url, settings, folder)?, Feed::Vaccinations)
        .await
        .map(drop)
}

fn trusting() -> Value {
    json!({"ca_file": "ca.pem"})
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_it_is_named() {
    let authority = Authority::new();
    let url = serve(&authority.issue("localhost", (2020, 2099)), None);
    outcome(&url, trusting(), authority.folder.path())
        .await
        .unwrap();
}

#[tokio::test]
async fn each_bad_certificate_has_its_own_sentence() {
    let authority = Authority::new();
    let folder = authority.folder.path();
    let expired = serve(&authority.issue("localhost", (2019, 2020)), None);
    let early = serve(&authority.issue("localhost", (2098, 2099)), None);
    let elsewhere = serve(&authority.issue("mis.example", (2020, 2099)), None);
    let stranger = Authority::new();
    let unknown = serve(&stranger.issue("localhost", (2020, 2099)), None);
    for (url, sentence) in [
        (&expired, "has expired"),
        (&early, "is not valid yet"),
        (&elsewhere, "is for another host name"),
        (&unknown, "its authority may have a new key"),
    ] {
        let error = outcome(url, trusting(), folder).await.unwrap_err();
        assert!(
            matches!(&error, SourceError::Misconfigured { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(sentence), "{error}");
        assert!(!error.to_string().contains("mis.example"), "{error}");
    }
    let server = testbed::fhir::FhirServer::start().await.unwrap();
    let error = outcome(
        &server.base_url().replace("http:", "https:"),
        trusting(),
        folder,
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("no TLS is spoken"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_opens_a_server_that_wants_one() {
    let authority = Authority::new();
    let folder = authority.folder.path();
    let url = serve(
        &authority.issue("localhost", (2020, 2099)),
        Some(&authority),
    );
    let error = outcome(&url, trusting(), folder).await.unwrap_err();
    assert!(
        error.to_string().contains("wants a client certificate"),
        "{error}"
    );

    let client = authority.issue("gateway", (2020, 2099));
    let other = authority.issue("gateway", (2020, 2099));
    write_secret(&folder.join("client.key"), &client.key.serialize_pem());
    write_secret(&folder.join("other.key"), &other.key.serialize_pem());
    std::fs::write(folder.join("client.pem"), &client.pem).unwrap();
    let with = |key: &str| {
        json!({"ca_file": "ca.pem",
            "client_certificate": {"cert_file": "client.pem", "key": {"file": key}}})
    };
    outcome(&url, with("client.key"), folder).await.unwrap();
    for wrong in ["other.key", "client.pem"] {
        let error = outcome(&url, with(wrong), folder).await.unwrap_err();
        assert!(
            matches!(error, SourceError::Misconfigured { .. }),
            "{wrong}"
        );
    }
}

fn write_secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
