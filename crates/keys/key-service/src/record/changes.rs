//! Changes of the configuration since they were last recorded, each as a line of the audit log.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Recorder;
use crate::config::ClientConfig;
use crate::error::OpenError;
use crate::keys::Keys;
use state_folder::StateFolder;

/// File of what was recorded last, in the folder of the counts.
const FILE: &str = "recorded.json";

/// Clients and keys as they were recorded last.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    /// Fingerprints of the public keys, by their numbers, with the use of tokens.
    keys: BTreeMap<u16, String>,
    /// Clients, by their names.
    clients: BTreeMap<String, RecordedClient>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedClient {
    certificate_fingerprint: Option<String>,
    daily_ceiling: u32,
}

impl Recorded {
    fn of(keys: &Keys, clients: &[ClientConfig]) -> Self {
        let client = |client: &ClientConfig| {
            let recorded = RecordedClient {
                certificate_fingerprint: client.certificate_fingerprint.map(|it| it.to_string()),
                daily_ceiling: client.daily_ceiling,
            };
            (client.name.clone(), recorded)
        };
        Self {
            keys: keys
                .public()
                .map(|key| (key.number, key.recorded()))
                .collect(),
            clients: clients.iter().map(client).collect(),
        }
    }
}

/// Writes a line for every key and client that was added, removed or changed since they were last
/// recorded; a crash in between records a change again.
pub(crate) fn record_changes(
    recorder: &Recorder,
    state: &StateFolder,
    keys: &Keys,
    clients: &[ClientConfig],
    now: DateTime<Utc>,
) -> Result<(), OpenError> {
    let before: Recorded = state.read(FILE)?.unwrap_or_default();
    let after = Recorded::of(keys, clients);
    if before == after {
        return Ok(());
    }
    for (number, change) in changes(&before.keys, &after.keys) {
        let fingerprint = after.keys.get(number);
        let details = json!({ "number": number, "change": change, "fingerprint": fingerprint });
        recorder.line(now, "key-changed", &details)?;
    }
    for (name, change) in changes(&before.clients, &after.clients) {
        let client = after.clients.get(name);
        let details = json!({ "client": name, "change": change, "now": client });
        recorder.line(now, "client-changed", &details)?;
    }
    let written = state.write(FILE, &after);
    written.map_err(|error| state.io_error(FILE, &error))?;
    Ok(())
}

/// Names of the entries that were added, removed or changed.
fn changes<'a, K: Ord, V: PartialEq>(
    before: &'a BTreeMap<K, V>,
    after: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'static str)> {
    let removed = before.keys().filter(|key| !after.contains_key(key));
    let removed = removed.map(|key| (key, "removed"));
    let others = after
        .iter()
        .filter_map(|(key, value)| match before.get(key) {
            None => Some((key, "added")),
            Some(old) => (old != value).then_some((key, "changed")),
        });
    removed.chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_found() {
        let before = BTreeMap::from([(1, 'a'), (2, 'b'), (3, 'c')]);
        let after = BTreeMap::from([(2, 'b'), (3, 'x'), (4, 'd')]);
        let found: Vec<_> = changes(&before, &after).collect();
        assert_eq!(found, [(&1, "removed"), (&3, "changed"), (&4, "added")]);
    }
}
