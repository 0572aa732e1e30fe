//! Goals, the figures measured for them, and whether they are met: computed from the figures alone.

use crate::arguments::Part;
use crate::results::samples::{grouped, short};
use crate::results::{Figures, PartResult, name, single};

/// The largest clinic that goals speak of.
const LARGEST_RECORDS: f64 = 1e7;
/// Goal for the time that a fact of a listening source takes, and for that of a polled one beyond
/// its interval, in milliseconds.
const PROMPT_MS: f64 = 2000.0;
/// Most memory, MiB.
const MEMORY_MIB: f64 = 128.0;

/// A row of the table.
pub(crate) struct Goal {
    /// Text of the goal.
    pub text: String,
    /// Text of the measured figure.
    pub measured: String,
    /// `yes`, `no`, or that it cannot be told.
    pub met: &'static str,
}

/// Every goal, in order.
pub(crate) fn goals(results: &[PartResult]) -> Vec<Goal> {
    let of = |part: Part| results.iter().find(|result| result.part == part);
    let stages = of(Part::Stages);
    let peers = of(Part::Peers);
    let ratio = |one: &str, other: &str| {
        let (_, figures) = stages?.sizes.last_key_value()?;
        Some(figures.of(one).over(&figures.of(other)).median())
    };
    let times = |peer: &str| Some(peers?.single.of(peer).median());
    // The bound was taken beside the gateway, and the gateway beside the peers; it must have been
    // the same one.
    let together = stages
        .zip(peers)
        .filter(|(one, other)| one.machine == other.machine);
    let bound_times = together.and_then(|_| ratio(name::BOUND, name::GATEWAY));
    let beside_peers = |text: &str, peer: &str, least: f64| {
        let bound = times(peer)
            .zip(bound_times)
            .map(|(times, bound)| times * bound);
        within(at_least(text, times(peer), least, factor), bound, factor)
    };
    let mut goals = vec![
        within(
            at_least(
                "gateway ≥ 60 % of the bare keyset loop, PostgreSQL",
                ratio(name::GATEWAY, name::KEYSET),
                0.6,
                percent,
            ),
            ratio(name::BOUND, name::KEYSET),
            percent,
        ),
        at_least(
            "gateway ≥ 60 % of the bare keyset loop, MariaDB",
            ratio(name::MARIADB_GATEWAY, name::MARIADB_KEYSET),
            0.6,
            percent,
        ),
        beside_peers(
            "gateway ≥ 5 × the best script that sends batches",
            single::BATCHING_SCRIPT,
            5.0,
        ),
        beside_peers(
            "gateway ≥ 20 × the best script that sends a record a message",
            single::SINGLE_SCRIPT,
            20.0,
        ),
        beside_peers("gateway ≥ 3 × the best general tool", single::TOOL, 3.0),
        at_least(
            "registry ≥ 70 % of a bare `COPY` of its rows",
            ratio(name::REGISTRY, name::COPY_IN),
            0.7,
            percent,
        ),
    ];
    goals.push(memory("gateway", &GATEWAY_RUNS, results));
    goals.push(memory("registry", &[name::REGISTRY], results));
    goals.extend(latency(of(Part::Latency)));
    goals.push(idle(of(Part::Idle)));
    goals
}

/// Says beside what was measured what the machine's processors can give at most, see
/// [`name::BOUND`].
fn within(mut goal: Goal, bound: Option<f64>, shown: fn(f64) -> String) -> Goal {
    if let Some(bound) = bound.filter(|bound| bound.is_finite()) {
        goal.measured
            .push_str(&format!(" (bound: {})", shown(bound)));
    }
    goal
}

/// Everything a gateway's memory is measured in.
const GATEWAY_RUNS: [&str; 7] = [
    name::GATEWAY,
    name::MARIADB_GATEWAY,
    name::AGAIN,
    name::FULL,
    name::SWEEP,
    name::RECONCILE,
    name::RESTART,
];

/// The greatest memory at any size, and up to which size it is known.
fn memory(program: &str, runs: &[&str], results: &[PartResult]) -> Goal {
    let peaks = |figures: &Figures| {
        runs.iter()
            .map(|run| figures.of(&name::peak(run)).greatest())
            .fold(f64::NAN, f64::max)
    };
    let measured = results.iter().flat_map(|result| &result.sizes);
    let measured: Vec<(u64, f64)> = measured
        .map(|(records, figures)| (*records, peaks(figures)))
        .filter(|(_, peak)| peak.is_finite())
        .collect();
    let text = format!("{program}'s peak memory < {MEMORY_MIB} MiB at any number of records");
    let Some(largest) = measured.iter().map(|(records, _)| *records).max() else {
        return unknown(text);
    };
    let peak = measured
        .iter()
        .map(|(_, peak)| *peak)
        .fold(f64::NAN, f64::max);
    let known = largest as f64 >= LARGEST_RECORDS;
    Goal {
        text,
        measured: format!(
            "{} MiB up to {} records",
            short(peak),
            grouped(&largest.to_string())
        ),
        met: verdict(peak < MEMORY_MIB, known),
    }
}

fn latency(result: Option<&PartResult>) -> [Goal; 2] {
    let figure = |name: &str| {
        result
            .map(|result| result.single.of(name).median())
            .filter(|value| value.is_finite())
    };
    let listening =
        "listening source, 1000 facts/s: 99 of 100 from commit to commit in < 2 s".to_owned();
    let polled = "polled source, 1000 facts/s: every fact within its interval and 2 s".to_owned();
    let goal = |text: String, found: Option<f64>, most_ms: Option<f64>| match found.zip(most_ms) {
        None => unknown(text),
        Some((ms, most_ms)) => Goal {
            text,
            measured: format!("{} s", short(ms / 1000.0)),
            met: verdict(ms < most_ms, true),
        },
    };
    let within = figure(single::INTERVAL).map(|interval| interval + PROMPT_MS);
    [
        goal(listening, figure(single::LATENCY_P99), Some(PROMPT_MS)),
        goal(polled, figure(single::POLLED_MAX), within),
    ]
}

fn idle(result: Option<&PartResult>) -> Goal {
    let text = "an unchanged clinic of 10,000,000 records < 1 % of a core".to_owned();
    let figure = |name: &str| {
        result
            .map(|result| result.single.of(name).median())
            .filter(|value| value.is_finite())
    };
    let Some((percent, records)) = figure(single::IDLE_PERCENT).zip(figure(single::IDLE_RECORDS))
    else {
        return unknown(text);
    };
    let measured = format!(
        "{} % at {} records",
        short(percent),
        grouped(&format!("{records:.0}"))
    );
    Goal {
        text,
        measured,
        met: verdict(percent < 1.0, records >= LARGEST_RECORDS),
    }
}

fn at_least(text: &str, found: Option<f64>, least: f64, shown: fn(f64) -> String) -> Goal {
    match found.filter(|value| value.is_finite()) {
        None => unknown(text.to_owned()),
        Some(value) => Goal {
            text: text.to_owned(),
            measured: shown(value),
            met: verdict(value >= least, true),
        },
    }
}

/// A goal that is missed at smaller sizes is missed; one that is kept there may still be missed at
/// larger ones.
const fn verdict(kept: bool, known: bool) -> &'static str {
    match (kept, known) {
        (true, true) => "yes",
        (true, false) => "so far",
        (false, _) => "**no**",
    }
}

fn unknown(text: String) -> Goal {
    Goal {
        text,
        measured: "not measured".to_owned(),
        met: "–",
    }
}

fn percent(value: f64) -> String {
    format!("{} %", short(value * 100.0))
}

fn factor(value: f64) -> String {
    format!("{} ×", short(value))
}
