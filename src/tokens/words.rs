//! Errors of the token issuer, in the words of whoever has batches sealed.

use key_client::KeyClientError;
use outbox::NoToken;

/// The client's error as a reason why there is no token.
pub(super) fn no_token(error: &KeyClientError) -> NoToken {
    let what = error.to_string();
    match error {
        KeyClientError::Retry { .. } => NoToken::Away(what),
        KeyClientError::Ceiling { retry_after, .. } => NoToken::Ceiling {
            what,
            after: *retry_after,
        },
        KeyClientError::Misconfigured { .. } => NoToken::Misconfigured(what),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_kind_of_error_keeps_its_meaning_and_names_the_issuer() {
        let service = || "the token issuer issuer.example".to_owned();
        let retry_after = Duration::from_secs(900);
        let errors = [
            KeyClientError::Retry {
                service: service(),
                clause: "refuses connections".to_owned(),
            },
            KeyClientError::Ceiling {
                service: service(),
                retry_after,
            },
            KeyClientError::Misconfigured {
                what: "the token issuer issuer.example does not know this certificate".to_owned(),
                help: "ask its operator".to_owned(),
            },
        ];
        let codes = [
            "token-issuer-away",
            "token-ceiling",
            "token-issuer-misconfigured",
        ];
        for (error, code) in errors.into_iter().zip(codes) {
            let told = no_token(&error);
            assert_eq!(told.code(), code);
            let text = told.to_string();
            assert!(text.contains("the token issuer issuer.example"), "{text}");
        }
    }
}
