//! Selection of dead letters by id and reason.

use broker::DeadLetter;
use clap::Args;
use contract::batch_id_of;
use program::Failure;
use program::terminal::visible;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::open::reason_codes;

/// Filters; what is not given does not restrict.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Batch ids, or their first characters (4 or more), as `list` shows them.
    #[arg(value_name = "ID", value_parser = id)]
    pub ids: Vec<String>,
    /// Only those that are here for this reason, such as sealed-to-another-key.
    #[arg(long)]
    pub reason: Option<String>,
}

impl Selection {
    pub(super) fn matches(&self, letter: &Summary) -> bool {
        let id_matches = self.ids.is_empty() || self.ids.iter().any(|id| letter.id.starts_with(id));
        id_matches
            && self
                .reason
                .as_deref()
                .is_none_or(|reason| letter.reason.as_deref() == Some(reason))
    }
}

impl Selection {
    /// Refuses a reason that no dead letter ever has; to be asked once none has met the selection.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the reasons there are.
    pub(super) fn require_known_reason(&self) -> Result<(), Failure> {
        let Some(reason) = self.reason.as_deref() else {
            return Ok(());
        };
        let mut known = reason_codes();
        if known.any(|code| code == reason) {
            return Ok(());
        }
        let known: Vec<&str> = reason_codes().collect();
        Err(Failure::Usage(format!(
            "no reason is named {}; there are: {}",
            visible(reason),
            known.join(", ")
        )))
    }
}

/// Parses the beginning of an id.
pub(super) fn id(text: &str) -> Result<String, &'static str> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.strip_prefix(NO_BATCH).unwrap_or(&text);
    let fits = digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits {
        Ok(text)
    } else {
        Err("write at least 4 characters of an id, as `dead-letters list` shows them")
    }
}

/// Beginning of the id that is made up for a dead letter that is no batch.
const NO_BATCH: &str = "raw-";

/// Id, reason and size of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    /// Id of the batch in hex; for what is no batch, `raw-` and the first bytes of its SHA-256.
    pub id: String,
    pub reason: Option<String>,
    pub bytes: u64,
}

impl Summary {
    pub(super) fn of(letter: &DeadLetter) -> Self {
        let id = match batch_id_of(&letter.bytes) {
            Some(id) => id.to_hex(),
            None => format!(
                "{NO_BATCH}{}",
                hex::encode(&Sha256::digest(&letter.bytes)[..8])
            ),
        };
        Self {
            id,
            reason: letter.reason.clone(),
            bytes: letter.cut_from.unwrap_or(letter.bytes.len() as u64),
        }
    }

    pub(super) fn row(&self) -> [String; 3] {
        [
            self.id.clone(),
            self.reason_text().to_owned(),
            self.bytes.to_string(),
        ]
    }

    pub(super) fn json(&self) -> Value {
        json!({ "batch": self.id, "reason": self.reason, "bytes": self.bytes })
    }

    pub(super) fn reason_text(&self) -> &str {
        self.reason.as_deref().unwrap_or("unknown")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_short_but_not_any_text() {
        assert_eq!(id(" 00FFab ").as_deref(), Ok("00ffab"));
        assert_eq!(id("raw-0011").as_deref(), Ok("raw-0011"));
        for bad in ["", "abc", "raw-", "ivanov", "*"] {
            assert!(id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reason_that_there_is_not_is_a_mistake() {
        let known = |reason: Option<&str>| {
            let selection = Selection {
                ids: Vec::new(),
                reason: reason.map(str::to_owned),
            };
            selection
                .require_known_reason()
                .map_err(|error| error.to_string())
        };
        assert_eq!(known(None), Ok(()));
        for reason in ["store-refuses", "too-large", "given-up"] {
            assert_eq!(known(Some(reason)), Ok(()));
        }
        let error = known(Some("datum")).unwrap_err();
        assert!(error.contains("no reason is named datum") && error.contains("given-up"));
    }

    #[test]
    fn ids_and_reason_both_restrict() {
        let letter = |id: &str, reason: &str| Summary {
            id: id.into(),
            reason: Some(reason.into()),
            bytes: 1,
        };
        let selection = Selection {
            ids: vec!["aaaa".into(), "bbbb".into()],
            reason: Some("not-authentic".into()),
        };
        assert!(selection.matches(&letter("bbbb01", "not-authentic")));
        assert!(!selection.matches(&letter("cccc01", "not-authentic")));
        assert!(!selection.matches(&letter("bbbb01", "store-refuses")));
        assert!(
            Selection {
                ids: Vec::new(),
                reason: None
            }
            .matches(&letter("c", "x"))
        );
    }
}
