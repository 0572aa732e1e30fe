//! Answers of a token endpoint: a token, or a refusal put in words. Nothing of an answer's own text
//! is passed on.

use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::SourceError;
use secrecy::zeroize::Zeroize as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::time::Duration;

use crate::refusal::HttpRefusal;

/// Longest access token taken.
pub(super) const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Time after which a token is renewed whose end is not told.
const UNTOLD_LIFETIME: TimeDelta = TimeDelta::minutes(5);
/// Longest life of a token that is believed.
const MAX_LIFETIME_SECONDS: i64 = 30 * 24 * 3600;
/// Time before its end at which a token is renewed; a quarter of its life where that is less.
const MARGIN_SECONDS: i64 = 60;
/// Difference between two clocks that is worth a word in a refusal, in seconds.
const MAX_SKEW_SECONDS: i64 = 30;

/// A token, as it was given out.
pub(super) struct GivenToken {
    pub token: SecretString,
    /// Moment at which the token ends; `None` where the token endpoint does not say.
    pub ends_at: Option<DateTime<Utc>>,
    /// Moment from which a new one is asked for.
    pub renew_at: DateTime<Utc>,
}

/// Way of a login, by which a refusal is put in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginWay {
    /// A secret, sent by one of two methods.
    Secret,
    /// A signed assertion.
    Assertion,
}

/// A refusal of the token endpoint.
pub(super) struct TokenRefusal<'a> {
    pub status: u16,
    pub body: &'a [u8],
    pub retry_after: Option<Duration>,
    /// The token endpoint's clock, if it tells.
    pub date: Option<DateTime<Utc>>,
    pub now: DateTime<Utc>,
    pub way: LoginWay,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TokenAnswer {
    #[serde(deserialize_with = "secret")]
    access_token: Option<SecretString>,
    token_type: Value,
    expires_in: Value,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

/// Reads the answer with a token, asked for at `now`; wipes it.
pub(super) fn token(mut body: Vec<u8>, now: DateTime<Utc>) -> Result<GivenToken, SourceError> {
    let answer: Result<TokenAnswer, _> = serde_json::from_slice(&body);
    body.zeroize();
    let Ok(answer) = answer else {
        return Err(unusable("answers with something else than JSON"));
    };
    let is_bearer = answer
        .token_type
        .as_str()
        .is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    if !is_bearer {
        return Err(unusable("gives out tokens of another type than Bearer"));
    }
    let Some(token) = answer.access_token else {
        return Err(unusable("answers without a token"));
    };
    let text = token.expose_secret();
    let is_clean = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > MAX_TOKEN_BYTES || !is_clean {
        return Err(unusable(
            "gives out a token that is none (RFC 6750), or is larger than 16 KiB",
        ));
    }
    let seconds = match &answer.expires_in {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse::<f64>().ok(),
        _ => None,
    };
    let seconds = seconds
        .filter(|seconds| *seconds >= 1.0)
        .map(|seconds| az::saturating_cast::<f64, i64>(seconds).min(MAX_LIFETIME_SECONDS));
    Ok(match seconds {
        Some(life) => GivenToken {
            token,
            ends_at: Some(now + TimeDelta::seconds(life)),
            renew_at: now + TimeDelta::seconds(life - MARGIN_SECONDS.min(life / 4)),
        },
        None => GivenToken {
            token,
            ends_at: None,
            renew_at: now + UNTOLD_LIFETIME,
        },
    })
}

/// The refusal in words, by its code (RFC 6749, section 5.2). It never has a status: that would be
/// taken for one of the FHIR server.
pub(super) fn refusal(refused: &TokenRefusal<'_>) -> HttpRefusal {
    let status = refused.status;
    let passes = |what: String| HttpRefusal {
        status: None,
        is_brief: true,
        error: SourceError::Retry {
            what,
            after: refused.retry_after,
        },
    };
    if matches!(status, 408 | 429) {
        return passes(format!("the token endpoint is busy ({status})"));
    }
    if status >= 500 {
        return passes(format!("the token endpoint failed ({status})"));
    }
    let code = error_code(refused.body);
    if matches!(code, Some("temporarily_unavailable" | "server_error")) {
        return passes(format!("the token endpoint failed ({status})"));
    }
    let (what, help) = match code {
        Some(code) => (
            format!("the token endpoint refuses the login ({code})"),
            advice(code, refused.way),
        ),
        None if (300..400).contains(&status) => (
            format!("the token endpoint answers with a redirect ({status}), which is not followed"),
            "write the address it leads to into token_endpoint",
        ),
        None if matches!(status, 404 | 405 | 410) => (
            format!("there is no token endpoint at that address ({status})"),
            "correct token_endpoint under auth",
        ),
        None => (
            format!("the token endpoint refuses the login ({status})"),
            advice("invalid_client", refused.way),
        ),
    };
    SourceError::misconfigured(format!("{what}{}", skew(refused)), help).into()
}

/// Words for a difference between the two clocks, which makes an assertion end too early or too
/// late.
fn skew(refused: &TokenRefusal<'_>) -> String {
    let apart = refused.date.map(|date| (date - refused.now).num_seconds());
    match apart.filter(|apart| apart.abs() > MAX_SKEW_SECONDS) {
        Some(apart) => {
            let way = if apart > 0 { "ahead of" } else { "behind" };
            format!(
                "; its clock is {} s {way} this machine's, set both by NTP",
                apart.abs()
            )
        }
        None => String::new(),
    }
}

/// The code of a refusal, if it is one that is known.
fn error_code(body: &[u8]) -> Option<&'static str> {
    const CODES: [&str; 9] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "temporarily_unavailable",
        "server_error",
    ];
    let body: Value = serde_json::from_slice(body).ok()?;
    let code = body.get("error")?.as_str()?;
    CODES.into_iter().find(|known| *known == code)
}

/// What to change for a code.
fn advice(code: &str, way: LoginWay) -> &'static str {
    match (code, way) {
        ("invalid_scope", _) => {
            "write into scope, under auth, what the account is granted there (for instance \
             \"system/Immunization.rs system/Patient.rs\")"
        }
        ("unsupported_grant_type" | "unauthorized_client", _) => {
            "have the client registered there for the grant type client_credentials"
        }
        ("invalid_target", _) => "have the client registered there for this FHIR server",
        (_, LoginWay::Secret) => {
            "compare client_id and client_secret with what is registered there, and method \
             (client_secret_basic, client_secret_post)"
        }
        (_, LoginWay::Assertion) => {
            "compare client_id, key and key_id with the public key that is registered there, \
             token_endpoint with the address it knows itself by, and this machine's clock"
        }
    }
}

fn unusable(what: &str) -> SourceError {
    SourceError::misconfigured(
        format!("the token endpoint {what}"),
        "correct token_endpoint under auth, or have the server mended",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> DateTime<Utc> {
        "2021-07-10T12:00:00Z".parse().unwrap()
    }

    fn read(answer: &Value) -> Result<(i64, Option<i64>), String> {
        let given = token(answer.to_string().into_bytes(), now());
        given
            .map(|given| {
                let after = |moment: DateTime<Utc>| (moment - now()).num_seconds();
                (after(given.renew_at), given.ends_at.map(after))
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_is_renewed_before_its_end() {
        let with = |end: Value| {
            read(&json!({"access_token": "t", "token_type": "bearer", "expires_in": end}))
        };
        assert_eq!(with(json!(3600)), Ok((3540, Some(3600))));
        assert_eq!(with(json!("300")), Ok((240, Some(300))));
        assert_eq!(with(json!(20)), Ok((15, Some(20))));
        assert_eq!(with(json!(1)), Ok((1, Some(1))));
        for untold in [json!(0), json!(-5), json!("soon"), Value::Null] {
            assert_eq!(with(untold), Ok((300, None)));
        }
        let month = 30 * 24 * 3600;
        assert_eq!(with(json!(1e18)), Ok((month - 60, Some(month))));
    }

    #[test]
    fn what_is_no_token_is_refused_without_a_word_of_it() {
        let long = "x".repeat(MAX_TOKEN_BYTES);
        assert!(read(&json!({"access_token": long})).is_ok());
        for wrong in [
            json!({"access_token": format!("{long}x")}),
            json!({"access_token": "hunter 2"}),
            json!({"access_token": ""}),
            json!({"access_token": "hunter2", "token_type": "mac"}),
            json!({"token": "hunter2"}),
            json!("hunter2"),
        ] {
            let error = read(&wrong).unwrap_err();
            assert!(!error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn every_refusal_says_what_to_change() {
        let told = |status, body: Value, way, date: Option<&str>| {
            let body = body.to_string();
            let refused = refusal(&TokenRefusal {
                status,
                body: body.as_bytes(),
                retry_after: None,
                date: date.map(|date| date.parse().unwrap()),
                now: now(),
                way,
            });
            assert_eq!(refused.status, None, "never one of the FHIR server's");
            refused.error
        };
        let error = |code: &str| json!({"error": code, "error_description": "Ivanov"});
        for (code, way, word) in [
            ("invalid_client", LoginWay::Secret, "client_secret_post"),
            ("invalid_client", LoginWay::Assertion, "key_id"),
            ("invalid_grant", LoginWay::Assertion, "clock"),
            ("invalid_scope", LoginWay::Secret, "scope"),
            ("unauthorized_client", LoginWay::Secret, "grant type"),
        ] {
            let told = told(400, error(code), way, None).to_string();
            assert!(told.contains(code) && told.contains(word), "{told}");
            assert!(!told.contains("Ivanov"), "{told}");
        }
        let odd = told(401, error("ivanov_ivan"), LoginWay::Secret, None).to_string();
        assert!(odd.contains("(401)") && !odd.contains("ivanov"), "{odd}");
        let late = "2021-07-10T12:02:00Z";
        let skewed = told(
            401,
            error("invalid_client"),
            LoginWay::Assertion,
            Some(late),
        );
        assert!(skewed.to_string().contains("120 s ahead of"), "{skewed}");
        assert!(
            told(404, json!({}), LoginWay::Secret, None)
                .to_string()
                .contains("no token endpoint")
        );
        assert!(
            told(302, json!({}), LoginWay::Secret, None)
                .to_string()
                .contains("redirect")
        );
        for (status, body) in [
            (429, json!({})),
            (503, json!({})),
            (400, error("temporarily_unavailable")),
        ] {
            let told = told(status, body, LoginWay::Secret, None);
            assert!(matches!(told, SourceError::Retry { .. }), "{told}");
        }
    }
}
