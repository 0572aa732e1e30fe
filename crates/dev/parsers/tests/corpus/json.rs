//! Changes to JSON that stay JSON: what flipped bytes seldom reach.

use serde_json::{Value, json};

/// Changes one value somewhere in a document; `random` gives a number below its argument. None for
/// what is no JSON.
pub(crate) fn change(
    bytes: &[u8],
    tokens: &[Vec<u8>],
    mut random: impl FnMut(usize) -> usize,
) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(bytes).ok()?;
    let whole = count(&document);
    let donor = nth(&mut document, &mut random(whole))?.clone();
    let place = nth(&mut document, &mut random(whole))?;
    match (random(6), &mut *place) {
        (0, Value::Array(list)) if !list.is_empty() => {
            let copy = list[random(list.len())].clone();
            let times = random(8);
            list.extend(std::iter::repeat_n(copy, times));
        }
        (0 | 1, Value::Object(members)) if !members.is_empty() => {
            let key = members.keys().nth(random(members.len()))?.clone();
            members.remove(&key);
        }
        (2, _) => *place = donor,
        (3, Value::String(text)) => {
            let mut chars: Vec<char> = text.chars().collect();
            let token = String::from_utf8_lossy(&tokens[random(tokens.len())]).into_owned();
            let at = random(chars.len() + 1);
            chars.splice(at..at, token.chars());
            *text = chars.into_iter().collect();
        }
        (4, _) => *place = json!([place.take()]),
        _ => *place = odd(random(10), &tokens[random(tokens.len())]),
    }
    serde_json::to_vec(&document).ok()
}

fn odd(which: usize, token: &[u8]) -> Value {
    match which {
        0 => Value::Null,
        1 => json!({}),
        2 => json!([]),
        3 => json!(""),
        4 => json!(u64::MAX),
        5 => json!(i64::MIN),
        6 => json!(1.5e300),
        7 => json!(false),
        8 => json!("x".repeat(5000)),
        _ => json!(String::from_utf8_lossy(token)),
    }
}

/// How many values there are, the document itself and those inside others included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// The value at a place in that count.
fn nth<'v>(value: &'v mut Value, left: &mut usize) -> Option<&'v mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(list) => list.iter_mut().find_map(|value| nth(value, left)),
        Value::Object(members) => members.values_mut().find_map(|value| nth(value, left)),
        _ => None,
    }
}

mod tests {
    use super::*;

    #[test]
    fn every_change_is_json_again() {
        let mut state = 1_usize;
        for _ in 0..500 {
            let random = |below: usize| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % below.max(1)
            };
            let changed = change(
                br#"{"a": [1, {"b": "c"}], "d": {}}"#,
                &[b"token".to_vec()],
                random,
            )
            .unwrap();
            serde_json::from_slice::<Value>(&changed).unwrap();
        }
        assert!(change(b"{", &[], |_| 0).is_none());
    }
}
