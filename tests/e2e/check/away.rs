//! Servers that are away, and settings that are wrong: an exit code means the same whatever the
//! command.

use testbed::proxy::TcpProxy;

use super::sources::{Database, clinic};
use crate::cli::{json, told};
use crate::support::{City, Clinic, amqp_queue, snils};

/// It may succeed later.
const LATER: i32 = 1;
/// A person has to change something.
const CHANGE: i32 = 78;

const QUERY: &str = "SELECT id AS record_id, snils AS person_snils, 'sputnik-v' AS vaccine_code, \
                     day AS occurred_on, day AS changed_at FROM shot";

/// A port at which every connection breaks off, as long as it is held.
async fn away() -> TcpProxy {
    let proxy = TcpProxy::start(1).await.expect("a port");
    proxy.cut();
    proxy
}

/// Section of the source `mis` at a server that is away.
fn source_away(kind: &str, port: u16) -> String {
    match kind {
        "fhir" => format!("[source.mis.fhir]\nbase_url = \"http://127.0.0.1:{port}/fhir\"\n"),
        kind => format!(
            "[source.mis.{kind}]\nhost = \"127.0.0.1\"\nport = {port}\ndatabase = \"mis\"\nuser = \
             \"reader\"\n[source.mis.{kind}.vaccinations]\nquery = '''{QUERY}'''\n"
        ),
    }
}

/// Commands that ask the source `mis`.
const ASKING: [&[&str]; 6] = [
    &["check"],
    &["check", "--json"],
    &["sync"],
    &["preview", "mis"],
    &["codes", "mis", "--read"],
    &["sweep", "mis"],
];

#[tokio::test(flavor = "multi_thread")]
async fn source_that_is_away_may_be_back_later() {
    let proxy = away().await;
    for kind in ["postgres", "mysql", "fhir"] {
        let clinic = clinic("", &source_away(kind, proxy.port()));
        for arguments in ASKING {
            println!("{kind}: {arguments:?}");
            told(&clinic.program(arguments), LATER, &[]);
        }
        let found = json(&clinic.program(&["check", "--json"]));
        let levels = found.to_string();
        assert!(levels.contains("\"error\""), "it is told as an error");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_that_is_away_may_be_back_later() {
    let proxy = away().await;
    let database = Database::sqlite();
    let person = snils(501_000_001);
    let table = format!(
        "CREATE TABLE shot (id integer PRIMARY KEY, snils text, day text); INSERT INTO shot \
         VALUES (1, '{person}', '2021-06-01')"
    );
    database.run(&table).await;
    let source = database.source("", "vaccinations", QUERY);
    let clinic = Clinic::new(&City::new(), &amqp_queue(proxy.port()), &source, "");
    told(&clinic.program(&["check"]), LATER, &["does not answer now"]);
    told(&clinic.program(&["sync"]), LATER, &["1 batch waits"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_to_be_changed_is_told_before_what_may_pass() {
    let proxy = away().await;
    let database = Database::sqlite();
    database.run("CREATE TABLE other (id integer)").await;
    let lab = database.source("", "vaccinations", QUERY);
    let lab = lab.replace("source.mis", "source.lab");
    let both = source_away("postgres", proxy.port()) + &lab;
    let clinic = clinic("", &both);
    for arguments in [&["check"][..], &["sync"]] {
        told(&clinic.program(arguments), CHANGE, &["shot"]);
    }
    told(&clinic.program(&["preview", "mis"]), LATER, &[]);
    told(&clinic.program(&["preview", "lab"]), CHANGE, &[]);
}
