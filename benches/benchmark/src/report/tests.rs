//! The page, composed from made-up figures.

use chrono::DateTime;

use super::*;
use crate::results::single;

fn result(part: Part, commit: &str) -> PartResult {
    let machine = [
        ("processor", "2 cores"),
        ("memory", "4 GiB"),
        ("kernel", "Linux"),
        ("commit", commit),
    ];
    let machine = machine
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    let mut result = PartResult::new(
        part,
        DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
        machine,
    );
    result.probes.push(name::FSYNC, 0.15);
    result.probes.push(name::WRITE, 205.0);
    result
}

fn stages() -> PartResult {
    let mut stages = result(Part::Stages, "abc");
    for (records, keyset) in [(1000, 1e6), (1_000_000, 5e5)] {
        let figures = stages.sizes.entry(records).or_default();
        for repetition in 1..=3_u8 {
            let speed = f64::from(repetition);
            figures.push(name::KEYSET, keyset * speed);
            figures.push(name::GATEWAY, 350_000.0 * speed);
            figures.push(name::BOUND, 450_000.0 * speed);
            figures.push(&name::peak(name::GATEWAY), 100.0 + speed);
            figures.push(name::REGISTRY, 60_000.0);
            figures.push(name::COPY_IN, 100_000.0);
            figures.push(name::PUBLISH_SECONDS, 2.0);
        }
        figures.push(name::BATCHES, 4000.0);
    }
    stages.settings.push((
        "events in a batch, at most".into(),
        "250 (the default)".into(),
    ));
    stages
}

fn peers() -> PartResult {
    let mut peers = result(Part::Peers, "abc");
    peers.single.push(single::BATCHING_SCRIPT, 7.0);
    peers.single.push(single::SINGLE_SCRIPT, 70.0);
    peers.table.head = vec!["peer".into(), "records/s".into()];
    peers.table.rows = vec![vec!["a | b".into(), "10,000".into()]];
    peers
}

fn goal<'a>(page: &'a str, begins: &str) -> &'a str {
    page.lines()
        .find(|line| line.starts_with(&format!("| {begins}")))
        .unwrap_or("none")
}

#[test]
fn goals_are_computed_from_the_largest_stages() {
    let page = tables(&[stages(), peers()]);
    // 350,000 of 500,000 in every repetition, although the rates differ.
    assert!(
        goal(&page, "gateway ≥ 60 % of the bare keyset loop, PostgreSQL")
            .ends_with("| 70.0 % (bound: 90.0 %) | yes |"),
        "{page}"
    );
    assert!(
        goal(&page, "gateway ≥ 60 % of the bare keyset loop, MariaDB")
            .ends_with("| not measured | – |")
    );
    assert!(
        goal(&page, "gateway ≥ 5 ×").ends_with("| 7.00 × (bound: 9.00 ×) | yes |"),
        "{page}"
    );
    assert!(goal(&page, "gateway ≥ 20 ×").ends_with("| 70.0 × (bound: 90.0 ×) | yes |"));
    assert!(goal(&page, "gateway ≥ 3 ×").ends_with("| not measured | – |"));
    assert!(goal(&page, "registry ≥ 70 %").ends_with("| 60.0 % | **no** |"));
    assert!(
        goal(&page, "gateway's peak memory")
            .ends_with("| 103 MiB up to 1,000,000 records | so far |")
    );
    assert!(goal(&page, "registry's peak memory").ends_with("| not measured | – |"));
}

#[test]
fn latency_and_idle_cost_are_judged_by_their_own_limits() {
    let mut latency = result(Part::Latency, "abc");
    let mut idle = result(Part::Idle, "abc");
    latency.single.push(single::LATENCY_P99, 2100.0);
    latency.single.push(single::POLLED_MAX, 61_500.0);
    latency.single.push(single::INTERVAL, 60_000.0);
    idle.single.push(single::IDLE_RECORDS, 1e7);
    idle.single.push(single::IDLE_PERCENT, 0.4);
    let page = tables(&[latency, idle.clone()]);
    assert!(
        goal(&page, "listening source").ends_with("| 2.10 s | **no** |"),
        "{page}"
    );
    assert!(
        goal(&page, "polled source").ends_with("| 61.5 s | yes |"),
        "{page}"
    );
    assert!(
        goal(&page, "an unchanged clinic").ends_with("| 0.400 % at 10,000,000 records | yes |"),
        "{page}"
    );
    idle.single.push(single::IDLE_PERCENT, 2.0);
    idle.single.push(single::IDLE_RECORDS, 1e6);
    assert!(goal(&tables(&[idle]), "an unchanged clinic").contains("**no**"));
}

#[test]
fn a_load_in_the_suite_voprf_is_judged_by_the_bare_calls() {
    let page = |ratio: f64| {
        let mut suites = result(Part::Suites, "abc");
        suites.single.push(single::LOAD_OF_BARE, ratio);
        tables(&[suites])
    };
    let begins = "`voprf`: persons of a first load";
    let least = page(0.8);
    assert!(goal(&least, begins).ends_with("| 80.0 % | yes |"));
    assert!(least.contains("## A clinic in each pseudonym suite"));
    assert!(goal(&page(0.799), begins).ends_with("| 79.9 % | **no** |"));
    let unknown = page(f64::NAN);
    assert!(goal(&unknown, begins).ends_with("| not measured | – |"));
}

#[test]
fn a_look_up_is_judged_by_a_read_by_key() {
    let mut passes = result(Part::Passes, "abc");
    passes.single.push(single::ASKED_SUBJECTS, 1e7);
    passes.single.push(single::ASKED_P50, 2.0);
    passes.single.push(single::ASKED_P99, 1.31);
    let page = tables(&[passes.clone()]);
    let [half, most] = ["half of", "99 of 100"].map(|which| {
        let mut lines = page
            .lines()
            .filter(|line| line.starts_with("| eligibility among"));
        lines.find(|line| line.contains(which)).unwrap_or("none")
    });
    assert!(
        half.ends_with("| 2.00 × at 10,000,000 persons | yes |"),
        "{page}"
    );
    assert!(
        most.ends_with("| 1.31 × at 10,000,000 persons | **no** |"),
        "{page}"
    );
    passes.single.push(single::ASKED_SUBJECTS, 1e6);
    passes.single.push(single::ASKED_SUBJECTS, 1e6);
    assert!(goal(&tables(&[passes]), "eligibility among").ends_with("| so far |"));
}

#[test]
fn peers_are_judged_by_the_gateway_that_ran_beside_them() {
    let page = tables(&[peers()]);
    assert!(
        goal(&page, "gateway ≥ 5 ×").ends_with("| 7.00 × | yes |"),
        "without stages no bound is known"
    );
    let mut older = stages();
    older.machine.pop();
    let page = tables(&[older, peers()]);
    assert!(
        goal(&page, "gateway ≥ 5 ×").ends_with("| 7.00 × | yes |"),
        "the bound of another gateway does not count"
    );
    assert!(goal(&tables(&[stages()]), "gateway ≥ 5 ×").ends_with("| not measured | – |"));
}

#[test]
fn every_table_names_when_where_and_on_which_disk() {
    let mut growth = result(Part::Growth, "def");
    growth
        .sizes
        .entry(10_000)
        .or_default()
        .push(name::GATEWAY, 40_000.0);
    growth
        .failures
        .push("growth, 10000 records, sweep: gone".into());
    let page = page(&[stages(), peers(), growth]);
    let captions: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("Measured 20"))
        .collect();
    // Two tables of stages, one of peers, three of growth.
    assert_eq!(captions.len(), 6, "{page}");
    let disk = "Disk meanwhile: fsync of 4 KiB 0.150 ms, writing 205 MB/s";
    assert!(captions.iter().all(|line| line.contains(disk)), "{page}");
    assert_eq!(
        captions[0],
        format!(
            "Measured 2026-09-21 14:13 UTC on machine 1. {disk}; events in a batch, at most: 250 \
             (the default)."
        )
    );
    assert!(captions[5].contains("on machine 2."), "{page}");
    assert!(page.contains("\n| commit | abc | def |\n"), "{page}");
    assert!(page.contains("\nFailed: growth, 10000 records, sweep: gone\n"));
    assert!(page.contains("| a \\| b | 10,000 |"));
    assert!(page.contains("## An unchanged clinic\n\nNot measured yet.\n"));
    assert!(page.contains(
        "| **gateway: PostgreSQL → sealed → broker-confirmed, records/s** | 700,000 \
         (350,000–1,050,000) "
    ));
    assert!(
        page.contains("| broker: the same, batches/s | 2,000 | 2,000 | the same |"),
        "{page}"
    );
}

#[test]
fn a_page_of_nothing_says_so() {
    let page = page(&[]);
    assert!(
        page.starts_with("# Performance\n")
            && page.contains("## Machine and versions\n\nNot measured yet.\n")
    );
    // Every table has as many cells in each of its rows as in its head.
    for table in super::page(&[stages(), peers()])
        .split("\n\n")
        .filter(|block| block.starts_with('|'))
    {
        let bars: Vec<usize> = table
            .lines()
            .map(|line| line.replace("\\|", "").matches('|').count())
            .collect();
        assert!(bars.windows(2).all(|two| two[0] == two[1]), "{table}");
    }
}
