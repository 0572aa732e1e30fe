//! Statuses other than 200: what may pass, what has to be changed, and that nothing is quoted.

use std::time::Duration;

use key_client::{DEFAULT_CEILING_WAIT, KeyClientError, MAX_CEILING_WAIT, MIN_CEILING_WAIT};

use crate::double::{Behaviour, NOT_TO_QUOTE, answer_of, problem_body};

async fn refusal(behaviour: Behaviour) -> KeyClientError {
    let error = answer_of(behaviour).await.unwrap_err();
    let told = format!("{error} {error:?}");
    assert!(!told.contains(NOT_TO_QUOTE), "{told}");
    error
}

#[tokio::test]
async fn what_may_pass_is_to_be_retried() {
    for (status, code, expected) in [
        (503, "busy", "is busy"),
        (429, "busy", "is busy"),
        (
            503,
            "cannot-count",
            "cannot write down what it counts; its operator has to look at its disk",
        ),
        (
            502,
            NOT_TO_QUOTE,
            "cannot serve at the moment (HTTP status 502)",
        ),
        (500, "", "cannot serve at the moment (HTTP status 500)"),
    ] {
        match refusal(Behaviour::problem(status, code)).await {
            KeyClientError::Retry { clause, .. } => assert_eq!(clause, expected),
            other => panic!("{status} {code}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_has_to_be_changed_says_what() {
    for (status, code, what, help) in [
        (
            403,
            "unknown-client",
            "does not know this client's certificate",
            "fingerprint",
        ),
        (
            404,
            "unknown-key",
            "has no key number 7",
            "correct key in its public_keys",
        ),
        (
            400,
            "malformed",
            "does not understand requests of this version",
            "versions",
        ),
        (
            302,
            "",
            "redirects (HTTP status 302), which is refused",
            "url",
        ),
        (403, NOT_TO_QUOTE, "refuses with HTTP status 403", "url"),
        (404, "", "refuses with HTTP status 404", "url"),
        (204, "", "refuses with HTTP status 204", "url"),
    ] {
        match refusal(Behaviour::problem(status, code)).await {
            KeyClientError::Misconfigured {
                what: told,
                help: advice,
            } => {
                assert!(told.contains(what), "{told}");
                assert!(advice.contains(help), "{advice}");
            }
            other => panic!("{status} {code}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = crate::double::Double::start(&[Behaviour::Right]).await;
    let line = format!(
        "location: http://127.0.0.1:{}/v1/evaluate\r\n",
        elsewhere.port
    );
    let redirect = Behaviour::Status(307, line, String::new());
    refusal(redirect).await;
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn a_ceiling_tells_when_to_ask_again_within_a_day() {
    let longest = MAX_CEILING_WAIT.as_secs();
    for (line, expected) in [
        (
            "retry-after: 3600\r\n".to_owned(),
            Duration::from_secs(3600),
        ),
        ("retry-after: 0\r\n".to_owned(), MIN_CEILING_WAIT),
        (format!("retry-after: {longest}\r\n"), MAX_CEILING_WAIT),
        (
            format!("retry-after: {}\r\n", longest + 1),
            MAX_CEILING_WAIT,
        ),
        (
            "retry-after: Mon, 30 Nov 2026 00:00:00 GMT\r\n".to_owned(),
            DEFAULT_CEILING_WAIT,
        ),
        (String::new(), DEFAULT_CEILING_WAIT),
    ] {
        let body = problem_body(429, "ceiling-reached");
        match refusal(Behaviour::Status(429, line, body)).await {
            KeyClientError::Ceiling { retry_after, .. } => assert_eq!(retry_after, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_problem_is_read_up_to_its_limit() {
    let padded = |bytes: usize| {
        let body = problem_body(404, "unknown-key");
        let spaces = " ".repeat(bytes - body.len());
        Behaviour::Status(404, String::new(), body + &spaces)
    };
    let told = refusal(padded(4096)).await.to_string();
    assert!(told.contains("has no key number 7"), "{told}");
    let told = refusal(padded(4097)).await.to_string();
    assert!(told.contains("refuses with HTTP status 404"), "{told}");
}
