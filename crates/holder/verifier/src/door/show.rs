//! Prints verdicts, in words or as JSON. An invalid pass shows nothing of its holder.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use pass::holder::HolderAttributes;
use pass::verify::{CANNOT_TELL_AFTER, Data, Reason, STALE_AFTER, Verdict};
use program::terminal;
use serde_json::{Value, json};

use super::data::Loaded;
use super::ending;
use super::root::Root;

/// Prints each verdict, then the state of the data, the city and its root.
pub(super) fn words(verdicts: &[Verdict], root: &Root, loaded: &Loaded, now: DateTime<Utc>) {
    for (index, verdict) in verdicts.iter().enumerate() {
        if verdicts.len() > 1 {
            terminal::print_line(format!("pass {}", index + 1));
        }
        print(verdict);
    }
    for note in &loaded.notes {
        terminal::print_note(note);
    }
    for line in freshness(loaded, now) {
        terminal::print_line(line);
    }
    terminal::print_line(format!(
        "city: {}, root {} (fingerprint {})",
        terminal::visible(&root.issuer),
        root.key.kid(),
        root.key.fingerprint()
    ));
}

/// Prints everything as one JSON object.
pub(super) fn json(verdicts: &[Verdict], root: &Root, loaded: &Loaded, now: DateTime<Utc>) {
    let whole = verdicts.iter().max_by_key(|verdict| ending(verdict));
    let data = loaded
        .held()
        .map_or(Data::CannotTell, |held| held.judge(now));
    let edition = loaded.revocations.as_ref().map(|list| {
        json!({
            "sequence": list.edition().sequence(),
            "issued-at": shown(list.edition().issued_at()),
        })
    });
    let trust = loaded.trust.as_ref().map(|trust| {
        json!({
            "sequence": trust.bundle().sequence,
            "issued-at": shown(trust.bundle().issued_at),
        })
    });
    let passes: Vec<Value> = verdicts.iter().map(one).collect();
    terminal::print_json(&json!({
        "verdict": whole.map(Verdict::as_str),
        "at": shown(now),
        "city": {
            "issuer": root.issuer,
            "root": root.key.kid().to_string(),
            "fingerprint": root.key.fingerprint(),
        },
        "data": {
            "state": data.as_str(),
            "trust": trust,
            "revocations": edition,
            "notes": loaded.notes,
        },
        "passes": passes,
    }));
}

fn one(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Valid(holder) | Verdict::Stale(holder) => {
            let attributes: serde_json::Map<String, Value> = attributes(*holder)
                .into_iter()
                .map(|(name, value)| (name.replace(' ', "-"), json!(value)))
                .collect();
            json!({ "verdict": verdict.as_str(), "holder": attributes })
        }
        Verdict::Invalid(reason) => {
            json!({ "verdict": verdict.as_str(), "reason": reason.as_str() })
        }
        Verdict::CannotTell | Verdict::ClockWrong => json!({ "verdict": verdict.as_str() }),
    }
}

fn print(verdict: &Verdict) {
    match verdict {
        Verdict::Valid(holder) => {
            let advice = if attributes(*holder).is_empty() {
                "let in"
            } else {
                "let in whom the document shows to be the holder"
            };
            terminal::print_line(format!("VALID: {advice}"));
            print_holder(*holder);
        }
        Verdict::Stale(holder) => {
            terminal::print_line(format!(
                "VALID BY OLD DATA: keys or revocations are older than {} hours; fetch new ones",
                STALE_AFTER.num_hours()
            ));
            print_holder(*holder);
        }
        Verdict::Invalid(reason) => {
            terminal::print_line(format!("INVALID: {} ({reason})", reason_in_words(*reason)));
        }
        Verdict::CannotTell => terminal::print_line(format!(
            "CANNOT TELL: keys or revocations are missing, refused, or older than {} hours; \
             fetch new ones",
            CANNOT_TELL_AFTER.num_hours()
        )),
        Verdict::ClockWrong => terminal::print_line(
            "CLOCK WRONG: the clock of this machine is before the issue of the keys; set it",
        ),
    }
}

fn print_holder(holder: HolderAttributes) {
    let attributes = attributes(holder);
    if attributes.is_empty() {
        terminal::print_line(
            "  the pass names no initial, day or month: there is nothing to compare with a \
             document",
        );
    }
    for (name, value) in attributes {
        terminal::print_line(format!("  {name}: {value}"));
    }
}

/// Attributes that the pass discloses, by name.
fn attributes(holder: HolderAttributes) -> Vec<(&'static str, String)> {
    let birth = holder.birth();
    let all = [
        (
            "given initial",
            holder
                .given_initial()
                .map(|letter| letter.as_str().to_owned()),
        ),
        (
            "family initial",
            holder
                .family_initial()
                .map(|letter| letter.as_str().to_owned()),
        ),
        ("birth day", birth.day().map(|day| day.to_string())),
        ("birth month", birth.month().map(|month| month.to_string())),
    ];
    let disclosed = all.into_iter();
    disclosed
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// State and age of the data in words, whatever could be opened of them.
fn freshness(loaded: &Loaded, now: DateTime<Utc>) -> [String; 3] {
    let state = loaded
        .held()
        .map_or(Data::CannotTell, |held| held.judge(now));
    let trust = loaded.trust.as_ref().map(|trust| {
        let bundle = trust.bundle();
        aged("bundle", bundle.sequence, bundle.issued_at, now)
    });
    let list = loaded.revocations.as_ref().map(|list| {
        let edition = list.edition();
        aged("list", edition.sequence(), edition.issued_at(), now)
    });
    let none = || "none that can be used".to_owned();
    [
        format!("data: {}", state.as_str()),
        format!("keys: {}", trust.unwrap_or_else(none)),
        format!("revocations: {}", list.unwrap_or_else(none)),
    ]
}

/// Number, time of issue and age of a bundle or list.
fn aged(name: &str, sequence: u64, issued: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let age = now.signed_duration_since(issued);
    let side = if age < TimeDelta::zero() {
        "ahead"
    } else {
        "old"
    };
    format!(
        "{name} {sequence} of {}, {} h {} min {side}",
        shown(issued),
        age.num_hours().abs(),
        age.num_minutes().abs() % 60,
    )
}

/// Words for a reason: what the person at the door, or the holder, can do about it.
const fn reason_in_words(reason: Reason) -> &'static str {
    match reason {
        Reason::NotAPass => "this is no pass: it does not begin with HC1:",
        Reason::Base45 => "the text is damaged: scan or copy it again, whole",
        Reason::Zlib => "the content is damaged: scan it again",
        Reason::Cbor | Reason::Cose => "the content is no pass",
        Reason::Algorithm => "it is signed in a way that passes are not",
        Reason::KeyUnknown => "it is signed by a key that the city does not know",
        Reason::KeyNotForThis => "it is signed by a key that is not for passes of this kind",
        Reason::KeyNotValidNow => "its key is not valid at this time",
        Reason::Signature => "the signature is wrong: it was forged or changed",
        Reason::Issuer => "it is of another city",
        Reason::Claims => "the content is not that of a pass of the city",
        Reason::SeriesIncomplete => "it states the first of two doses; the second is missing",
        Reason::NotYet => "it is for a later time",
        Reason::Expired => "it has expired: the holder needs today's pass",
        Reason::Revoked => "it was ended before its time",
    }
}

fn shown(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}
