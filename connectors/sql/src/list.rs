//! Several values in one: a PostgreSQL array, a JSON array, or text with semicolons.

use std::borrow::Cow;

/// Most values of a list that are read; no person has as many documents of one kind.
pub(crate) const MAX_LISTED: usize = 32;

/// Character between values of plain text.
const SEPARATOR: char = ';';

/// An element of a list; `None` where it is empty, so that two lists keep their places.
pub(crate) type Element<'t> = Option<Listed<'t>>;

/// A value of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed<'t> {
    /// Text of the value.
    pub text: Cow<'t, str>,
    /// True if it is a number, which has lost its leading zeros.
    pub is_number: bool,
}

/// Takes a list apart, up to [`MAX_LISTED`] values; `None` where it is none.
pub(crate) fn elements(text: &str) -> Option<Vec<Element<'_>>> {
    let mut found = match text.as_bytes().first()? {
        b'[' => json(text)?,
        b'{' => array(text)?,
        _ => text
            .split(SEPARATOR)
            .map(|part| element(Cow::Borrowed(part.trim()), false))
            .collect(),
    };
    found.truncate(MAX_LISTED);
    Some(found)
}

fn element(text: Cow<'_, str>, is_number: bool) -> Element<'_> {
    (!text.trim().is_empty()).then_some(Listed { text, is_number })
}

fn json(text: &str) -> Option<Vec<Element<'_>>> {
    let values: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
    let read = |value| match value {
        serde_json::Value::Null => Some(None),
        serde_json::Value::String(text) => Some(element(Cow::Owned(text), false)),
        serde_json::Value::Number(number) => Some(element(Cow::Owned(number.to_string()), true)),
        _ => None,
    };
    values.into_iter().map(read).collect()
}

/// A PostgreSQL array as text: `{a,"b c",NULL}`.
fn array(text: &str) -> Option<Vec<Element<'_>>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut found = Vec::new();
    let mut chars = inner.chars().peekable();
    while chars.peek().is_some() {
        let mut value = String::new();
        let is_quoted = chars.next_if_eq(&'"').is_some();
        loop {
            match chars.next() {
                Some('\\') => value.push(chars.next()?),
                Some('"') if is_quoted => break,
                Some(',') | None if !is_quoted => break,
                None => return None,
                Some('{' | '}' | '"') if !is_quoted => return None,
                Some(char) => value.push(char),
            }
        }
        if is_quoted && !matches!(chars.next(), Some(',') | None) {
            return None;
        }
        let is_null = !is_quoted && value.eq_ignore_ascii_case("null");
        found.push(if is_null {
            None
        } else {
            element(Cow::Owned(value), false)
        });
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<Option<String>>> {
        let shown =
            |one: Listed<'_>| format!("{}{}", one.text, if one.is_number { "#" } else { "" });
        let found = elements(text)?;
        Some(found.into_iter().map(|one| one.map(shown)).collect())
    }

    fn some(texts: &[&str]) -> Option<Vec<Option<String>>> {
        let text = |text: &&str| (!text.is_empty()).then(|| (*text).to_owned());
        Some(texts.iter().map(text).collect())
    }

    #[test]
    fn the_three_forms_are_read() {
        for (text, expected) in [
            ("4509 123456", &["4509 123456"][..]),
            (
                "4509 123456; 4510 654321;",
                &["4509 123456", "4510 654321", ""],
            ),
            (
                r#"["4509 123456", null, 7, ""]"#,
                &["4509 123456", "", "7#", ""],
            ),
            ("[]", &[]),
            ("{}", &[]),
            (
                r#"{4509123456,"a, b",NULL,"NULL"}"#,
                &["4509123456", "a, b", "", "NULL"],
            ),
            (
                r#"{"say \"x\"","back\\slash"}"#,
                &["say \"x\"", "back\\slash"],
            ),
        ] {
            assert_eq!(read(text), some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_cut_or_nested_is_no_list() {
        for text in [
            "",
            "[",
            r#"["a", "b"#,
            r#"[{"a": 1}]"#,
            "[true]",
            r#"{"a": 1}"#,
            "{{a},{b}}",
            r#"{"a"#,
            "{a",
            r#"{"a"b}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let list = |count: usize| vec!["x"; count].join(";");
        let read = |count| elements(&list(count)).expect("a list").len();
        assert_eq!(read(MAX_LISTED), MAX_LISTED);
        assert_eq!(read(MAX_LISTED + 1), MAX_LISTED);
    }
}
