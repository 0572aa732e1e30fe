//! Help for the reasons that records are refused for.

use pseudonym::RejectionReason;

/// Returns a sentence on what the operator should look at.
pub(super) fn help(reason: &str) -> &'static str {
    if let Some(known) = RejectionReason::ALL
        .iter()
        .find(|known| known.as_str() == reason)
    {
        return known.help();
    }
    help_for_registry(reason.strip_prefix("registry:").unwrap_or(reason))
}

/// Returns a sentence on a refusal of the registry, or on a record that cannot be sent.
fn help_for_registry(reason: &str) -> &'static str {
    match reason {
        "malformed" | "unknown-code" | "bad-subject" => {
            "The registry does not understand the event: see that gateway and registry are of \
             versions that fit, then retry."
        }
        "bad-date" => {
            "The registry holds the date to be impossible: correct it at the clinic, and see that \
             both clocks are right."
        }
        "kind-changed" => {
            "The record was announced before as another kind of fact: the source's ids were \
             reused; give the record a new id."
        }
        "version-reused" => {
            "Another content was announced under the same version, as after a restored state. It \
             is sent again above it once the generation has risen; see `status`, or run \
             `clinic-gateway reconcile --repair`."
        }
        "superseded" => {
            "The registry holds a higher version than this gateway ever gave out. After a restored \
             state it is sent again once the generation has risen; see `status`, or run \
             `clinic-gateway reconcile --repair`. If it stays, ask the registry's operator."
        }
        "foreign-version" => {
            "The registry holds a higher version that this clinic can never have given out, so \
             nothing from here holds any more: ask the registry's operator to look at the record."
        }
        "versions-exhausted" => {
            "The record was changed so often that no version is left in this generation: set \
             min_generation of [outbox] one above the generation that `status` shows, and restart."
        }
        "withdrawal-of-unknown-kind" => {
            "The record is withdrawn, and could not be so again in the new generation, since its \
             kind of fact is not known here. Retry once a page of its feed was read; for a record \
             without a feed, ask the registry's operator to see that it is withdrawn there."
        }
        "not-the-owner" => {
            "The registry has the record from another sender, or from this clinic under another \
             record key: ask the registry's operator to look at the record."
        }
        "epoch-not-open" => {
            "A pseudonym is of a key epoch that the city has not opened, or has closed: put the \
             city's present keys into the key ring (with key services, into public_keys of each), \
             then retry."
        }
        "purged" => {
            "The city has deleted the record, and takes no newer version of it: the person has asked \
             for that, or what this clinic's account sent at that time was undone. Ask the \
             registry's operator, who can permit the latter; then retry."
        }
        "token" => {
            "The batch had no one-use token that the city takes: there is no [tokens] here yet, the \
             token issuer's keys differ from the registry's, or the batch is older than a key that \
             was taken away. See that [tokens] is there and names the city's present keys, then \
             retry."
        }
        _ => {
            "A reason that this version does not know: see that gateway and registry are of \
             versions that fit."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::help;

    #[test]
    fn every_reason_has_its_help() {
        for reason in contract::RefusalReason::ALL {
            assert!(
                !help(&format!("registry:{}", reason.as_str())).contains("does not know"),
                "{reason:?}"
            );
        }
        for reason in [
            outbox::SUPERSEDED,
            outbox::FOREIGN_VERSION,
            outbox::VERSIONS_EXHAUSTED,
            outbox::WITHDRAWAL_OF_UNKNOWN_KIND,
        ] {
            assert!(!help(reason).contains("does not know"), "{reason}");
        }
        assert!(help("date-future").contains("future") && help("x").contains("does not know"));
    }
}
