//! Certificates of every kind, shown by a real server (`openssl s_server`), and the words for each.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::{CertificateFault, TlsFault, has_certificate};

fn openssl(folder: &Path, line: &str) -> bool {
    let done = Command::new("openssl")
        .current_dir(folder)
        .args(line.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    done.is_ok_and(|status| status.success())
}

/// Server that shows a certificate; killed on drop.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(folder: &Path, name: &str) -> Self {
        let mut child = Command::new("openssl")
            .current_dir(folder)
            .args(["s_server", "-accept", "127.0.0.1:0", "-cert"])
            .arg(format!("{name}.pem"))
            .args(["-key", &format!("{name}.key"), "-cipher", "ALL:@SECLEVEL=0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            line.strip_prefix("ACCEPT ")?
                .rsplit(':')
                .next()?
                .parse()
                .ok()
        });
        let port = port.expect("it listens");
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Outcome of a handshake with the server as `localhost`, trusting `ca`.
fn meet(port: u16, ca: &Path) -> Result<(), Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost")?;
    let mut connection = ClientConnection::new(Arc::new(config), name)?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(())
}

/// Maker of certificates: an authority in `ca.pem` and `ca.key`.
struct Maker<'a> {
    folder: &'a Path,
    issuer: Issuer<'static, KeyPair>,
}

impl<'a> Maker<'a> {
    fn new(folder: &'a Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params("ours");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        write(folder, "ca", &params.self_signed(&key).unwrap(), &key);
        let issuer = Issuer::new(params, key);
        Self { folder, issuer }
    }

    fn issue(&self, name: &str, params: &CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        write(self.folder, name, &certificate, &key);
    }

    fn self_sign(&self, name: &str, params: &CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        write(self.folder, name, &certificate, &key);
    }

    /// Makes what only openssl still makes: weak keys and signatures, version 1.
    fn issue_weak(&self, name: &str, key_bits: u32, digest: &str, extensions: &str) {
        let made = openssl(
            self.folder,
            &format!(
                "req -newkey rsa:{key_bits} -nodes -keyout {name}.key -out {name}.csr -subj \
                 /CN=localhost"
            ),
        );
        assert!(made, "a request");
        let sign = format!(
            "x509 -req -in {name}.csr -out {name}.pem -CA ca.pem -CAkey ca.key -CAcreateserial \
             -days 30 -{digest}"
        );
        // Later versions of openssl make version 1 only when they are told to.
        let signed = openssl(self.folder, &format!("{sign} {extensions}"))
            || (extensions == V1 && openssl(self.folder, &sign));
        assert!(signed, "a certificate");
    }
}

/// Makes version 1 whatever the version of openssl.
const V1: &str = "-x509v1";

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn between(years: (i32, i32)) -> CertificateParams {
    let mut params = params("localhost");
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    params
}

fn write(folder: &Path, name: &str, certificate: &rcgen::Certificate, key: &KeyPair) {
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

fn made_certificates(folder: &Path) {
    let maker = Maker::new(folder);
    maker.issue("good", &params("localhost"));
    maker.issue("elsewhere", &params("mis.example"));
    maker.issue("expired", &between((2020, 2021)));
    maker.issue("early", &between((2098, 2099)));
    let mut for_clients = params("localhost");
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    maker.issue("client", &for_clients);
    maker.self_sign("self", &params("localhost"));
    maker.self_sign("twin", &params("localhost"));
    let mut own = params("localhost");
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    maker.self_sign("own", &own);
    maker.self_sign("other", &own);
    std::fs::write(folder.join("san"), "subjectAltName=DNS:localhost\n").unwrap();
    maker.issue_weak("sha1", 2048, "sha1", "-extfile san");
    maker.issue_weak("short", 1024, "sha256", "-extfile san");
    maker.issue_weak("first", 2048, "sha256", V1);
}

#[test]
fn every_kind_of_bad_certificate_has_its_own_words() {
    use CertificateFault as C;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    made_certificates(folder);
    for (name, ca, expected) in [
        ("good", "ca", None),
        ("self", "self", None),
        ("good", "other", Some(C::UnknownIssuer)),
        ("self", "ca", Some(C::UnknownIssuer)),
        ("self", "twin", Some(C::BadSignature)),
        ("own", "own", Some(C::AuthoritysOwn)),
        ("elsewhere", "ca", Some(C::WrongName)),
        ("expired", "ca", Some(C::Expired)),
        ("early", "ca", Some(C::NotYetValid)),
        ("sha1", "ca", Some(C::WeakAlgorithm)),
        ("short", "ca", Some(C::BadSignature)),
        ("client", "ca", Some(C::WrongPurpose)),
        ("first", "ca", Some(C::OldVersion)),
    ] {
        let server = Server::start(folder, name);
        let met = meet(server.port, &folder.join(format!("{ca}.pem")));
        let found = met.err().map(|error| TlsFault::find(error.as_ref()));
        assert_eq!(
            found,
            expected.map(|fault| Some(TlsFault::Certificate(fault))),
            "{name} with {ca}"
        );
    }
}

#[test]
fn a_certificate_that_may_be_self_signed_is_not_said_to_be_weak() {
    let said = CertificateFault::BadSignature.predicate();
    assert!(said.contains("may be self-signed"), "{said}");
    let help = CertificateFault::BadSignature.help();
    assert!(help.starts_with("set ca_file to"), "{help}");
    assert!(help.contains("the certificate itself"), "{help}");
}

#[test]
fn a_file_without_a_certificate_is_told_from_one_with() {
    let folder = tempfile::tempdir().unwrap();
    Maker::new(folder.path());
    let content = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let certificate = content("ca.pem");
    assert!(has_certificate(&certificate));
    let both = [content("ca.key"), certificate.clone()].concat();
    assert!(has_certificate(&both));
    assert!(!has_certificate(&content("ca.key")));
    assert!(!has_certificate(b"some text\n"));
    assert!(!has_certificate(&certificate[..certificate.len() / 2]));
    assert!(!has_certificate(b""));
}

#[test]
fn no_two_faults_share_their_words() {
    let mut said: Vec<String> = CertificateFault::ALL
        .map(TlsFault::Certificate)
        .into_iter()
        .chain([
            TlsFault::ClientCertificate,
            TlsFault::Refused,
            TlsFault::NoTls,
            TlsFault::NothingInCommon,
            TlsFault::BrokenOff,
        ])
        .map(|fault| fault.what("the server"))
        .collect();
    let count = said.len();
    said.sort_unstable();
    said.dedup();
    assert_eq!(said.len(), count);
}

#[test]
fn a_fault_is_found_below_other_errors_and_none_is_made_up() {
    let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
    let inner = std::io::Error::new(std::io::ErrorKind::InvalidData, tls);
    let outer = std::io::Error::other(inner);
    assert_eq!(
        TlsFault::find(&outer),
        Some(TlsFault::Certificate(CertificateFault::Expired))
    );
    assert_eq!(TlsFault::find(&std::io::Error::other("expired")), None);
}
