//! Certificates of both sides, and requests over mutual TLS.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use client_door::{Fingerprint, TlsConfig};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest time that a test waits for something that comes at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Authority that signs certificates of servers and clients.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// Certificate with its key.
pub(crate) struct Identity {
    pub certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name_type = rcgen::DnType::CommonName;
        params.distinguished_name.push(name_type, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        Self {
            issuer,
            certificate,
        }
    }

    pub(crate) fn sign(&self, name: &str) -> Identity {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate, key }
    }

    /// Writes the files of a server, which lets in the clients of this authority.
    pub(crate) fn write_server(&self, folder: &Path) -> TlsConfig {
        let server = self.sign("localhost");
        write_private(folder, "service.pem", &server.certificate.pem());
        write_private(folder, "service-tls.key", &server.key.serialize_pem());
        write_private(folder, "clients-ca.pem", &self.certificate.pem());
        TlsConfig {
            certificate_file: "service.pem".into(),
            key_file: "service-tls.key".into(),
            client_ca_file: "clients-ca.pem".into(),
        }
    }
}

impl Identity {
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_certificate(self.certificate.der())
    }
}

pub(crate) fn write_private(folder: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) async fn within_patience<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("not within {} s: {what}", PATIENCE.as_secs()))
}

/// Connects over TLS, with a certificate where one is given.
pub(crate) async fn connect(
    address: SocketAddr,
    authority: &Authority,
    shown: Option<&Identity>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
            let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// Answer of the service.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status and code of the problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["type"], "about:blank");
        assert!(problem["title"].is_string());
        (self.status, problem["code"].as_str().unwrap().to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Head of a request with a body of so many bytes.
pub(crate) fn post_head(bytes: usize) -> String {
    format!(
        "POST /v1/evaluate HTTP/1.1\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {bytes}\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
}

/// Reads an answer to its end.
pub(crate) async fn read_answer<S>(stream: &mut S) -> io::Result<Answer>
where
    S: AsyncRead + Unpin,
{
    let mut read = Vec::new();
    within_patience("an answer", stream.read_to_end(&mut read)).await?;
    let end = read.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    Ok(Answer {
        status: head[9..12].parse().unwrap(),
        head,
        body: read[end + 4..].to_vec(),
    })
}

/// Sends one request and reads the answer to its end.
pub(crate) async fn exchange<S>(mut stream: S, head: &str, body: &[u8]) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    read_answer(&mut stream).await
}
