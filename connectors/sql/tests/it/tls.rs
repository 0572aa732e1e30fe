//! Encrypted connections to a PostgreSQL with a certificate of its own: verified, not verified, and
//! refused.

use std::path::Path;

use connector_kit::{Connector, Level};
use connector_sql::SqlConnector;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use testbed::postgres::Postgres;

use crate::clinic::now;

/// Gives the server a self-signed certificate of these parameters, and `ca.pem` in `base`.
async fn certify(server: &mut Postgres, base: &Path, params: &CertificateParams) {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    std::fs::write(base.join("ca.pem"), &certificate).unwrap();
    server
        .encrypt(&certificate, &key.serialize_pem())
        .await
        .unwrap();
}

fn connector(port: u16, tls: &str, base: &Path) -> SqlConnector {
    let config = format!(
        "host = '127.0.0.1'\nport = {port}\ndatabase = 'postgres'\nuser = 'postgres'\ntls = {tls}\n\
         connect_timeout_seconds = 60\n[tests]\nquery = 'SELECT 1'\n"
    );
    SqlConnector::postgres(&toml::from_str(&config).unwrap(), base).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_checked_as_the_mode_says() {
    let mut server = Postgres::start().await.unwrap();
    let base = tempfile::tempdir().unwrap();
    for (certified, verified) in [("127.0.0.1", true), ("mis.example", false)] {
        let params = CertificateParams::new(vec![certified.to_owned()]).unwrap();
        certify(&mut server, base.path(), &params).await;
        for (tls, accepted) in [
            ("{ mode = 'disable' }", true),
            ("{ mode = 'prefer' }", true),
            ("{ mode = 'require' }", true),
            ("{ mode = 'verify-full' }", false),
            ("{ mode = 'verify-full', ca_file = 'ca.pem' }", verified),
        ] {
            let report = connector(server.port(), tls, base.path())
                .check(now())
                .await;
            let first = &report.findings[0];
            assert_eq!(first.level == Level::Good, accepted, "{tls}: {report:?}");
            if !accepted {
                let (what, help) = if tls.contains("ca_file") {
                    ("is for another host name", "host name")
                } else {
                    ("is self-signed, or of an unknown authority", "ca_file")
                };
                assert!(first.what.contains(what), "{report:?}");
                assert!(first.help.as_ref().unwrap().contains(help), "{report:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_certificate_has_its_own_words() {
    let mut server = Postgres::start().await.unwrap();
    let base = tempfile::tempdir().unwrap();
    let params = || CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let mut expired = params();
    expired.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let mut early = params();
    early.not_before = rcgen::date_time_ymd(2098, 1, 1);
    let mut own = params();
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (params, what) in [
        (expired, "has expired"),
        (early, "is not valid yet"),
        (own, "CA:TRUE"),
    ] {
        certify(&mut server, base.path(), &params).await;
        let tls = "{ mode = 'verify-full', ca_file = 'ca.pem' }";
        let report = connector(server.port(), tls, base.path())
            .check(now())
            .await;
        let first = &report.findings[0];
        assert!(
            first.level == Level::Error && first.what.contains(what),
            "{report:?}"
        );
    }
}

/// A self-signed certificate that is not the one of `ca_file`, though both have one name.
#[tokio::test(flavor = "multi_thread")]
async fn a_self_signed_certificate_that_is_not_trusted_is_not_called_weak() {
    let mut server = Postgres::start().await.unwrap();
    let base = tempfile::tempdir().unwrap();
    let params = || CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    certify(&mut server, base.path(), &params()).await;
    let other = params().self_signed(&KeyPair::generate().unwrap()).unwrap();
    std::fs::write(base.path().join("other.pem"), other.pem()).unwrap();
    for (ca, accepted) in [("other.pem", false), ("ca.pem", true)] {
        let tls = format!("{{ mode = 'verify-full', ca_file = '{ca}' }}");
        let report = connector(server.port(), &tls, base.path())
            .check(now())
            .await;
        let first = &report.findings[0];
        assert_eq!(first.level == Level::Good, accepted, "{report:?}");
        if let Some(help) = &first.help {
            assert!(first.what.contains("may be self-signed"), "{report:?}");
            assert!(help.contains("the certificate itself"), "{report:?}");
        }
    }
}

#[test]
fn certificate_files_are_looked_at_before_any_connection() {
    let base = tempfile::tempdir().unwrap();
    let certified = CertificateParams::new(vec!["h".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = certified.self_signed(&key).unwrap().pem();
    for (name, content) in [
        ("a.pem", certificate),
        ("key.pem", key.serialize_pem()),
        ("text.pem", "the clinic's authority".to_owned()),
    ] {
        std::fs::write(base.path().join(name), content).unwrap();
    }
    for (tls, expected) in [
        (
            "{ ca_file = 'key.pem' }",
            "key.pem of tls.ca_file holds no PEM certificate",
        ),
        (
            "{ ca_file = 'text.pem' }",
            "text.pem of tls.ca_file holds no PEM certificate",
        ),
        ("{ ca_file = 'none.pem' }", "none.pem cannot be read"),
        ("{ client_certificate_file = 'a.pem' }", "without its key"),
        (
            "{ client_certificate_file = 'a.pem', client_key_file = 'none.pem' }",
            "none.pem cannot be read",
        ),
    ] {
        let config = format!(
            "host = 'h'\ndatabase = 'd'\nuser = 'u'\ntls = {tls}\n[tests]\nquery = 'SELECT 1'\n"
        );
        let error = SqlConnector::postgres(&toml::from_str(&config).unwrap(), base.path())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}
