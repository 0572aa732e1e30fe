//! Description of one dead letter: counts and reasons only, never a pseudonym or a record.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::DeadLetter;
use chrono::{DateTime, Utc};
use contract::batch_id_of;
use linking::{OpenBatch, choose};
use program::terminal::print_line;
use serde_json::{Value, json};

use super::select::Summary;
use crate::open::{BatchContent, open_one};
use crate::{Keys, Reader};

/// Position of the key's id in a sealed batch: 8 bytes after the magic.
const KEY_ID: std::ops::Range<usize> = 4..12;
/// Number of characters of a key's text form that those bytes determine.
const KEY_CHARS: usize = 10;

/// Dead letter that an attempt was made to open.
pub(super) struct Inspected {
    summary: Summary,
    /// Number of dead letters that are this same batch.
    pub copies: u64,
    /// Beginning of the text form of the public key that it is sealed to.
    sealed_to: Option<String>,
    /// Content and the index of the private key that opened it, or the reason why none did.
    opened: Result<(BatchContent, usize), &'static str>,
    /// Number of events that the registry would refuse now, by reason.
    refused: BTreeMap<&'static str, usize>,
    /// True if the store was asked for what it holds.
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

    /// Counts the events that would be refused; without a store, those that the batch alone shows.
    pub(super) async fn compare(&mut self, reader: Option<&Reader>) {
        let Ok((BatchContent::Facts(batch), _)) = &self.opened else {
            return;
        };
        let records: Vec<[u8; 32]> = batch
            .events
            .iter()
            .map(|event| event.record.stored)
            .collect();
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

    pub(super) fn print(&self) {
        let copies = if self.copies > 1 {
            format!(", {} times", self.copies)
        } else {
            String::new()
        };
        print_line(format!("batch      {}{copies}", self.summary.id));
        print_line(format!("reason     {}", self.summary.reason_text()));
        print_line(format!("size       {} bytes", self.summary.bytes));
        print_line(format!(
            "sealed to  {}",
            self.sealed_to
                .as_ref()
                .map_or("nothing".into(), |key| format!("{key}…"))
        ));
        let (content, key) = match &self.opened {
            Err(why) => return print_line(format!("opens now  no: {why}")),
            Ok(opened) => opened,
        };
        let with = if *key == 0 {
            "the private key in use"
        } else {
            "an earlier private key"
        };
        print_line(format!("opens now  yes, with {with}"));
        let batch = match content {
            BatchContent::Probe(probe) => {
                return print_line(format!(
                    "holds      a question about {} records",
                    probe.probed.len()
                ));
            }
            BatchContent::Facts(batch) => batch,
        };
        print_line(format!(
            "holds      {} readable events: {}",
            batch.events.len(),
            counts_text(&kinds(batch))
        ));
        let alone = if self.compared {
            ""
        } else {
            " (without asking the store, which does not answer)"
        };
        print_line(format!("refused    {}{alone}", counts_text(&self.refused)));
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
                    BatchContent::Probe(probe) => {
                        shown["probed_records"] = json!(probe.probed.len())
                    }
                    BatchContent::Facts(batch) => {
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

/// Counts events by kind, withdrawn ones included.
fn kinds(batch: &OpenBatch) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for event in &batch.events {
        *kinds.entry(event.kind.as_str()).or_default() += 1;
    }
    kinds
}

/// Formats counts by name, such as `test 2, vaccination 5`.
fn counts_text(counts: &BTreeMap<&'static str, usize>) -> String {
    let entries: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if entries.is_empty() {
        "none".into()
    } else {
        entries.join(", ")
    }
}
