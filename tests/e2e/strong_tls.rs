//! What somebody learns who listens at every wire of a city in strong mode: the connections are the
//! mutual TLS of real use, and everything that passes is recorded and searched.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use testbed::leak::Scanner;
use testbed::proxy::{Recorded, TcpProxy};

use crate::cli::told;
use crate::one_machine::{AT_FIRST, CLINICS, PATIENT, Trial};
use crate::outside::{PEOPLE, contains};
use crate::support::{Running, eventually};

/// Services of a city, and its brokers, by the names that `strong-setup` has for their ports.
const SERVERS: [&str; 6] = [
    "key-service-1",
    "key-service-2",
    "token-issuer",
    "clinics-broker",
    "registry-broker",
    "registry-portal",
];

/// Certificates of clients: folder and name.
const CLIENTS: [[&str; 2]; 5] = [
    ["clinic-1", "clinic-1"],
    ["clinic-2", "clinic-2"],
    ["relay", "mix-relay"],
    ["registry", "city-registry"],
    ["portal", "portal"],
];

/// Configurations of those who connect, and to what.
const CONNECTIONS: [(&str, &[&str]); 5] = [
    ("clinic-1/clinic-gateway.toml", OF_A_CLINIC),
    ("clinic-2/clinic-gateway.toml", OF_A_CLINIC),
    (
        "relay/mix-relay.toml",
        &["clinics-broker", "registry-broker"],
    ),
    ("registry/city-registry.toml", &["registry-broker"]),
    (
        "portal/city-portal.toml",
        &["key-service-1", "key-service-2", "registry-portal"],
    ),
];

const OF_A_CLINIC: &[&str] = &[
    "key-service-1",
    "key-service-2",
    "token-issuer",
    "clinics-broker",
];

/// Name of every server, which a client says in clear.
const SERVER_NAME: &[u8] = b"localhost";

/// Extension of a server's first message by which it chooses TLS 1.3 (RFC 8446, 4.2.1).
const CHOOSES_TLS_1_3: &[u8] = &[0x00, 0x2b, 0x00, 0x02, 0x03, 0x04];

/// A recorded way between a client and a server.
struct Wire {
    between: String,
    proxy: TcpProxy,
}

/// Bytes that tell who speaks, and what they are.
struct Mark {
    what: String,
    bytes: Vec<u8>,
}

/// Has every client of the city connect through a proxy of its own, by the servers' name.
async fn tap(trial: &Trial) -> Vec<Wire> {
    let mut wires = Vec::new();
    for (file, servers) in CONNECTIONS {
        let path = trial.path(file);
        let mut text = std::fs::read_to_string(&path).expect("a configuration");
        for server in servers {
            let port = trial.port(server);
            let proxy = TcpProxy::start(port).await.expect("a proxy");
            let tapped = format!("localhost:{}", proxy.port());
            let direct = format!("127.0.0.1:{port}");
            assert!(text.contains(&direct), "{server} in {file}");
            text = text.replace(&direct, &tapped);
            wires.push(Wire {
                between: format!("{file} and {server}"),
                proxy,
            });
        }
        std::fs::write(&path, text).expect("the configuration is written");
    }
    wires
}

/// What `openssl x509` prints of a certificate.
fn x509(certificate: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command
        .args(["x509", "-in"])
        .arg(certificate)
        .args(arguments);
    let output = command.output().expect("openssl is installed");
    assert!(output.status.success(), "{}", certificate.display());
    output.stdout
}

/// Names of the clinics, their passwords, and every certificate of a client in four forms.
fn marks(trial: &Trial) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut mark = |what: String, bytes: Vec<u8>| marks.push(Mark { what, bytes });
    for clinic in CLINICS {
        mark(format!("the name {clinic}"), clinic.as_bytes().to_vec());
        let password = trial.path(&format!("{clinic}/queue-password"));
        let password = std::fs::read(password).expect("a password");
        mark(format!("the password of {clinic}"), password);
    }
    for [folder, name] in CLIENTS {
        let file = trial.path(&format!("{folder}/{name}.pem"));
        let certificate = x509(&file, &["-outform", "DER"]);
        mark(format!("the certificate of {name}"), certificate);
        let printed = x509(&file, &["-noout", "-fingerprint", "-sha256"]);
        let printed = String::from_utf8(printed).expect("text");
        let (_, fingerprint) = printed.trim().split_once('=').expect("a fingerprint");
        let hex = fingerprint.replace(':', "").to_lowercase();
        let raw = fingerprint
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16));
        let raw: Vec<u8> = raw.collect::<Result<_, _>>().expect("bytes");
        mark(format!("the fingerprint of {name}"), raw);
        mark(
            format!("the fingerprint of {name} as text"),
            hex.into_bytes(),
        );
        mark(
            format!("the fingerprint of {name} as it is printed"),
            fingerprint.as_bytes().to_vec(),
        );
    }
    marks
}

/// Marks and persons that are found in what passed.
fn found(marks: &[Mark], between: &str, passed: &Recorded) -> Vec<String> {
    let people = Scanner::new(PEOPLE);
    let mut found = Vec::new();
    for (way, bytes) in [("forth", &passed.to_server), ("back", &passed.to_client)] {
        let place = format!("{between}, {way}");
        let told = marks.iter().filter(|mark| contains(bytes, &mark.bytes));
        found.extend(told.map(|mark| format!("{} in {place}", mark.what)));
        let hits = people.scan(&place, bytes);
        found.extend(hits.iter().map(|hit| format!("{hit:?}")));
    }
    found
}

/// Has a stranger's program connect with the first clinic's certificate; what passed, and whether
/// the handshake came to its end.
async fn shown(trial: &Trial, port: u16, arguments: &[&str]) -> (Recorded, bool) {
    let wire = TcpProxy::start(port).await.expect("a proxy");
    let mut client = Command::new("openssl");
    client
        .args(["s_client", "-connect"])
        .arg(format!("127.0.0.1:{}", wire.port()))
        .args(arguments)
        .args(["-cert", "clinic-1.pem", "-key", "clinic-1.key"])
        .current_dir(trial.path("clinic-1"))
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || client.output()).await;
    let output = output.expect("no panic").expect("openssl is installed");
    (wire.recorded(), output.status.success())
}

/// Server that takes TLS 1.2 as well, and asks for certificates.
async fn old_server(trial: &Trial) -> (Running, u16) {
    let port = testbed::ports::free_port();
    let mut command = Command::new("openssl");
    command
        .args(["s_server", "-www", "-Verify", "1", "-accept"])
        .arg(format!("127.0.0.1:{port}"))
        .args(["-cert", "token-issuer.pem", "-key", "token-issuer.key"])
        .args(["-CAfile", "authority.pem"])
        .current_dir(trial.path("token-issuer"))
        .stdin(Stdio::null());
    let mut running = Running::start(command, &trial.path("s_server.log"));
    eventually("the old server listens", 60, async || {
        assert!(running.runs(), "{}", running.log());
        TcpStream::connect(("127.0.0.1", port)).ok()
    })
    .await;
    (running, port)
}

/// The search finds a certificate that TLS 1.2 shows, and a name that a client says in clear. It
/// finds nothing of the certificate in TLS 1.3.
async fn the_search_finds_what_is_there(trial: &Trial, marks: &[Mark]) {
    let (_server, port) = old_server(trial).await;
    let (passed, is_whole) = shown(trial, port, &["-tls1_2"]).await;
    assert!(is_whole, "TLS 1.2 is spoken by openssl");
    let told = found(marks, "a planted TLS 1.2", &passed);
    for expected in ["the certificate of clinic-1", "the name clinic-1"] {
        assert!(
            told.iter().any(|line| line.starts_with(expected)),
            "{expected}: {told:?}"
        );
    }
    let named = ["-tls1_3", "-servername", "clinic-1.example"];
    let (passed, is_whole) = shown(trial, port, &named).await;
    assert!(is_whole, "TLS 1.3 is spoken by openssl");
    let told = found(marks, "a planted name", &passed);
    assert_eq!(told, ["the name clinic-1 in a planted name, forth"]);
}

/// No server of the city speaks TLS 1.2, in which a client would show its certificate.
async fn no_server_speaks_tls_1_2(trial: &Trial, marks: &[Mark]) {
    for server in SERVERS {
        let (passed, is_whole) = shown(trial, trial.port(server), &["-tls1_2"]).await;
        assert!(!is_whole, "{server} speaks TLS 1.2");
        assert!(!passed.to_client.is_empty(), "{server} answers nothing");
        let told = found(marks, server, &passed);
        assert!(told.is_empty(), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_at_every_wire_learns_neither_a_person_nor_an_institution() {
    let trial = Trial::new();
    told(&trial.set_up().output().expect("the script starts"), 0, &[]);
    let wires = tap(&trial).await;
    let marks = marks(&trial);
    let mut running = trial.start().await;
    trial.until_vaccinations(AT_FIRST, &mut running).await;
    trial.vaccinate();
    trial.until_vaccinations(AT_FIRST + 1, &mut running).await;
    let answer = trial.codes(PATIENT);
    assert_eq!(answer["outcome"], "codes", "{answer}");
    no_server_speaks_tls_1_2(&trial, &marks).await;
    assert_eq!(running.terminate().await, Some(0), "{}", running.log());

    for wire in &wires {
        let passed = wire.proxy.recorded();
        let told = found(&marks, &wire.between, &passed);
        assert!(told.is_empty(), "{told:#?}");
        // What is in clear was recorded: the server's name, and the choice of the version.
        assert!(contains(&passed.to_server, SERVER_NAME), "{}", wire.between);
        assert!(
            contains(&passed.to_client, CHOOSES_TLS_1_3),
            "{}",
            wire.between
        );
    }
    the_search_finds_what_is_there(&trial, &marks).await;
}
