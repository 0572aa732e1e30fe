//! Tests of an encrypted connection to PostgreSQL whose certificate is not accepted: the reason is
//! told, not that TLS failed.

use std::path::Path;
use std::process::{Command, Stdio};

use contract::PrivateKey;
use registry::{Keys, PostgresConfig, Reader, SecondLayerKey, StoreConfig, TlsMode};
use testbed::postgres::Postgres;

/// Gives the server a self-signed certificate for `name`, an authority's own or not, and `ca.pem`
/// beside it in `base`.
async fn certify(server: &mut Postgres, base: &Path, name: &str, is_ca: bool) {
    let constraints = if is_ca { "TRUE" } else { "FALSE" };
    let made = Command::new("openssl")
        .current_dir(base)
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9",
        ])
        .args(["-keyout", "server.key", "-out", "ca.pem", "-subj", "/CN=db"])
        .args(["-addext", &format!("subjectAltName=DNS:{name}")])
        .args([
            "-addext",
            &format!("basicConstraints=critical,CA:{constraints}"),
        ])
        .stderr(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()), "a certificate");
    let pem = |file| std::fs::read_to_string(base.join(file)).unwrap();
    server
        .encrypt(&pem("ca.pem"), &pem("server.key"))
        .await
        .unwrap();
}

async fn opened(server: &Postgres, base: &Path, ca_file: Option<&str>) -> Result<(), String> {
    opened_with(server, base, ca_file, Some(TlsMode::VerifyFull)).await
}

async fn opened_with(
    server: &Postgres,
    base: &Path,
    ca_file: Option<&str>,
    tls: Option<TlsMode>,
) -> Result<(), String> {
    let store = StoreConfig::Postgres(Box::new(PostgresConfig {
        url: Some(format!(
            "postgres://postgres@localhost:{}/registry",
            server.port()
        )),
        tls,
        ca_file: ca_file.map(Into::into),
        ..PostgresConfig::default()
    }));
    let keys = Keys::new(
        PrivateKey::generate(),
        Vec::new(),
        SecondLayerKey::generate(),
    );
    match Reader::open(&store, keys, base).await {
        Ok(reader) => {
            reader.close().await;
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_is_told_with_its_fault() {
    let mut server = Postgres::start().await.unwrap();
    server.create_database("registry").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    certify(&mut server, base, "localhost", false).await;
    assert_eq!(opened(&server, base, Some("ca.pem")).await, Ok(()));
    let unknown = opened(&server, base, None).await.unwrap_err();
    assert!(
        unknown.contains("the certificate of the database is self-signed, or of an unknown")
            && unknown.contains("set ca_file"),
        "{unknown}"
    );
    certify(&mut server, base, "db.example", false).await;
    let elsewhere = opened(&server, base, Some("ca.pem")).await.unwrap_err();
    assert!(
        elsewhere.contains("is for another host name"),
        "{elsewhere}"
    );
    certify(&mut server, base, "localhost", true).await;
    let own = opened(&server, base, Some("ca.pem")).await.unwrap_err();
    assert!(own.contains("CA:TRUE"), "{own}");
    let key = opened(&server, base, Some("server.key")).await.unwrap_err();
    assert!(
        key.contains("ca_file") && key.contains("holds no PEM certificate"),
        "{key}"
    );
}

#[tokio::test]
async fn a_server_of_this_machine_without_tls_is_used_unless_tls_is_asked_for() {
    let server = Postgres::start().await.unwrap();
    server.create_database("registry").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let asked = opened(&server, folder.path(), None).await.unwrap_err();
    assert!(
        asked.contains("offers no TLS") && asked.contains("tls = \"off\""),
        "{asked}"
    );
    let unsaid = opened_with(&server, folder.path(), None, None).await;
    assert_eq!(unsaid, Ok(()));
}
