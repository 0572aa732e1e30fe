//! What operators are told is true: `status`, the readiness page, metrics and the log, while things
//! go wrong and after they were mended.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use contract::ReceiptSigner;

use crate::disk_full::{OnDisk, Site};
use crate::plant::{Plant, Settings, status_of};
use crate::support::{Clinic, Running, eventually, http_get, registry_command};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Text of `status`, which works whatever else does not.
fn status(clinic: &Clinic) -> String {
    let shown = clinic.program(&["status"]);
    assert!(shown.status.success(), "{}", text(&shown));
    text(&shown)
}

fn status_json(clinic: &Clinic) -> serde_json::Value {
    let shown = clinic.program(&["status", "--json"]);
    assert!(shown.status.success(), "{}", text(&shown));
    serde_json::from_slice(&shown.stdout).expect("JSON")
}

async fn until_status(clinic: &Clinic, what: &str, reached: impl Fn(&str) -> bool) -> String {
    eventually(what, 60, async || {
        let shown = clinic.program(&["status"]);
        // There is no outbox before the gateway has made it.
        let shown = shown.status.success().then(|| text(&shown));
        shown.filter(|shown| reached(shown))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_that_was_interrupted_is_told_as_such() {
    // The load cannot end before it is interrupted: no registry answers, and what waits for its
    // answer fills the outbox.
    let outbox = |mebibytes: u32| format!("batch_events = 20\nmax_mebibytes = {mebibytes}\n");
    let plant = Plant::new(Settings {
        page_records: 20,
        outbox: &outbox(1),
        ..Settings::default()
    })
    .await;
    let resize = |from: u32, to: u32| {
        let path = plant.clinic.config_path();
        let text = std::fs::read_to_string(&path).expect("the configuration");
        let resized = text.replace(&outbox(from), &outbox(to));
        assert_ne!(resized, text);
        std::fs::write(&path, resized).expect("written");
    };
    plant.shots().insert(0..20_000).await;
    let log = plant.clinic.folder.path().join("sync-log");
    let waiting = ["sync", "--wait-receipts", "600"];
    let mut sync = Running::start(plant.clinic.command(&waiting), &log);
    eventually("the load waits for space", 60, async || {
        sync.log().contains("pulling-paused").then_some(())
    })
    .await;
    assert_eq!(sync.terminate().await, Some(1), "{}", sync.log());

    let json = status_json(&plant.clinic);
    let feed = &json["status"]["feeds"][0];
    assert!(feed["last_ok_at"].is_null(), "{feed}");
    assert_eq!(feed["load"]["first"], true);
    let read = feed["load"]["rows"].as_u64().expect("a number");
    assert!((1..20_000).contains(&read), "{read}");
    let shown = status(&plant.clinic);
    let told = format!("first load: {read} rows read, not finished");
    assert!(shown.contains(&told) && !shown.contains(" ok "), "{shown}");
    assert!(shown.contains("daemon: not running"), "{shown}");

    // Killed outright, no run can note its end.
    resize(1, 2);
    let mut daemon = plant.gateway();
    let more = f64::from(u32::try_from(read).expect("few rows"));
    plant.until_metric(LOAD_ROWS, |rows| rows > more).await;
    plant
        .until_metric(LOAD_UNFINISHED, |unfinished| unfinished > 0.0)
        .await;
    daemon.kill();
    assert!(status(&plant.clinic).contains("rows read, not finished"));
    resize(2, 64);
    let done = plant.clinic.program(&["sync"]);
    assert!(done.status.success(), "{}", text(&done));
    let shown = status(&plant.clinic);
    assert!(
        !shown.contains("not finished") && shown.contains(" ok "),
        "{shown}"
    );
}

const LOAD_ROWS: &str = "gateway_load_rows{source=\"mis\",feed=\"vaccinations\"}";
const LOAD_UNFINISHED: &str = "gateway_load_unfinished{source=\"mis\",feed=\"vaccinations\"}";
const FAILURES: &str = "gateway_pull_consecutive_failures{source=\"mis\",feed=\"vaccinations\"}";

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_pass_add_up() {
    let plant = Plant::new(Settings::default()).await;
    plant.shots().insert(0..40).await;
    let config = plant.clinic.config_path();
    let text_of = std::fs::read_to_string(&config).expect("the configuration");
    let void = "void = \"cancelled\"";
    let planned = text_of.replace(void, &format!("{void}, planned = \"not-a-fact\""));
    std::fs::write(&config, planned).expect("written");
    // Three appointments, five codes that nobody knows, and one dose that was cancelled.
    let change = "UPDATE clinic.shot SET state = 'planned' WHERE id < 3; \
                  UPDATE clinic.shot SET vaccine = 'nobody knows' WHERE id BETWEEN 3 AND 7; \
                  UPDATE clinic.shot SET state = 'void' WHERE id = 8;";
    plant.shots().sql(change).await;
    let [sent_first, sent_again] = [32, 0];
    for sent in [sent_first, sent_again] {
        let sync = plant.clinic.program(&["sync", "--full", "--json"]);
        assert!(sync.status.success(), "{}", text(&sync));
        let sync: serde_json::Value = serde_json::from_slice(&sync.stdout).expect("JSON");
        let count = |name: &str| sync[name].as_u64().expect("a number");
        let whole = [
            "new",
            "corrected",
            "withdrawn_unsent",
            "resent",
            "unchanged",
            "no_fact",
        ];
        let rest = ["refused", "refused_again", "parked", "withheld"];
        let sum: u64 = whole.into_iter().chain(rest).map(count).sum();
        assert_eq!((count("read"), sum), (40, 40), "{sync}");
        assert_eq!(count("new") + count("withdrawn_unsent"), sent, "{sync}");
        assert_eq!(count("withdrawn"), 0, "nothing that was sent is taken back");
        assert_eq!(
            (count("unchanged"), count("no_fact")),
            (32 - sent, 3),
            "{sync}"
        );
        assert_eq!(count("refused") + count("refused_again"), 5, "{sync}");
    }
    let rows = &status_json(&plant.clinic)["status"]["feeds"][0]["rows"];
    let expected = serde_json::json!({
        "read": 80, "sent": 32, "unchanged": 32, "no_fact": 6, "refused": 10, "parked": 0,
        "withheld": 0,
    });
    assert_eq!(*rows, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_told_once_and_with_its_time() {
    let mut plant = Plant::new(Settings::default()).await;
    plant.shots().insert(0..20).await;
    let mut gateway = plant.gateway();
    let mut registry = plant.registry();
    plant.until_facts(20).await;
    until_status(&plant.clinic, "nothing is away", |shown| {
        !shown.contains("away:")
    })
    .await;
    plant.broker.settle().await.expect("the broker has settled");
    plant.broker.kill();
    plant.shots().insert(20..40).await;
    let shown = until_status(&plant.clinic, "both ways are away", |shown| {
        shown.contains("away: the queue cannot be reached for")
            && shown.contains("away: receipts cannot arrive for")
    });
    let shown = shown.await;
    assert!(shown.contains("daemon: running for"), "{shown}");
    // The alerts of docs/operations.md.
    for (metric, value) in [
        ("gateway_queue_state{state=\"down\"}", 1.0),
        ("gateway_receipts_connected", 0.0),
        (
            "gateway_circuit_state{endpoint=\"queue\",state=\"open\"}",
            1.0,
        ),
    ] {
        plant
            .until_metric(metric, |seen| (seen - value).abs() < 0.1)
            .await;
    }
    plant
        .until_metric("gateway_outbox_oldest_pending_seconds", |age| age > 14.0)
        .await;
    gateway.until_lines("receipts-failed", 1).await;
    assert_eq!(gateway.lines("receipts-again"), 0, "{}", gateway.log());
    plant
        .broker
        .restart()
        .await
        .expect("the broker starts again");
    plant.ends_equal().await;
    until_status(&plant.clinic, "nothing is away", |shown| {
        !shown.contains("away:")
    })
    .await;
    gateway.until_lines("receipts-again", 1).await;
    // What is told in the state and the metrics is logged at the end at the latest.
    assert_eq!(gateway.terminate().await, Some(0));
    assert_eq!(registry.terminate().await, Some(0));
    for (phrase, times) in [
        ("receipts-again", 1),
        ("publishing is interrupted", 1),
        ("consuming receipts is interrupted", 1),
        ("takes messages again", 0),
    ] {
        let told = gateway.lines(phrase);
        assert_eq!(told, times, "{phrase}: {}", gateway.log());
    }
    // A batch fails only if one was on its way.
    let failed = gateway.lines("publish-failed");
    assert!(failed <= 1, "{}", gateway.log());
    assert_eq!(gateway.lines("publish-again"), failed, "{}", gateway.log());
    assert_eq!(
        registry.lines("consuming batches is interrupted"),
        1,
        "{}",
        registry.log()
    );
    let shown = status(&plant.clinic);
    assert!(
        shown.contains("daemon: not running") && !shown.contains("away:"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_or_wrong_raises_its_alert_and_comes_back_with_a_line() {
    let mut plant = Plant::new(Settings::default()).await;
    plant.shots().insert(0..5).await;
    let mut gateway = plant.gateway();
    plant.until_metric(SENT, |sent| sent >= 5.0).await;
    plant
        .clinic_server
        .stop()
        .await
        .expect("the clinic's server stops");
    plant
        .until_metric(FAILURES, |failures| failures > 3.0)
        .await;
    gateway.until_lines("pull-failed", 1).await;
    plant
        .clinic_server
        .restart()
        .await
        .expect("the clinic's server starts again");
    plant
        .until_metric(FAILURES, |failures| failures < 1.0)
        .await;
    gateway.until_lines("pull-again", 1).await;

    plant
        .shots()
        .sql("ALTER TABLE clinic.shot RENAME COLUMN dose TO doses")
        .await;
    let shown = until_status(&plant.clinic, "the cause is told", |shown| {
        shown.contains("source-misconfigured") && shown.contains("cause: mis vaccinations:")
    });
    let shown = shown.await;
    assert!(
        shown.contains("dose") || shown.contains("42703"),
        "which column: {shown}"
    );
    let feed = &status_json(&plant.clinic)["status"]["feeds"][0];
    assert!(feed["last_error_why"].is_string(), "{feed}");
    plant
        .shots()
        .sql("ALTER TABLE clinic.shot RENAME COLUMN doses TO dose")
        .await;
    until_status(&plant.clinic, "the cause is gone", |shown| {
        !shown.contains("cause:")
    })
    .await;
    gateway.until_lines("pull-again", 2).await;
    assert_eq!(gateway.terminate().await, Some(0));
}

const SENT: &str = "gateway_records_total{source=\"mis\",feed=\"vaccinations\",outcome=\"new\"}";

#[tokio::test(flavor = "multi_thread")]
async fn receipts_for_another_key_are_told() {
    let plant = Plant::new(Settings::default()).await;
    let config = plant.clinic.config_path();
    let before = std::fs::read_to_string(&config).expect("the configuration");
    let right = plant.city.receipts.verifier().to_text();
    let wrong = ReceiptSigner::generate().verifier().to_text();
    std::fs::write(&config, before.replace(&right, &wrong)).expect("written");
    plant.shots().insert(0..20).await;
    let mut gateway = plant.gateway();
    let mut registry = plant.registry();
    let shown = until_status(&plant.clinic, "ignored receipts are told", |shown| {
        shown.contains("ignored:") && shown.contains("other-key")
    });
    assert!(shown.await.contains("receipt_keys"));
    let rejected = "gateway_receipts_rejected_total{reason=\"other-key\"}";
    plant.until_metric(rejected, |count| count >= 1.0).await;
    assert_eq!(gateway.terminate().await, Some(0));
    // Mended: a good receipt ends it.
    std::fs::write(&config, before).expect("written");
    let mut gateway = plant.gateway();
    plant.shots().insert(20..40).await;
    until_status(&plant.clinic, "nothing is ignored", |shown| {
        !shown.contains("ignored:")
    })
    .await;
    assert_eq!(gateway.terminate().await, Some(0));
    assert_eq!(registry.terminate().await, Some(0));
}

/// Names of the metrics that a table of the operator's page lists.
fn documented(prefix: &str) -> BTreeSet<String> {
    let page = include_str!("../../docs/operations.md");
    // Some are there with a section alone that these programs do not have.
    let rows = page.lines().filter(|line| {
        line.starts_with(&format!("| `{prefix}")) && !line.contains("; there with `[")
    });
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names
        .map(|name| name.split('{').next().unwrap_or(name).to_owned())
        .collect()
}

/// Names of the metrics on a page, `_sum`, `_count` and `_bucket` of a histogram as one.
fn scraped(port: u16, prefix: &str) -> Option<BTreeSet<String>> {
    let (_, page) = http_get(port, "/metrics")?;
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.filter_map(|rest| rest.split(' ').next());
    let names = names.filter(|name| name.starts_with(prefix));
    Some(names.map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_metric_is_there_from_the_start_and_every_metric_is_documented() {
    let Some(site) = Site::new(24, OnDisk::Store).await else {
        return;
    };
    let mut gateway = site.gateway();
    let mut registry = site.registry();
    for (port, prefix) in [
        (site.gateway_port, "gateway_"),
        (site.registry_port, "registry_"),
    ] {
        let expected = documented(prefix);
        assert!(expected.len() > 10, "{expected:?}");
        eventually(&format!("all metrics of {prefix}"), 30, async || {
            scraped(port, prefix).filter(|seen| *seen == expected)
        })
        .await;
    }
    assert_eq!(gateway.terminate().await, Some(0));
    assert_eq!(registry.terminate().await, Some(0));
}

fn ready(port: u16) -> Option<(u16, String)> {
    http_get(port, "/health/ready")
}

async fn until_ready(port: u16, what: &str, expected: u16, phrase: &str) {
    eventually(what, 60, async || {
        ready(port).filter(|(code, body)| *code == expected && body.contains(phrase))
    })
    .await;
}

async fn until_line(port: u16, line: &str) {
    eventually(&format!("the metric line {line}"), 60, async || {
        let (_, page) = http_get(port, "/metrics")?;
        page.lines().any(|seen| seen == line).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_outbox_is_told_everywhere_and_leaves_when_there_is_room() {
    let Some(site) = Site::new(24, OnDisk::Outbox).await else {
        return;
    };
    let (mut gateway, mut registry) = site.first_rows_settled().await;
    let port = site.gateway_port;
    until_ready(port, "ready at first", 200, "ready").await;
    assert!(!status(&site.clinic).contains("DISK"));
    site.disk.fill(700 << 10).expect("the disk is nearly full");
    until_line(
        port,
        "gateway_disk_state{disk=\"outbox\",state=\"nearly-full\"} 1",
    )
    .await;
    let shown = status(&site.clinic);
    assert!(
        shown.contains("DISK: the disk under the outbox is nearly full"),
        "{shown}"
    );
    site.disk.free().expect("there is room again");
    site.disk.fill(0).expect("the disk is full");
    site.shots().insert(100..3000).await;
    until_ready(
        port,
        "told as full",
        503,
        "the disk under the outbox is full",
    )
    .await;
    until_line(port, "gateway_disk_state{disk=\"outbox\",state=\"full\"} 1").await;
    let shown = status(&site.clinic);
    assert!(
        shown.contains("DISK: the disk under the outbox is full"),
        "{shown}"
    );
    let disk = &status_json(&site.clinic)["around"]["disks"][0];
    assert_eq!(
        (&disk["disk"], &disk["state"]),
        (&"outbox".into(), &"full".into())
    );
    let check = site.clinic.program(&["check"]);
    let told = text(&check);
    assert!(
        !check.status.success() && told.contains("outbox is full"),
        "{told}"
    );
    site.disk.free().expect("there is room again");
    until_ready(port, "ready again", 200, "ready").await;
    until_line(port, "gateway_disk_state{disk=\"outbox\",state=\"ok\"} 1").await;
    assert!(!status(&site.clinic).contains("DISK"));
    site.ends_equal(&mut gateway, &mut registry).await;
    assert!(gateway.lines("state-failed") <= 1, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_queue_directory_is_told_by_both_programs() {
    let Some(site) = Site::new(4, OnDisk::Queue).await else {
        return;
    };
    let (mut gateway, mut registry) = site.first_rows_settled().await;
    site.disk.fill(0).expect("the disk is full");
    site.shots().insert(100..300).await;
    let phrase = "the disk under the queue's directory is full";
    for port in [site.gateway_port, site.registry_port] {
        until_ready(port, "told as full", 503, phrase).await;
    }
    until_line(
        site.gateway_port,
        "gateway_disk_state{disk=\"queue\",state=\"full\"} 1",
    )
    .await;
    until_line(
        site.registry_port,
        "registry_disk_state{disk=\"queue\",state=\"full\"} 1",
    )
    .await;
    assert!(status(&site.clinic).contains(phrase));
    site.disk.free().expect("there is room again");
    site.ends_equal(&mut gateway, &mut registry).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_registrys_store_is_told_by_the_registry() {
    let Some(site) = Site::new(24, OnDisk::Store).await else {
        return;
    };
    let (mut gateway, mut registry) = site.first_rows_settled().await;
    let port = site.registry_port;
    site.disk.fill(0).expect("the disk is full");
    site.shots().insert(100..5000).await;
    until_ready(port, "told as full", 503, "is full").await;
    until_line(port, "registry_disk_state{disk=\"store\",state=\"full\"} 1").await;
    eventually("the failures are counted by their kind", 60, async || {
        let (_, page) = http_get(port, "/metrics")?;
        let name = "registry_store_errors_total{kind=\"disk-full\"} ";
        let count = page.lines().find_map(|line| line.strip_prefix(name))?;
        count.parse().ok().filter(|count: &f64| *count >= 2.0)
    })
    .await;
    let check = registry_command(&site.registry_config, &["check"])
        .output()
        .expect("it runs");
    assert!(
        text(&check).contains("the disk under the store is full"),
        "{}",
        text(&check)
    );
    site.disk.free().expect("there is room again");
    site.ends_equal(&mut gateway, &mut registry).await;
    registry.until_lines("works-again", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_is_told_though_the_outbox_cannot_even_be_opened() {
    let Some(site) = Site::new(24, OnDisk::Outbox).await else {
        return;
    };
    site.shots().insert(0..10).await;
    let first = site.clinic.program(&["sync", "--wait-receipts", "0"]);
    assert!(first.status.success(), "{}", text(&first));
    assert!(status_of(&site.outbox).await.is_some());
    remount(site.disk.path(), "ro").await;
    let shown = site.clinic.program(&["status"]);
    let told = text(&shown);
    assert!(
        told.contains("DISK: the disk under the outbox is read-only"),
        "{told}"
    );
    let check = site.clinic.program(&["check"]);
    assert!(!check.status.success(), "{}", text(&check));
    remount(site.disk.path(), "rw").await;
    assert!(!status(&site.clinic).contains("DISK"));
}

/// Remounts a disk, as soon as nobody has a file there open to write: a program that another thread
/// starts just now has our files until it is executed.
async fn remount(path: &Path, mode: &str) {
    eventually(&format!("remounted {mode}"), 60, async || {
        let done = std::process::Command::new("mount")
            .args(["-o", &format!("remount,{mode}")])
            .arg(path)
            .status();
        done.is_ok_and(|done| done.success()).then_some(())
    })
    .await;
}
