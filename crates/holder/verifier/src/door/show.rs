//! Prints verdicts, in words or as JSON. An invalid pass shows nothing of its holder.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use pass::holder::HolderAttributes;
use pass::verify::{CANNOT_TELL_AFTER, Data, Reason, STALE_AFTER, Verdict};
use program::terminal;
use serde_json::{Value, json};

use super::data::Loaded;
use super::ending;

/// Prints each verdict, then the state of the data.
pub(super) fn words(verdicts: &[Verdict], loaded: &Loaded, now: DateTime<Utc>) {
    for (index, verdict) in verdicts.iter().enumerate() {
        if verdicts.len() > 1 {
            terminal::print_line(format!("pass {}", index + 1));
        }
        print(verdict);
    }
    for note in &loaded.notes {
        terminal::print_note(note);
    }
    terminal::print_line(freshness(loaded, now));
}

/// Prints everything as one JSON object.
pub(super) fn json(verdicts: &[Verdict], loaded: &Loaded, now: DateTime<Utc>) {
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
            terminal::print_line("VALID: let in whom the document shows to be the holder");
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
        terminal::print_line("  the pass discloses nothing of its holder");
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

/// Age of the data in words.
fn freshness(loaded: &Loaded, now: DateTime<Utc>) -> String {
    let Some(held) = loaded.held() else {
        return "keys and revocations: none that can be used".to_owned();
    };
    let age = now
        .signed_duration_since(held.issued_at())
        .max(TimeDelta::zero());
    format!(
        "keys and revocations: {} ({} h {} min old; bundle {}, list {})",
        held.judge(now).as_str(),
        age.num_hours(),
        age.num_minutes() % 60,
        held.trust.sequence,
        held.revocations.edition().sequence(),
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
        Reason::NotYet => "it is for a later time",
        Reason::Expired => "it has expired: the holder needs today's pass",
        Reason::Revoked => "it was ended before its time",
    }
}

fn shown(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}
