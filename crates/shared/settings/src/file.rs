//! Reading of a TOML file into a type.

use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Mistake, SettingsError, mistake};
use crate::explain::{SECRET_FORM, explain};
use crate::limits::{MAX_FILE_BYTES, MAX_OPEN_BRACKETS};
use crate::regular::{FileError, open_regular_file};

/// Reads a type from a TOML file.
///
/// # Errors
/// [`SettingsError`], whose text is a message for the person who wrote the file.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, SettingsError> {
    let unreadable = |error: FileError| SettingsError::Unreadable {
        path: path.into(),
        error,
    };
    let mut bytes = Vec::new();
    let file = open_regular_file(path).map_err(unreadable)?;
    let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(error.into()))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(SettingsError::TooLarge { path: path.into() });
    }
    let text =
        String::from_utf8(bytes).map_err(|_| SettingsError::NotText { path: path.into() })?;
    parse(&text, path).map_err(|error| match error {
        SettingsError::Wrong(_) if text.trim().is_empty() => mistake(
            path,
            "the file is empty",
            "write the settings into it; or is it another file that is meant?",
        ),
        error => error,
    })
}

/// Reads a type from TOML text; `path` is only named in errors.
///
/// # Errors
/// [`SettingsError::Wrong`].
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, SettingsError> {
    // The parser calls itself for every bracket that is opened, and would end the program at some
    // thousands.
    if most_open_brackets(text) > MAX_OPEN_BRACKETS {
        let help = "close them; is it the right file?";
        return Err(mistake(
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
        SettingsError::Wrong(Box::new(Mistake {
            path: path.into(),
            line,
            column,
            excerpt,
            what,
            help,
        }))
    })
}

/// Counts the most brackets that are open at once, without regard to strings and comments.
fn most_open_brackets(text: &str) -> usize {
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

/// Returns the line (from 1), the column (from 1) and the excerpt of the line at a byte offset.
fn locate(text: &str, offset: usize) -> (usize, usize, String) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let whole = text[start..].lines().next().unwrap_or_default();
    (line, before[start..].chars().count() + 1, excerpt(whole))
}

/// Returns the part of a line that may be shown: the head of a section, or a key.
///
/// Anything else may be a secret, written over several lines or in the wrong place.
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

    fn mistake_in(text: &str) -> Mistake {
        match parse::<Example>(text, Path::new("x.toml")).unwrap_err() {
            SettingsError::Wrong(mistake) => *mistake,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_the_nearest_known_one() {
        let mistake = mistake_in("# comment\n  page_sise = 3\n");
        assert_eq!((mistake.line, mistake.column), (2, 3));
        assert_eq!(mistake.what, "unknown key `page_sise`");
        assert_eq!(mistake.help.as_deref(), Some("did you mean `page_size`?"));
        assert!(mistake.to_string().contains("x.toml:2:3"));
    }

    #[test]
    fn a_text_of_several_lines_in_single_quotation_marks_is_told_how_to_write_it() {
        for text in [
            "query = \"\nSELECT id\nFROM visits\n\"\n",
            "query = \"SELECT id\n  FROM visits\"\n",
            "query = '\nSELECT id\n'\n",
            "page_size = 3\nFROM visits\n",
        ] {
            let mistake = mistake_in(text);
            let help = mistake.help.clone().unwrap_or_default();
            assert!(help.contains("\"\"\""), "{text}: {mistake}");
        }
    }

    #[test]
    fn a_key_like_none_other_is_told_what_is_known() {
        assert_eq!(
            mistake_in("colour = 1").help.as_deref(),
            Some("known here: page_size, password")
        );
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        let shown = mistake_in("password = \"hunter2\"").to_string();
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
        let mistake = mistake_in("password = [\n  \"cgsk1:AAAA\",\n]");
        assert!(!mistake.to_string().contains("AAAA"), "{mistake}");
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
