//! What a key service's audit log says of its clients: numbers.

use std::path::Path;

use serde::Deserialize;

/// Sums of an audit log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Requests that were answered.
    pub requests: u64,
    /// Elements that were evaluated, the fill of requests included.
    pub elements: u64,
    /// Requests that were refused for the ceiling.
    pub refused: u64,
    /// Number of lines.
    pub lines: usize,
    /// Newest line about what a client did, as it stands there.
    pub newest: String,
}

/// Line of the log, of which only the sums are read.
#[derive(Deserialize)]
struct Line {
    event: String,
    #[serde(default)]
    details: Details,
}

/// Details of a line about what a client did in an hour or a part of one.
#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    requests: u64,
    #[serde(default)]
    elements: u64,
    #[serde(default)]
    refusals: Refusals,
}

/// Refusals by their codes.
#[derive(Default, Deserialize)]
struct Refusals {
    #[serde(default, rename = "ceiling-reached")]
    ceiling_reached: u64,
}

/// Reads the audit log in a folder.
pub(crate) fn seen(folder: &Path) -> Result<Seen, String> {
    let cannot = |error: std::io::Error| format!("{} cannot be read: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut seen = Seen::default();
    for path in paths {
        let text = std::fs::read_to_string(path).map_err(cannot)?;
        for line in text.lines() {
            seen.add(line)?;
        }
    }
    Ok(seen)
}

impl Seen {
    fn add(&mut self, text: &str) -> Result<(), String> {
        let line: Line = serde_json::from_str(text).map_err(|error| format!("audit: {error}"))?;
        self.lines += 1;
        if line.event == "hour" {
            self.requests += line.details.requests;
            self.elements += line.details.elements;
            self.refused += line.details.refusals.ceiling_reached;
            text.clone_into(&mut self.newest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hours_of_all_files_are_added_up() {
        let folder = tempfile::tempdir().unwrap();
        let hour = |elements: u64, refused: u64| {
            format!(
                "{{\"event\":\"hour\",\"details\":{{\"client\":\"one\",\"requests\":2,\
                 \"elements\":{elements},\"refusals\":{{\"ceiling-reached\":{refused}}}}}}}\n"
            )
        };
        let start = "{\"event\":\"start\",\"details\":{\"keys\":[],\"clients\":1}}\n";
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text);
        write("audit-2026-11.jsonl", format!("{start}{}", hour(32, 0))).unwrap();
        write("audit-2026-12.jsonl", hour(272, 3)).unwrap();
        write("lock", "no line".to_owned()).unwrap();
        let expected = Seen {
            requests: 4,
            elements: 304,
            refused: 3,
            lines: 3,
            newest: hour(272, 3).trim_end().to_owned(),
        };
        assert_eq!(seen(folder.path()), Ok(expected));
    }
}
