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
    match reason.strip_prefix("registry:").unwrap_or(reason) {
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
            "Another version was announced under the same number, as after a restored state: it \
             is sent again above it; retry."
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
        assert!(help("date-future").contains("future") && help("x").contains("does not know"));
    }
}
