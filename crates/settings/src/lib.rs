//! Loads a TOML configuration file into a type, and says where and how it is wrong: file, line, column, the line
//! itself, and the nearest known key.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Largest configuration file accepted, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// What is wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("the configuration {path} cannot be read: {kind}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        kind: std::io::ErrorKind,
    },
    /// It is larger than [`MAX_FILE_BYTES`].
    #[error("the configuration {path} is larger than {MAX_FILE_BYTES} bytes; is it the right file?")]
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
    /// The line as written, without values that may be secret (only the part before `=`, where there is one).
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
            writeln!(f, "{}:{}:{}: {}", self.path.display(), self.line, self.column, self.what)?;
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
    let unreadable =
        |error: std::io::Error| SettingsError::Unreadable { path: path.into(), kind: error.kind() };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(SettingsError::TooLarge { path: path.into() });
    }
    let text = String::from_utf8(bytes).map_err(|_| SettingsError::NotText { path: path.into() })?;
    parse(&text, path)
}

/// Reads a type from text; `path` is only named in errors.
///
/// # Errors
/// [`SettingsError::Wrong`].
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, SettingsError> {
    toml::from_str(text).map_err(|error| {
        let (line, column, excerpt) =
            error.span().map_or((0, 0, String::new()), |span| locate(text, span.start));
        let (what, help) = explain(error.message());
        SettingsError::Wrong(Box::new(Place { path: path.into(), line, column, excerpt, what, help }))
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

fn locate(text: &str, offset: usize) -> (usize, usize, String) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let whole = text[start..].lines().next().unwrap_or_default();
    let shown = whole.split_once('=').map_or(whole, |(key, _)| key);
    let excerpt = if shown.len() < whole.len() { format!("{shown}= …") } else { shown.to_owned() };
    (line, before[start..].chars().count() + 1, excerpt)
}

/// Turns serde's "unknown field `x`, expected one of `a`, `b`" into a sentence and the nearest known word. Values
/// that serde quotes (`invalid type: string "…"`) are cut out: they may be a secret written in the wrong place.
fn explain(message: &str) -> (String, Option<String>) {
    let message = message.lines().next().unwrap_or_default();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    for (lead, noun) in [("unknown field", "key"), ("unknown variant", "word")] {
        if message.starts_with(lead)
            && let Some((unknown, known)) = quoted.split_first()
        {
            let nearest = known
                .iter()
                .map(|candidate| (strsim::damerau_levenshtein(unknown, candidate), candidate))
                .min()
                .filter(|(distance, _)| *distance <= 3 && *distance < unknown.len())
                .map(|(_, candidate)| format!("did you mean `{candidate}`?"));
            let list = (!known.is_empty()).then(|| format!("known here: {}", known.join(", ")));
            return (format!("unknown {noun} `{unknown}`"), nearest.or(list));
        }
    }
    let mut what = String::new();
    let mut inside = false;
    for part in message.split('"') {
        what.push_str(if inside { "…" } else { part });
        inside = !inside;
    }
    (what, None)
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
        assert_eq!(place("colour = 1").help.as_deref(), Some("known here: page_size, password"));
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        let shown = place("password = \"hunter2\"").to_string();
        assert!(!shown.contains("hunter2") && shown.contains("password"), "{shown}");
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
        assert!(missing.contains("a.toml") && missing.contains("not found"), "{missing}");
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(load::<Example>(&path), Err(SettingsError::NotText { .. })));
        let edge = usize::try_from(MAX_FILE_BYTES).unwrap();
        std::fs::write(&path, vec![b'\n'; edge]).unwrap();
        assert!(load::<Example>(&path).is_ok());
        std::fs::write(&path, vec![b'\n'; edge + 1]).unwrap();
        assert!(matches!(load::<Example>(&path), Err(SettingsError::TooLarge { .. })));
    }
}
