//! AMQPS with a private authority and client certificates.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use broker::{AmqpConfig, QueueConfig, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use settings::SecretSource;
use testbed::proxy::TcpProxy;
use testbed::rabbitmq::{Options, RabbitMq, TlsFiles};

use crate::batch;

/// A certificate authority with its files in a folder.
struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(
            folder.join("ca.pem"),
            params.self_signed(&key).unwrap().pem(),
        )
        .unwrap();
        Self {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    /// Writes NAME.pem and NAME.key.
    fn issue(&self, name: &str, subject: &str, expired: bool) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![subject.to_owned()]).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, subject);
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = (
            self.folder.join(format!("{name}.pem")),
            self.folder.join(format!("{name}.key")),
        );
        fs::write(&files.0, certificate.pem()).unwrap();
        fs::write(&files.1, key.serialize_pem()).unwrap();
        fs::set_permissions(&files.1, fs::Permissions::from_mode(0o600)).unwrap();
        files
    }

    fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }
}

async fn start(authority: &Authority, (cert, key): (PathBuf, PathBuf)) -> RabbitMq {
    let tls = TlsFiles {
        ca: authority.ca(),
        cert,
        key,
        verify_peer: true,
    };
    RabbitMq::start_with(Options {
        tls: Some(tls),
        config: Vec::new(),
    })
    .await
    .unwrap()
}

/// Broker of long ago: TLS 1.2 alone. It asks for certificates, and takes whoever has none.
async fn start_old(authority: &Authority) -> RabbitMq {
    let files = authority.issue("server", "localhost", false);
    let tls = TlsFiles {
        ca: authority.ca(),
        cert: files.0,
        key: files.1,
        verify_peer: true,
    };
    let lines = [
        "ssl_options.versions.1 = tlsv1.2",
        "ssl_options.fail_if_no_peer_cert = false",
    ];
    RabbitMq::start_with(Options {
        tls: Some(tls),
        config: lines.map(str::to_owned).to_vec(),
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_in_tls_1_3_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let broker = start_old(&ours).await;
    let wire = TcpProxy::start(broker.tls_port().unwrap()).await.unwrap();
    let url = format!("amqps://guest:guest@localhost:{}/%2f", wire.port());
    let nobody = TlsConfig {
        ca_file: Some(ours.ca()),
        ..TlsConfig::default()
    };
    let (certificate, key) = ours.issue("client", "gateway-of-a-clinic", false);
    let somebody = TlsConfig {
        cert_file: Some(certificate),
        key: Some(SecretSource::File(key)),
        ..nobody.clone()
    };
    let said = words(&with(url.clone(), nobody)).await;
    assert!(said.starts_with("fine"), "{said}");
    let said = words(&with(url.clone(), somebody.clone())).await;
    assert!(said.contains("enable TLS 1.3 there"), "{said}");
    let sent = wire.recorded().to_server;
    let name = b"gateway-of-a-clinic";
    assert!(!sent.windows(name.len()).any(|window| window == name));

    let of_the_system = TlsConfig {
        ca_file: None,
        ..somebody
    };
    let said = words(&with(url, of_the_system)).await;
    assert!(said.contains("`ca_file` is not"), "{said}");
}

fn with(url: String, tls: TlsConfig) -> QueueConfig {
    QueueConfig::Amqp(AmqpConfig {
        url,
        tls,
        ..AmqpConfig::default()
    })
}

async fn words(config: &QueueConfig) -> String {
    match broker::check(config, Path::new("/")).await {
        Ok(found) => format!("fine: {}", found.join("; ")),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let theirs = Authority::new(folder.path(), "theirs");
    let broker = start(&ours, ours.issue("server", "localhost", false)).await;
    let url = broker.amqps_url();
    let client = |(cert, key): (PathBuf, PathBuf)| TlsConfig {
        ca_file: Some(ours.ca()),
        cert_file: Some(cert),
        key: Some(SecretSource::File(key)),
        server_name: None,
    };
    let good = client(ours.issue("client", "gateway", false));

    let config = with(url.clone(), good.clone());
    broker::publisher(&config, Path::new("/"))
        .unwrap()
        .publish(&batch(b"over TLS"))
        .await
        .unwrap();
    let mut consumer = broker::consumer(&config, Path::new("/")).unwrap();
    assert_eq!(
        consumer.receive(1, crate::PATIENCE).await.unwrap()[0].bytes,
        b"over TLS"
    );
    consumer.close().await;

    let by_address = url.replace("localhost", "127.0.0.1");
    let named = TlsConfig {
        server_name: Some("localhost".into()),
        ..good.clone()
    };
    assert!(
        words(&with(by_address.clone(), named))
            .await
            .starts_with("fine")
    );
    let nobody = TlsConfig {
        cert_file: None,
        key: None,
        ..good.clone()
    };
    let foreign = client(theirs.issue("client", "gateway", false));
    let expired = client(ours.issue("old", "gateway", true));
    for (config, expected) in [
        (with(by_address, good.clone()), "is for another host name"),
        (
            with(
                url.clone(),
                TlsConfig {
                    ca_file: Some(theirs.ca()),
                    ..good.clone()
                },
            ),
            "unknown authority",
        ),
        (with(url.clone(), nobody), "client certificate"),
        (with(url.clone(), foreign), "client certificate"),
        (with(url.clone(), expired), "client certificate"),
        (with(broker.amqp_url(), good.clone()), "starts with amqp://"),
    ] {
        let said = words(&config).await;
        assert!(said.contains(expected), "{expected}: {said}");
    }

    // What is wrong with the files themselves is told before anything is connected.
    for (tls, expected) in [
        (
            TlsConfig {
                ca_file: Some("/no/such/file".into()),
                ..good.clone()
            },
            "`ca_file`",
        ),
        (
            TlsConfig {
                cert_file: None,
                ..good.clone()
            },
            "needs both",
        ),
        (
            TlsConfig {
                cert_file: Some(ours.ca()),
                ..good.clone()
            },
            "do not belong together",
        ),
        (
            TlsConfig {
                ca_file: good
                    .cert_file
                    .as_ref()
                    .map(|file| file.with_extension("key")),
                ..good.clone()
            },
            "PEM",
        ),
    ] {
        let error = broker::publisher(&with(url.clone(), tls), Path::new("/"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_server_certificate_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let broker = start(&ours, ours.issue("server", "localhost", true)).await;
    let tls = TlsConfig {
        ca_file: Some(ours.ca()),
        ..TlsConfig::default()
    };
    let said = words(&with(broker.amqps_url(), tls)).await;
    assert!(said.contains("has expired"), "{said}");
}
