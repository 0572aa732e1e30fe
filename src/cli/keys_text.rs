//! Fingerprints of pseudonym keys, as commands print them.

use outbox::KeyFingerprint;
use program::terminal::print_line;
use pseudonym::Suites;

use crate::ring::fingerprint_list;

/// Prints the keys, and the setting by which they are compared at every start.
pub(super) fn print_keys(keys: &[KeyFingerprint]) {
    for key in keys {
        print_line(format!(
            "suite {}, epoch {}: fingerprint {}",
            key.suite.as_str(),
            key.epoch,
            key.fingerprint
        ));
    }
    print_to_compare(keys);
}

/// Prints the setting by which the keys are compared at every start.
pub(super) fn print_to_compare(keys: &[KeyFingerprint]) {
    print_line(format!(
        "to compare at every start, in [registry]: pseudonym_fingerprints = {}",
        fingerprint_list(keys)
    ));
}

/// Sentence about the suites whose names leave, and, while the city moves, about what comes next.
pub(super) fn leaving_text(suites: Suites) -> String {
    let suite = suites.suite.as_str();
    match suites.moving_from.map(pseudonym::Suite::as_str) {
        None => format!("facts leave under the names of suite {suite}"),
        Some(from) => format!(
            "the city moves: facts leave under the names of suite {suite} and of suite {from}. \
             Once `city-registry show --stats` counts no fact under {from} alone, and the portal \
             asks by {suite}, take moving_from out of [keys] and the old key out of the ring \
             (`clinic-gateway keys retire`)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use pseudonym::Suite;

    use super::*;

    #[test]
    fn a_move_says_which_names_leave_and_what_comes_next() {
        let settled = leaving_text(Suite::Voprf.into());
        assert_eq!(settled, "facts leave under the names of suite voprf");
        let moving = leaving_text(Suites {
            suite: Suite::Voprf,
            moving_from: Some(Suite::Hmac),
        });
        assert!(
            moving.contains("of suite voprf and of suite hmac"),
            "{moving}"
        );
        assert!(moving.contains("no fact under hmac alone"), "{moving}");
    }
}
