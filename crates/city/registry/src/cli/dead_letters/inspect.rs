//! What one dead letter is: counts and reasons only, never a pseudonym or a record.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::DeadLetter;
use chrono::{DateTime, Utc};
use contract::batch_id_of;
use linking::{OpenBatch, choose};
use serde_json::{Value, json};

use telemetry::terminal as out;

use super::select::Summary;
use crate::open::{Content, open_one};
use crate::{Keys, Reader};

/// Where the id of the key stands in a sealed batch: its first 8 bytes, after the magic.
const KEY_ID: std::ops::Range<usize> = 4..12;
/// Characters of a key's text form that those bytes tell for certain.
const KEY_CHARS: usize = 10;

/// A letter, looked at.
pub(super) struct Inspected {
    summary: Summary,
    /// How many letters are this very batch.
    pub copies: u64,
    /// The beginning of the public key it is sealed to, as a text form begins.
    sealed_to: Option<String>,
    /// What it holds and which of the private keys opened it, or why it cannot be opened.
    opened: Result<(Content, usize), &'static str>,
    /// How many events the registry would refuse now, by reason.
    refused: BTreeMap<&'static str, usize>,
    /// Whether the store was asked, too.
    compared: bool,
}

impl Inspected {
    pub(super) fn of(letter: &DeadLetter, keys: &Keys, now: DateTime<Utc>) -> Self {
        let opened = open_one(&letter.bytes, keys, now);
        let head = |id: &[u8]| format!("cgpk1:{}", &URL_SAFE_NO_PAD.encode(id)[..KEY_CHARS]);
        Self {
            summary: Summary::of(letter),
            copies: 1,
            sealed_to: batch_id_of(&letter.bytes)
                .and_then(|_| letter.bytes.get(KEY_ID))
                .map(head),
            opened: opened
                .map(|opened| (opened.content, opened.key_index))
                .map_err(|reason| reason.code),
            refused: BTreeMap::new(),
            compared: false,
        }
    }

    pub(super) fn is_same(&self, letter: &DeadLetter) -> bool {
        self.summary == Summary::of(letter)
    }

    /// Finds out what would be refused; without a store, what the batch alone tells.
    pub(super) async fn compare(&mut self, reader: Option<&Reader>) {
        let Ok((Content::Facts(batch), _)) = &self.opened else {
            return;
        };
        let records: Vec<[u8; 32]> = batch.events.iter().map(|event| event.record).collect();
        let stored = match reader {
            Some(reader) => reader.store.stored(&records).await.ok(),
            None => None,
        };
        self.compared = stored.is_some();
        let chosen = choose(&[batch], &stored.unwrap_or_default());
        for refusal in batch.refusals.iter().chain(&chosen.refusals) {
            *self.refused.entry(refusal.reason.as_str()).or_default() += 1;
        }
    }

    pub(super) fn say(&self) {
        let copies = if self.copies > 1 {
            format!(", {} times", self.copies)
        } else {
            String::new()
        };
        out::say(format!("batch      {}{copies}", self.summary.id));
        out::say(format!("reason     {}", self.summary.reason_word()));
        out::say(format!("size       {} bytes", self.summary.bytes));
        out::say(format!(
            "sealed to  {}",
            self.sealed_to
                .as_ref()
                .map_or("nothing".into(), |key| format!("{key}…"))
        ));
        let (content, key) = match &self.opened {
            Err(why) => return out::say(format!("opens now  no: {why}")),
            Ok(opened) => opened,
        };
        let with = if *key == 0 {
            "the private key in use"
        } else {
            "an earlier private key"
        };
        out::say(format!("opens now  yes, with {with}"));
        let batch = match content {
            Content::Probe(probe) => {
                return out::say(format!(
                    "holds      a question about {} records",
                    probe.probed.len()
                ));
            }
            Content::Facts(batch) => batch,
        };
        out::say(format!(
            "holds      {} readable events: {}",
            batch.events.len(),
            words(&kinds(batch))
        ));
        let alone = if self.compared {
            ""
        } else {
            " (without asking the store, which does not answer)"
        };
        out::say(format!("refused    {}{alone}", words(&self.refused)));
    }

    pub(super) fn json(&self) -> Value {
        let mut shown = json!({
            "batch": self.summary.id, "copies": self.copies, "reason": self.summary.reason,
            "bytes": self.summary.bytes, "sealed_to": self.sealed_to, "opens": self.opened.is_ok(),
        });
        match &self.opened {
            Err(why) => shown["why_not"] = json!(why),
            Ok((content, key)) => {
                shown["earlier_key"] = json!(*key > 0);
                match content {
                    Content::Probe(probe) => shown["probed_records"] = json!(probe.probed.len()),
                    Content::Facts(batch) => {
                        shown["events"] = json!(kinds(batch));
                        shown["would_be_refused"] = json!(self.refused);
                        shown["store_asked"] = json!(self.compared);
                    }
                }
            }
        }
        shown
    }
}

/// How many events of which kind; taken back or not is one.
fn kinds(batch: &OpenBatch) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for event in &batch.events {
        *kinds.entry(event.kind.as_str()).or_default() += 1;
    }
    kinds
}

fn words(counts: &BTreeMap<&'static str, usize>) -> String {
    let words: Vec<String> = counts
        .iter()
        .map(|(word, count)| format!("{word} {count}"))
        .collect();
    if words.is_empty() {
        "none".into()
    } else {
        words.join(", ")
    }
}
