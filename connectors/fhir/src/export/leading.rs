//! Beginning of a resource that is not whole: its id and its codes, as far as they are there.

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Elements that are looked for.
const WANTED: [&str; 3] = ["id", "code", "vaccineCode"];

/// Reads the elements that are whole at the beginning of a resource.
pub(crate) fn elements(text: &[u8]) -> Map<String, Value> {
    let mut found = Map::new();
    let mut reader = serde_json::Deserializer::from_slice(text);
    // An error at the end is what is expected.
    let _ = reader.deserialize_map(Leading(&mut found));
    found
}

struct Leading<'a>(&'a mut Map<String, Value>);

impl<'de> Visitor<'de> for Leading<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a resource")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if WANTED.contains(&name.as_str()) {
                let value = map.next_value()?;
                self.0.insert(name, value);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_whole_at_the_beginning_is_found() {
        let text = r#"{"note": [{"id": "no"}], "id": "a\u00e4", "code": {"coding": []}, "x": 1}"#;
        let names = |text: &str| {
            let found = elements(text.as_bytes());
            found.keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(text), "code id");
        assert_eq!(elements(text.as_bytes())["id"], "a\u{e4}");
        assert_eq!(names(&text[..70]), "code id");
        assert_eq!(names(&text[..50]), "id");
        assert_eq!(names(&text[..30]), "");
        for odd in ["", "[1]", "\"id\"", "{\"id\"", "{\"id\": ", "xxx"] {
            assert_eq!(names(odd), "", "{odd}");
        }
    }
}
