//! The text of a proposed feed in the configuration file. The words of settings stand here alone.

use super::changes::Changes;
use super::feed::ProposedFeed;
use crate::config::StatusWord;

/// Setting that says how changes are noticed, and its values.
const CHANGE_DETECTION: &str = "change_detection";
const SEVERAL_STAMPS: &str = "several-stamps";
const CONTENT: &str = "content";
/// Table of the short queries of changes.
const CHANGES: &str = "changes";
/// Longest line of a comment.
const WIDTH: usize = 110;

impl ProposedFeed {
    /// The feed's table in the configuration file; `section` is the connector's, such as
    /// `source.mis.postgres`.
    #[must_use]
    pub fn section(&self, section: &str) -> String {
        let name = self.feed.as_str();
        let mut text = comment(&format!("Found in {}.{}", self.table, self.also()));
        if let Some(fault) = &self.fault {
            text += &comment(&format!("NOT TAKEN by the database, correct it: {fault}"));
        }
        if let Some(untried) = &self.untried {
            text += &comment(&format!(
                "NOT TRIED, since the database was not able to answer ({untried}): try it by \
                 `clinic-gateway check`; the words of its status and codes are not listed"
            ));
        }
        for note in &self.notes {
            text += &comment(&format!("- {note}."));
        }
        text += &format!("[{section}.{name}]\n");
        match &self.changes {
            Changes::OneStamp => {}
            Changes::SeveralStamps(_) => {
                text += &format!("{CHANGE_DETECTION} = \"{SEVERAL_STAMPS}\"\n");
            }
            Changes::Content => text += &format!("{CHANGE_DETECTION} = \"{CONTENT}\"\n"),
        }
        text += &format!("query = {}\n", multi_line(&self.query));
        text += &self.status();
        if let Changes::SeveralStamps(queries) = &self.changes {
            text += &comment(
                "One short query a stamp: the records that a change of its table brings. Each \
                 needs \
                 an index on its stamp.",
            );
            text += &format!("[{section}.{name}.{CHANGES}]\n");
            for (table, query) in queries {
                text += &format!("{table} = {}\n", one_line(query));
            }
        }
        text
    }

    fn also(&self) -> String {
        match self.also.as_slice() {
            [] => String::new(),
            tables => format!(" Also possible: {}.", tables.join(", ")),
        }
    }

    fn status(&self) -> String {
        if self.status_words.is_empty() && self.unknown_status.is_empty() {
            return String::new();
        }
        let known = self.status_words.iter();
        let words: Vec<String> = known
            .map(|(word, means)| format!("{} = \"{}\"", one_line(word), means.word()))
            .collect();
        let mut text = String::new();
        if !self.unknown_status.is_empty() {
            text += &comment(
                "A word of the status that is not listed holds its rows back. Also met, add each \
                 as \"final\", \"cancelled\" or \"not-a-fact\":",
            );
            for (word, rows) in &self.unknown_status {
                text += &format!("#   {} (× {rows})\n", one_line(&word.to_lowercase()));
            }
        }
        text + &format!("status_words = {{ {} }}\n", words.join(", "))
    }
}

impl StatusWord {
    /// The word as configuration writes it.
    const fn word(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Cancelled => "cancelled",
            Self::NotAFact => "not-a-fact",
        }
    }
}

/// Comment lines of at most a certain width.
pub(super) fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + word.chars().count() >= WIDTH {
            lines += &line;
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}

/// Text as a basic string of TOML.
fn one_line(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    for char in text.chars() {
        match char {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push(' '),
            char if char.is_control() => escaped.push_str(&format!("\\u{:04X}", u32::from(char))),
            char => escaped.push(char),
        }
    }
    format!("\"{escaped}\"")
}

/// Query as a multi-line string of TOML.
fn multi_line(query: &str) -> String {
    let escaped = query.replace('\\', "\\\\").replace("\"\"\"", "\"\"\\\"");
    format!("\"\"\"\n{escaped}\n\"\"\"")
}

#[cfg(test)]
mod tests {
    use connector_kit::Feed;

    use super::*;

    #[test]
    fn a_query_that_could_not_be_tried_is_not_called_wrong() {
        let mut feed = ProposedFeed {
            feed: Feed::Tests,
            table: "results".into(),
            also: vec![],
            query: "SELECT 1".into(),
            status_words: std::collections::BTreeMap::new(),
            unknown_status: vec![],
            changes: Changes::Content,
            notes: vec![],
            values: vec![],
            fault: None,
            untried: Some("the server has no free connection".into()),
        };
        let text = feed.section("source.mis.mysql");
        assert!(text.contains("# NOT TRIED"), "{text}");
        assert!(!text.contains("NOT TAKEN"), "{text}");
        feed.untried = None;
        feed.fault = Some("the query has a syntax error".into());
        let text = feed.section("source.mis.mysql");
        assert!(text.contains("# NOT TAKEN by the database"), "{text}");
    }
}
