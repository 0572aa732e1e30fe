//! Names of the directory transport's batch files.

use contract::BatchId;

/// Name of a batch file: `<id>.batch`, or `<id>~<n>.batch` once it has been handed out n times in
/// vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BatchFile {
    pub(crate) id: BatchId,
    pub(crate) attempts: u32,
}

impl BatchFile {
    pub(crate) fn new(id: BatchId) -> Self {
        Self { id, attempts: 0 }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".batch")?;
        let (id, attempts) = match stem.split_once('~') {
            Some((id, attempts)) => (id, attempts.parse().ok()?),
            None => (stem, 0),
        };
        let parsed = Self {
            id: BatchId::from_hex(id)?,
            attempts,
        };
        // One spelling only: no capitals, no leading zeroes, no `~0`.
        (parsed.name() == name).then_some(parsed)
    }

    pub(crate) fn name(self) -> String {
        match self.attempts {
            0 => format!("{}.batch", self.id),
            attempts => format!("{}~{attempts}.batch", self.id),
        }
    }

    pub(crate) fn with_another_attempt(self) -> Self {
        Self {
            id: self.id,
            attempts: self.attempts.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_spelling_are_batches() {
        let id = "00112233445566778899aabbccddeeff";
        let file = BatchFile::parse(&format!("{id}.batch")).unwrap();
        assert_eq!(file.name(), format!("{id}.batch"));
        let again = file.with_another_attempt();
        assert_eq!(again.name(), format!("{id}~1.batch"));
        assert_eq!(BatchFile::parse(&again.name()), Some(again));
        for foreign in ["x", ".batch", "00.batch", "../etc/passwd"] {
            assert_eq!(BatchFile::parse(foreign), None, "{foreign}");
        }
        for suffix in [
            "~0.batch",
            "~01.batch",
            "~-1.batch",
            "~+1.batch",
            "~99999999999.batch",
            ".batch.tmp",
        ] {
            assert_eq!(BatchFile::parse(&format!("{id}{suffix}")), None, "{suffix}");
        }
        assert_eq!(
            BatchFile::parse(&format!("{}.batch", id.to_uppercase())),
            None
        );
    }
}
