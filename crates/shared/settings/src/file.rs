//! Loads a TOML configuration file into a type, and says where and how it is wrong: file, line,
//! column, the line itself, and the nearest known key.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::io_error_text;

/// Largest configuration file accepted, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Most brackets open at once in a configuration file.
pub const MAX_OPEN_BRACKETS: usize = 200;

/// What is wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("the configuration {path} cannot be read: {}", io_error_text(*kind))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        kind: ErrorKind,
    },
    /// It is larger than [`MAX_FILE_BYTES`].
    #[error(
        "the configuration {path} is larger than {MAX_FILE_BYTES} bytes; is it the right file?"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not UTF-8 text.
    #[error("the configuration {path} is not UTF-8 text; save it as UTF-8")]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// It is not what the program expects.
    #[error("{0}")]
    Wrong(Box<Place>),
}

/// One mistake and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line as written, without values that may be secret (only the part before `=`, where
    /// there is one).
    pub excerpt: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead, where that can be guessed.
    pub help: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.path.display(), self.what)?;
        } else {
            writeln!(
                f,
                "{}:{}:{}: {}",
                self.path.display(),
                self.line,
                self.column,
                self.what
            )?;
            write!(f, "  {} | {}", self.line, self.excerpt)?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// Reads a file and its type.
///
/// # Errors
/// See [`SettingsError`]; shown with `Display` it is a message for the person who wrote the file.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, SettingsError> {
    let unreadable = |error: std::io::Error| SettingsError::Unreadable {
        path: path.into(),
        kind: error.kind(),
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(SettingsError::TooLarge { path: path.into() });
    }
    let text =
        String::from_utf8(bytes).map_err(|_| SettingsError::NotText { path: path.into() })?;
    parse(&text, path)
}

/// Reads a type from text; `path` is only named in errors.
///
/// # Errors
/// [`SettingsError::Wrong`].
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, SettingsError> {
    // The parser calls itself for every bracket that is opened, and would end the program at some
    // thousands.
    if brackets_open(text) > MAX_OPEN_BRACKETS {
        let help = "close them; is it the right file?";
        return Err(wrong(
            path,
            format!("more than {MAX_OPEN_BRACKETS} brackets are open at once"),
            help,
        ));
    }
    toml::from_str(text).map_err(|error| {
        let (line, column, excerpt) = error
            .span()
            .map_or((0, 0, String::new()), |span| locate(text, span.start));
        let (what, help) = explain(error.message());
        let excerpt = if help.as_deref() == Some(SECRET_FORM) {
            "…".to_owned()
        } else {
            excerpt
        };
        // A key missing from the file as a whole has no line of its own.
        let line = if excerpt.is_empty() || excerpt.starts_with('#') {
            0
        } else {
            line
        };
        SettingsError::Wrong(Box::new(Place {
            path: path.into(),
            line,
            column,
            excerpt,
            what,
            help,
        }))
    })
}

/// A mistake that only shows once the file is read: names the file and the key.
#[must_use]
pub fn wrong(path: &Path, what: impl Into<String>, help: impl Into<String>) -> SettingsError {
    SettingsError::Wrong(Box::new(Place {
        path: path.into(),
        line: 0,
        column: 0,
        excerpt: String::new(),
        what: what.into(),
        help: Some(help.into()),
    }))
}

/// Most brackets that are open at once, counted without regard to strings and comments.
fn brackets_open(text: &str) -> usize {
    let mut open = 0_usize;
    let mut most = 0;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

fn locate(text: &str, offset: usize) -> (usize, usize, String) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let whole = text[start..].lines().next().unwrap_or_default();
    (line, before[start..].chars().count() + 1, excerpt(whole))
}

/// What may be shown of a line: a section's head, or a key. Anything else may be a secret, written
/// over several lines or in the wrong place.
fn excerpt(line: &str) -> String {
    let is_key = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        (1..=40).contains(&text.len()) && text.chars().all(plain)
    };
    let trimmed = line.trim();
    let head = trimmed
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match (head, trimmed.split_once('=')) {
        _ if trimmed.is_empty() || trimmed.starts_with('#') => trimmed.chars().take(1).collect(),
        (Some(head), _) if is_key(head) => trimmed.to_owned(),
        (_, Some((key, _))) if is_key(key.trim()) => format!("{} = …", key.trim()),
        _ => "…".to_owned(),
    }
}

/// The words of `settings::SecretSource`. What stands in their place may be the secret itself.
const SECRET_WORDS: [&str; 3] = ["file", "env", "credential"];

/// How a secret is written.
const SECRET_FORM: &str =
    "write { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }; never the secret itself";

/// Turns serde's and the parser's sentence into ours, and finds the nearest known word. Values that
/// they quote are cut out: they may be a secret written in the wrong place.
fn explain(message: &str) -> (String, Option<String>) {
    let message = message.lines().next().unwrap_or_default();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    for (lead, noun) in [("unknown field", "key"), ("unknown variant", "word")] {
        if message.starts_with(lead)
            && let Some((unknown, known)) = quoted.split_first()
        {
            if noun == "word" && known == SECRET_WORDS {
                return (
                    "this is not how a secret is named".to_owned(),
                    Some(SECRET_FORM.to_owned()),
                );
            }
            let list = (!known.is_empty()).then(|| format!("known here: {}", known.join(", ")));
            return (
                format!("unknown {noun} `{unknown}`"),
                nearest(unknown, known).or(list),
            );
        }
    }
    if message.starts_with("missing field")
        && let Some(missing) = quoted.first()
    {
        return (
            format!("`{missing}` is missing"),
            Some("add it to this section".to_owned()),
        );
    }
    let help = match message {
        "invalid socket address syntax" => {
            Some("write an address and a port, such as \"127.0.0.1:9464\"")
        }
        "wanted string or table" => Some("write it in braces, { WORD = VALUE }"),
        _ if message.starts_with("wanted exactly 1 element") => Some("write one of the words only"),
        _ => None,
    };
    (without_values(message), help.map(str::to_owned))
}

fn nearest(unknown: &str, known: &[&str]) -> Option<String> {
    let distances = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(unknown, candidate), candidate));
    let (distance, candidate) = distances.min()?;
    (distance * 3 <= unknown.chars().count().max(3)).then(|| format!("did you mean `{candidate}`?"))
}

/// Cuts out what serde quotes: `string "…"`, and numbers as in ``integer `5` ``; Rust's type names
/// become plain words.
fn without_values(message: &str) -> String {
    let mut what = String::new();
    let mut inside = false;
    for part in message.split('"') {
        what.push_str(if inside { "…" } else { part });
        inside = !inside;
    }
    for kind in ["integer", "floating point", "boolean"] {
        if let Some((before, after)) = what.split_once(&format!("{kind} `"))
            && let Some((_value, after)) = after.split_once('`')
        {
            what = format!("{before}{kind} …{after}");
        }
    }
    for (rust, plain) in [
        ("a nonzero ", "a whole number above zero, "),
        ("path string", "a path in quotes"),
        (" a string", " text in quotes"),
    ] {
        what = what.replace(rust, plain);
    }
    for unsigned in ["u8", "u16", "u32", "u64", "usize"] {
        if let Some(before) = what.strip_suffix(&format!("expected {unsigned}")) {
            what = format!("{before}expected a whole number, not below zero");
        }
    }
    what
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[serde(default)]
        page_size: u32,
        #[serde(default)]
        password: Option<u32>,
    }

    fn place(text: &str) -> Place {
        match parse::<Example>(text, Path::new("x.toml")).unwrap_err() {
            SettingsError::Wrong(place) => *place,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_the_nearest_known_one() {
        let place = place("# comment\n  page_sise = 3\n");
        assert_eq!((place.line, place.column), (2, 3));
        assert_eq!(place.what, "unknown key `page_sise`");
        assert_eq!(place.help.as_deref(), Some("did you mean `page_size`?"));
        assert!(place.to_string().contains("x.toml:2:3"));
    }

    #[test]
    fn a_key_like_none_other_is_told_what_is_known() {
        assert_eq!(
            place("colour = 1").help.as_deref(),
            Some("known here: page_size, password")
        );
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        let shown = place("password = \"hunter2\"").to_string();
        assert!(
            !shown.contains("hunter2") && shown.contains("password"),
            "{shown}"
        );
    }

    #[test]
    fn a_secret_instead_of_its_place_is_not_repeated() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[expect(dead_code, reason = "only the errors matter")]
        enum Source {
            File(String),
            Env(String),
            Credential(String),
        }
        #[derive(Debug, serde::Deserialize)]
        struct Account {
            #[expect(dead_code, reason = "only the errors matter")]
            password: Source,
        }
        for text in [
            "password = \"hunter2\"",
            "password = 112233",
            "password = { file = 112233 }",
        ] {
            let shown = parse::<Account>(text, Path::new("x"))
                .unwrap_err()
                .to_string();
            assert!(
                !shown.contains("hunter") && !shown.contains("112233"),
                "{shown}"
            );
        }
        let shown = parse::<Account>("password = \"hunter2\"", Path::new("x"))
            .unwrap_err()
            .to_string();
        assert!(shown.contains("{ file = "), "{shown}");
    }

    #[test]
    fn what_is_missing_is_told_without_a_misleading_line() {
        #[derive(Debug, serde::Deserialize)]
        struct Whole {
            #[expect(dead_code, reason = "only its absence matters")]
            queue: u32,
        }
        let shown = parse::<Whole>("# a comment\n", Path::new("x.toml"))
            .unwrap_err()
            .to_string();
        assert!(shown.starts_with("x.toml: `queue` is missing"), "{shown}");
    }

    #[test]
    fn good_text_is_read() {
        let example: Example = parse("page_size = 7", Path::new("x")).unwrap();
        assert_eq!((example.page_size, example.password), (7, None));
    }

    #[test]
    fn files_that_are_none_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        let missing = load::<Example>(&path).unwrap_err().to_string();
        assert!(
            missing.contains("a.toml") && missing.contains("no such file"),
            "{missing}"
        );
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(
            load::<Example>(&path),
            Err(SettingsError::NotText { .. })
        ));
        let edge = usize::try_from(MAX_FILE_BYTES).unwrap();
        std::fs::write(&path, vec![b'\n'; edge]).unwrap();
        assert!(load::<Example>(&path).is_ok());
        std::fs::write(&path, vec![b'\n'; edge + 1]).unwrap();
        assert!(matches!(
            load::<Example>(&path),
            Err(SettingsError::TooLarge { .. })
        ));
    }

    #[test]
    fn a_line_is_shown_only_where_it_cannot_hold_a_secret() {
        let shown = [
            "[keys]",
            "  page_size = 7",
            "\"cgsk1:AAAA\",",
            "private_key =",
            "cgsk1:AAAA",
            "hunter 2 = 3",
        ];
        assert_eq!(
            shown.map(excerpt),
            ["[keys]", "page_size = …", "…", "private_key = …", "…", "…"]
        );
        let place = place("password = [\n  \"cgsk1:AAAA\",\n]");
        assert!(!place.to_string().contains("AAAA"), "{place}");
    }

    #[test]
    fn brackets_without_end_are_refused_and_do_not_end_the_program() {
        let error = parse::<toml::Table>(&"a = {\n[k]\n".repeat(100_000), Path::new("x"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("brackets"), "{error}");
        let nested = |count: usize| format!("a = {}{}", "[".repeat(count), "]".repeat(count));
        assert!(parse::<toml::Table>(&nested(MAX_OPEN_BRACKETS + 1), Path::new("x")).is_err());
        // The parser has a limit of its own below ours, which answers in words.
        assert!(parse::<toml::Table>(&nested(20), Path::new("x")).is_ok());
    }
}
