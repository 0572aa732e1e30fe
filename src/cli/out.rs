//! What the commands print: lines and tables, JSON, counts and ages in words.

pub(crate) use telemetry::terminal::{complain, say, table};

/// Prints a value as indented JSON.
pub(crate) fn json(value: &serde_json::Value) {
    say(format!("{value:#}"));
}

/// A count and its noun.
pub(crate) fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// A length of time in words, coarse on purpose: `4 s`, `12 min`, `3 h`, `9 d`.
pub(crate) fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn ages_change_their_unit_at_its_edge() {
        let shown = [-5, 0, 119, 120, 7199, 7200, 172_799, 172_800].map(age);
        assert_eq!(
            shown,
            [
                "0 s", "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"
            ]
        );
    }
}
