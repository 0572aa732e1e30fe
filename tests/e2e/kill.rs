//! `kill -9` of either program at any moment, again and again: in the end the registry equals the
//! clinic.

use std::time::Duration;

use crate::plant::{Plant, Settings};
use crate::support::{Running, stored_facts};

const ROWS: u32 = 5000;
const ROUNDS: u32 = 12;

/// Kills of the gateway during one initial load, and how many rows at the least are still to be
/// read at the start before each of them.
const KILLS: u32 = 100;
const LEFT: u32 = 1500;

/// Longest pause before a kill at first, in milliseconds. It doubles, up to [`LONGEST_MS`], after
/// [`KILLS_IN_VAIN`] kills in a row that came before anything was read, and is halved after one that
/// came when all was read: on a busy machine a gateway may need seconds to begin.
const FIRST_LONGEST_MS: u64 = 400;
const LONGEST_MS: u64 = 60_000;
const KILLS_IN_VAIN: u32 = 5;

/// Kills that may come too late beside: on a busy machine a gateway may run for seconds more, and
/// have read everything.
const TOO_LATE: u32 = 60;

/// Xorshift: the same seed kills at the same moments.
struct Dice(u64);

impl Dice {
    /// The seed is `KILL_SEED`, or always the same; it is printed.
    fn new() -> Self {
        let seed = std::env::var("KILL_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or(0x5eed_2021);
        println!("KILL_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    async fn pause(&mut self, least_ms: u64, most_ms: u64) {
        let pause_ms = least_ms + self.below(most_ms - least_ms);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}

fn vaccine(round: u32) -> &'static str {
    ["sputnik-v", "sputnik-light", "epivaccorona", "covivac"][(round % 4) as usize]
}

/// Changes some rows: most to another vaccine, a few are cancelled, a few hold again.
async fn change(plant: &Plant, dice: &mut Dice, round: u32) {
    let remainder = dice.below(10);
    let state = if dice.below(3) == 0 { "void" } else { "done" };
    let sql = format!(
        "UPDATE clinic.shot SET vaccine = '{}', state = '{state}', changed_at = clock_timestamp() \
         WHERE id % 10 = {remainder}",
        vaccine(round)
    );
    plant.shots().sql(&sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_the_registry_ends_equal_to_the_clinic() {
    let mut dice = Dice::new();
    let plant = Plant::new(Settings::default()).await;
    plant.shots().insert(0..ROWS).await;
    for round in 1..=ROUNDS {
        let command = if dice.below(3) == 0 { "sync" } else { "run" };
        let mut gateway = Running::start(plant.clinic.command(&[command]), &plant.gateway_log());
        let mut registry = plant.registry();
        if round > 2 {
            change(&plant, &mut dice, round).await;
        }
        dice.pause(20, 720).await;
        gateway.kill();
        dice.pause(20, 720).await;
        registry.kill();
    }
    let finished = plant.clinic.program(&["sync", "--wait-receipts", "0"]);
    assert!(
        finished.status.success(),
        "{}",
        String::from_utf8_lossy(&finished.stderr)
    );
    plant.registry_takes_everything().await;
    // What was left without a receipt is sent again in its time; what the registry holds is right
    // without it.
    plant.is_equal().await;
    let void: usize = plant
        .shots()
        .sql("SELECT count(*) FROM clinic.shot WHERE state = 'void'")
        .await
        .trim()
        .parse()
        .expect("a count");
    let reader = plant.city.reader(&plant.store).await;
    let facts = stored_facts(&reader).await;
    let withdrawn = facts.iter().filter(|fact| fact.fact.is_none()).count();
    assert!(void > 0, "nothing was cancelled");
    // The gateway's beacon is one more.
    let expected = (ROWS as usize + 1, void + 1);
    assert_eq!((facts.len(), withdrawn), expected);
    assert_eq!(plant.dead_letters().await, 0, "a kill made a dead letter");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_a_hundred_times_during_one_initial_load() {
    let mut dice = Dice::new();
    let plant = Plant::new(Settings {
        page_records: 50,
        outbox: "batch_events = 10\n",
        ..Settings::default()
    })
    .await;
    let mut registry = plant.registry();
    let mut rows = 0;
    let mut read = 0;
    let mut kills = 0;
    let mut too_late = 0;
    let mut in_vain = 0;
    let mut longest_ms = FIRST_LONGEST_MS;
    while kills < KILLS {
        // As many rows as are needed for the load to outlast the kills, however fast the machine
        // is.
        if rows < read + LEFT {
            plant.shots().insert(rows..read + 2 * LEFT).await;
            rows = read + 2 * LEFT;
            // No day may lie in the future, however many rows there are.
            let wrap =
                "UPDATE clinic.shot SET day = date '2020-12-01' + (id / 4) % 300 WHERE id >= 1200";
            plant.shots().sql(wrap).await;
        }
        let mut gateway = plant.gateway();
        dice.pause(20, longest_ms).await;
        gateway.kill();
        let before = read;
        read = rows_read(&plant).await;
        in_vain = if read > before { 0 } else { in_vain + 1 };
        if in_vain == KILLS_IN_VAIN {
            in_vain = 0;
            longest_ms = LONGEST_MS.min(2 * longest_ms);
        }
        if read < rows {
            kills += 1;
        } else {
            too_late += 1;
            longest_ms = FIRST_LONGEST_MS.max(longest_ms / 2);
            assert!(too_late <= TOO_LATE, "the load is always over at the kill");
        }
    }
    let arrived = plant.facts().await.expect("the registry's server answers");
    let log = std::fs::read_to_string(plant.gateway_log()).expect("the log can be read");
    let up = log.matches("event=\"started\"").count();
    assert!(!log.contains("error: "), "a gateway ended by itself: {log}");
    println!(
        "{kills} kills and {too_late} too late, {up} of a gateway that was up; {read} of {rows} rows were read, {arrived} \
         had arrived"
    );
    assert!(
        kills == KILLS && read > 0,
        "nothing was read between the kills"
    );

    let mut gateway = plant.gateway();
    plant.until_facts(rows as usize).await;
    plant.is_equal().await;
    assert_eq!(
        plant.facts().await,
        Some(rows as usize),
        "each row is one fact"
    );
    assert_eq!(plant.dead_letters().await, 0, "a kill made a dead letter");
    assert_eq!(gateway.terminate().await, Some(0), "{}", gateway.log());
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
}

/// How many rows the gateway knows; none while there is no outbox.
async fn rows_read(plant: &Plant) -> u32 {
    let Some(status) = plant.status().await else {
        return 0;
    };
    let read: u64 = status.feeds.iter().map(|feed| feed.new_total).sum();
    u32::try_from(read).expect("few rows")
}
