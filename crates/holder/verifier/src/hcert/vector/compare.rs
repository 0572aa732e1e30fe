//! Comparison of what two health certificates say.

use serde_json::Value;

use super::clock::moment;

/// True where two values are equal. The order of members does not count, numbers are equal by
/// value, and two texts are equal too if both are the same moment, to the second: libraries write
/// dates in several forms.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, value)| right.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(one, other)| same(one, other))
        }
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        (Value::String(left), Value::String(right)) => left == right || same_moment(left, right),
        (left, right) => left == right,
    }
}

fn same_moment(left: &str, right: &str) -> bool {
    let seconds = |text: &str| moment(text).map(|moment| moment.timestamp());
    seconds(left).is_some_and(|left| seconds(right) == Some(left))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::same;

    #[test]
    fn the_order_of_members_and_the_form_of_dates_and_numbers_do_not_count() {
        let one = json!({ "a": 1, "b": ["2021-05-03T18:00:00Z"], "c": "2021-05-03" });
        let other =
            json!({ "c": "2021-05-03T00:00:00", "b": ["2021-05-03T20:00:00.9+02:00"], "a": 1.0 });
        assert!(same(&one, &other));
        assert!(!same(
            &one,
            &json!({ "a": 1, "b": ["2021-05-03T18:00:00Z"] })
        ));
        assert!(!same(&json!("2021-05-03"), &json!("2021-05-04")));
        assert!(!same(&json!([1, 2]), &json!([1])));
        assert!(!same(&json!("1"), &json!(1)));
    }
}
