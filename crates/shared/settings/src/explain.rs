//! Wording of what the TOML parser and serde report, without the values that they quote.

/// Forms of [`SecretSource`](crate::SecretSource). Text in the place of one may be the secret
/// itself.
const SECRET_FORMS: [&str; 3] = ["file", "env", "credential"];

/// Help for a secret that stands in the file itself.
pub(crate) const SECRET_FORM: &str =
    "write { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }; never the secret itself";

/// Turns a sentence of serde or of the parser into one of ours, with help where there is some.
///
/// Values that they quote are cut out: they may be a secret written in the wrong place.
pub(crate) fn explain(message: &str) -> (String, Option<String>) {
    let message = message.lines().next().unwrap_or_default();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    for (lead, noun) in [("unknown field", "key"), ("unknown variant", "word")] {
        if message.starts_with(lead)
            && let Some((unknown, known)) = quoted.split_first()
        {
            if noun == "word" && known == SECRET_FORMS {
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
        _ if is_of_open_text(message) => Some(
            "a text that begins with one quotation mark ends on its line; one of several lines \
             begins and ends with \"\"\"",
        ),
        "wanted string or table" => Some("write it in braces, { WORD = VALUE }"),
        _ if message.starts_with("wanted exactly 1 element") => Some("write one of the words only"),
        _ => None,
    };
    (without_values(message), help.map(str::to_owned))
}

/// Returns whether a sentence of the parser is what comes of a text whose quotation mark is not
/// closed on its line: there, or at a line behind it that was to be part of the text.
fn is_of_open_text(message: &str) -> bool {
    message.starts_with("invalid basic string")
        || message.starts_with("invalid literal string")
        || message.starts_with("key with no value")
}

/// Suggests the known word nearest to an unknown one, if it is near enough.
fn nearest(unknown: &str, known: &[&str]) -> Option<String> {
    let distances = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(unknown, candidate), candidate));
    let (distance, candidate) = distances.min()?;
    (distance * 3 <= unknown.chars().count().max(3)).then(|| format!("did you mean `{candidate}`?"))
}

/// Cuts out values that serde quotes: `string "…"`, and numbers as in ``integer `5` ``. Type names
/// of Rust become plain words.
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
    without_types(&what)
}

/// Words for a type of Rust that a sentence ends with.
fn without_types(what: &str) -> String {
    for (number, range) in [
        ("u8", "from 0 to 255"),
        ("u16", "from 0 to 65535"),
        ("u32", "from 0 to 4294967295"),
        ("u64", "not below zero"),
        ("usize", "not below zero"),
    ] {
        if let Some(before) = what.strip_suffix(&format!("expected {number}")) {
            return format!("{before}expected a whole number, {range}");
        }
        if let Some(before) = what.strip_suffix(&format!("above zero, {number}")) {
            let range = range.strip_prefix("from 0 to ");
            let most = range.map_or(String::new(), |most| format!(", at most {most}"));
            return format!("{before}above zero{most}");
        }
    }
    match what.split_once("expected struct ") {
        Some((before, _name)) => format!("{before}expected a table, {{ KEY = VALUE }}"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_range_is_told_the_range_and_no_type_of_rust() {
        for (said, told) in [
            (
                "invalid value: integer `99999`, expected u16",
                "invalid value: integer …, expected a whole number, from 0 to 65535",
            ),
            (
                "invalid value: integer `-1`, expected u64",
                "invalid value: integer …, expected a whole number, not below zero",
            ),
            (
                "invalid value: integer `0`, expected a nonzero u16",
                "invalid value: integer …, expected a whole number above zero, at most 65535",
            ),
            (
                "invalid type: string \"require\", expected struct TlsConfig",
                "invalid type: string …, expected a table, { KEY = VALUE }",
            ),
        ] {
            assert_eq!(explain(said).0, told);
        }
    }
}
