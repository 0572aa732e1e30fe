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
    /// `yes`, `no`, or a dash if it was not measured.
    pub met: &'static str,
}

/// Every goal, in order.
pub(crate) fn goals(results: &[PartResult]) -> Vec<Goal> {
    let of = |part: Part| results.iter().find(|result| result.part == part);
    let stages = of(Part::Stages);
    let peers = of(Part::Peers);
    let mut goals = reading_goals(stages);
    goals.extend(peer_goals(stages, peers));
    goals.push(at_least(
        "registry ≥ 70 % of a bare `COPY` of its rows",
        ratio(stages, name::REGISTRY, name::COPY_IN),
        0.7,
        percent,
    ));
    goals.push(memory("gateway", &GATEWAY_RUNS, results));
    goals.push(memory("registry", &[name::REGISTRY], results));
    goals.extend(latency(of(Part::Latency)));
    goals.push(idle(of(Part::Idle)));
    goals.extend(schemas(of(Part::Schemas)));
    goals.push(at_least(
        "FHIR: first load ≥ 80 % of a bare loop that follows the pages and parses them",
        single_figure(of(Part::Fhir), single::LOAD_OF_PAGES),
        0.8,
        percent,
    ));
    goals.push(at_least(
        "`voprf`: persons of a first load by a second of processor time, key services' included, \
         ≥ 80 % of the bare calls'",
        single_figure(of(Part::Suites), single::LOAD_OF_BARE),
        0.8,
        percent,
    ));
    let relay = at_least(
        "mix relay ≥ 70 % of a bare loop that consumes and publishes the same batches",
        single_figure(of(Part::Relay), single::RELAY_OF_BARE),
        0.7,
        percent,
    );
    let bound = single_figure(of(Part::Relay), single::RELAY_BOUND);
    goals.push(with_bound(relay, bound, percent));
    goals.extend(tokens(of(Part::Tokens)));
    goals.push(rekey(of(Part::Rekey)));
    goals.extend(asked(of(Part::Passes)));
    goals
}

/// Ratio of two figures at the largest size of a part.
fn ratio(result: Option<&PartResult>, one: &str, other: &str) -> Option<f64> {
    let (_, figures) = result?.sizes.last_key_value()?;
    Some(figures.of(one).over(&figures.of(other)).median())
}

/// Figure without a size, if it was measured.
fn single_figure(result: Option<&PartResult>, name: &str) -> Option<f64> {
    let value = result?.single.of(name).median();
    value.is_finite().then_some(value)
}

/// Goals on the gateway beside the bare keyset loops.
fn reading_goals(stages: Option<&PartResult>) -> Vec<Goal> {
    let postgres = at_least(
        "gateway ≥ 60 % of the bare keyset loop, PostgreSQL",
        ratio(stages, name::GATEWAY, name::KEYSET),
        0.6,
        percent,
    );
    let bound = ratio(stages, name::BOUND, name::KEYSET);
    let mariadb = at_least(
        "gateway ≥ 60 % of the bare keyset loop, MariaDB",
        ratio(stages, name::MARIADB_GATEWAY, name::MARIADB_KEYSET),
        0.6,
        percent,
    );
    vec![with_bound(postgres, bound, percent), mariadb]
}

/// Goals on the gateway beside its peers.
fn peer_goals(stages: Option<&PartResult>, peers: Option<&PartResult>) -> [Goal; 3] {
    // The bound was taken beside the gateway, and the gateway beside the peers; it must have been
    // the same one.
    let together = stages
        .zip(peers)
        .filter(|(one, other)| one.machine == other.machine);
    let bound_times = together.and_then(|_| ratio(stages, name::BOUND, name::GATEWAY));
    let goal = |text: &str, peer: &str, least: f64| {
        let times = single_figure(peers, peer);
        let bound = times.zip(bound_times).map(|(times, bound)| times * bound);
        with_bound(at_least(text, times, least, factor), bound, factor)
    };
    [
        goal(
            "gateway ≥ 5 × the best script that sends batches",
            single::BATCHING_SCRIPT,
            5.0,
        ),
        goal(
            "gateway ≥ 20 × the best script that sends a record a message",
            single::SINGLE_SCRIPT,
            20.0,
        ),
        goal("gateway ≥ 3 × the best general tool", single::TOOL, 3.0),
    ]
}

/// Adds to the measured figure what the machine's processors can give at most, see
/// [`name::BOUND`].
fn with_bound(mut goal: Goal, bound: Option<f64>, shown: fn(f64) -> String) -> Goal {
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
    let within = single_figure(result, single::INTERVAL).map(|interval| interval + PROMPT_MS);
    [
        goal(
            listening,
            single_figure(result, single::LATENCY_P99),
            Some(PROMPT_MS),
        ),
        goal(polled, single_figure(result, single::POLLED_MAX), within),
    ]
}

fn idle(result: Option<&PartResult>) -> Goal {
    let text = "an unchanged clinic of 10,000,000 records < 1 % of a core".to_owned();
    let Some((percent, records)) = single_figure(result, single::IDLE_PERCENT)
        .zip(single_figure(result, single::IDLE_RECORDS))
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

/// Goals on clinics whose tables are joined.
fn schemas(result: Option<&PartResult>) -> [Goal; 3] {
    let goal = |text: &str, name: &str, shown: fn(f64) -> String, kept: fn(f64) -> bool| {
        match single_figure(result, name) {
            None => unknown(text.to_owned()),
            Some(value) => Goal {
                text: text.to_owned(),
                measured: shown(value),
                met: verdict(kept(value), true),
            },
        }
    };
    [
        goal(
            "joined tables: first load ≥ 50 % of one pass over the same queries",
            single::LOAD_OF_STREAM,
            percent,
            |value| value >= 0.5,
        ),
        goal(
            "joined tables: first load at most 2 × slower than at single indexed tables",
            single::LOAD_BESIDE,
            factor,
            |value| value <= 2.0,
        ),
        goal(
            "joined tables: an unchanged run reads < 1,000 rows at the clinic's server",
            single::UNCHANGED_ROWS,
            short,
            |value| value < 1000.0,
        ),
    ]
}

/// Goal on a change of stored names, with what the database alone leaves of it.
fn rekey(result: Option<&PartResult>) -> Goal {
    let goal = at_least(
        "change of stored names to a new key ≥ 80 % of bare multiplications",
        single_figure(result, single::REKEY_OF_BARE),
        0.8,
        percent,
    );
    with_bound(goal, single_figure(result, single::REKEY_BOUND), percent)
}

/// Goals on one-use tokens.
fn tokens(result: Option<&PartResult>) -> [Goal; 3] {
    let goal = |text: &str, name: &str| {
        let text = format!("tokens: {text} ≥ 95 % of the same without them");
        at_least(&text, single_figure(result, name), 0.95, percent)
    };
    [
        goal(
            "the gateway's sending path, tokens in hand",
            single::TOKENS_SENDING,
        ),
        goal(
            "the gateway's first load, tokens fetched meanwhile",
            single::TOKENS_GATEWAY,
        ),
        goal("the registry", single::TOKENS_REGISTRY),
    ]
}

/// Goals on the look-up of a person beside a bare read by key.
fn asked(result: Option<&PartResult>) -> [Goal; 2] {
    let goal = |text: &str, name: &str, most: f64| {
        let found = single_figure(result, name);
        let Some((times, subjects)) = found.zip(single_figure(result, single::ASKED_SUBJECTS))
        else {
            return unknown(text.to_owned());
        };
        let subjects_text = grouped(&format!("{subjects:.0}"));
        Goal {
            text: text.to_owned(),
            measured: format!("{} at {subjects_text} persons", factor(times)),
            met: verdict(times <= most, subjects >= LARGEST_RECORDS),
        }
    };
    [
        goal(
            "eligibility among 10,000,000 persons ≤ 2 × a bare read by key, half of the answers",
            single::ASKED_P50,
            2.0,
        ),
        goal(
            "eligibility among 10,000,000 persons ≤ 1.3 × a bare read by key, 99 of 100 answers",
            single::ASKED_P99,
            1.3,
        ),
    ]
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
