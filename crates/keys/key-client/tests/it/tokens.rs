//! Tokens from an issuer: genuine ones, refusals by their meaning, answers under another key.

use std::time::Duration;

use key_client::{
    DayTokenAnswer, DifferingKey, KeyClientError, TokenBytes, TokenClient, TokenIssuerConfig,
    TokenIssuerState,
};
use oprf::{Token, TokenKey, TokenUse, request_bytes};

use crate::double::{Behaviour, Double, KEY_NUMBER, NOT_TO_QUOTE, problem_body};

/// Number of the key of tokens of days.
const DAY_KEY: u16 = 9;

/// Section whose keys for batches and days are these.
fn config(port: u16, batch: &TokenKey, day: &TokenKey) -> TokenIssuerConfig {
    let batch = batch.public_key();
    let day = day.public_key();
    let text = format!(
        "url = \"http://127.0.0.1:{port}\"\n\
         batch = {{ key = {KEY_NUMBER}, public_key = \"{batch}\" }}\n\
         day = {{ key = {DAY_KEY}, public_key = \"{day}\" }}\n"
    );
    toml::from_str(&text).unwrap()
}

/// Client that pins the double's token key for batches, and another one for days.
fn of_batches(double: &Double) -> TokenClient {
    let config = config(double.port, double.token_key(), &TokenKey::generate());
    TokenClient::new(&config, "/".as_ref()).unwrap()
}

/// Client that pins the double's token key for days.
fn of_days(double: &Double) -> TokenClient {
    let config = config(double.port, &TokenKey::generate(), double.token_key());
    TokenClient::new(&config, "/".as_ref()).unwrap()
}

fn is_genuine(key: &TokenKey, token: &TokenBytes, token_use: TokenUse) -> bool {
    Token::from_bytes(token).is_ok_and(|token| key.verify(&token, token_use))
}

#[tokio::test]
async fn tokens_are_genuine_and_asked_for_in_the_smaller_size_that_suffices() {
    let double = Double::start(&[Behaviour::Tokens]).await;
    let client = of_batches(&double);
    for (count, size) in [(1, 16), (16, 16), (17, 256), (1000, 256)] {
        let tokens = client.batch_tokens(count).await.unwrap();
        assert_eq!(tokens.len(), size);
        let key = double.token_key();
        assert!(is_genuine(key, &tokens[0], TokenUse::Batch));
        let asked = double.asked().pop().unwrap();
        assert_eq!(asked.body.len(), request_bytes(size));
    }
    let DayTokenAnswer::Token(token) = of_days(&double).day_token().await.unwrap() else {
        panic!("a token")
    };
    assert!(is_genuine(double.token_key(), &token, TokenUse::Day));
    let asked = double.asked().pop().unwrap();
    assert_eq!(asked.body.len(), request_bytes(1));
}

#[tokio::test]
async fn an_answer_under_another_key_is_refused_and_the_setting_is_named() {
    let double = Double::start(&[Behaviour::Tokens]).await;
    let error = of_days(&double).batch_tokens(1).await.unwrap_err();
    let KeyClientError::Misconfigured { what, help } = error else {
        panic!("{error}")
    };
    assert!(what.contains("pinned for batch (key 7)"), "{what}");
    assert!(help.contains("batch of [tokens]"), "{help}");
}

#[tokio::test]
async fn refusals_keep_their_meaning() {
    let body = problem_body(429, "ceiling-reached");
    let ceiling = Behaviour::Status(429, "retry-after: 60\r\n".to_owned(), body);
    let double = Double::start(&[ceiling]).await;
    let client = of_batches(&double);
    let error = client.batch_tokens(1).await.unwrap_err();
    let expected = Duration::from_secs(60);
    assert!(
        matches!(&error, KeyClientError::Ceiling { retry_after, .. } if *retry_after == expected)
    );
    double.then(Behaviour::problem(503, "busy"));
    let error = client.batch_tokens(1).await.unwrap_err();
    assert!(
        error.to_string().starts_with("the token issuer 127.0.0.1:"),
        "{error}"
    );
    assert!(matches!(error, KeyClientError::Retry { .. }), "{error}");
    double.then(Behaviour::problem(404, "unknown-key"));
    let error = client.batch_tokens(1).await.unwrap_err().to_string();
    assert!(
        error.contains("no key number 7") && error.contains("[tokens]"),
        "{error}"
    );
    assert!(!error.contains(NOT_TO_QUOTE));
    double.then(Behaviour::problem(418, "teapot"));
    let error = client.batch_tokens(1).await.unwrap_err().to_string();
    assert!(
        error.contains("must lead to a token issuer") && !error.contains("key service"),
        "{error}"
    );
    double.then(Behaviour::Close);
    let error = client.batch_tokens(1).await.unwrap_err();
    assert!(matches!(error, KeyClientError::Retry { .. }), "{error}");
}

#[tokio::test]
async fn a_token_of_the_day_that_was_given_is_no_failure() {
    let given = Behaviour::problem(429, "day-token-given");
    let double = Double::start(&[given]).await;
    let answer = of_days(&double).day_token().await.unwrap();
    assert_eq!(answer, DayTokenAnswer::GivenBefore);
    let mut without = config(double.port, double.token_key(), &TokenKey::generate());
    without.day = None;
    let client = TokenClient::new(&without, "/".as_ref()).unwrap();
    let answer = client.day_token().await.unwrap();
    assert_eq!(answer, DayTokenAnswer::NotConfigured);
    assert_eq!(double.asked().len(), 1, "nobody was asked");
}

#[tokio::test]
async fn a_look_tells_the_ceiling_and_keys_that_differ_in_key_or_use() {
    let double = Double::start(&[Behaviour::Tokens]).await;
    let key = double.token_key().public_key();
    let list = format!(
        "{{\"keys\":[{{\"number\":{KEY_NUMBER},\"use\":\"batch\",\"public_key\":\"{key}\"}},\
         {{\"number\":{DAY_KEY},\"use\":\"batch\",\"public_key\":\"{key}\"}}],\
         \"daily_ceiling\":4096,\"used_today\":96,\"day_token_given\":true}}"
    );
    double.then(Behaviour::Status(200, String::new(), list));
    let state = of_batches(&double).look().await.unwrap();
    let expected = TokenIssuerState {
        differing: vec![DifferingKey {
            setting: "day",
            key: DAY_KEY,
            theirs: Some("batch"),
        }],
        daily_ceiling: 4096,
        used_today: 96,
        day_token_given: true,
    };
    assert_eq!(state, expected);
    assert_eq!(state.left_today(), 4000);
    double.then(Behaviour::Status(
        200,
        String::new(),
        NOT_TO_QUOTE.to_owned(),
    ));
    let error = of_batches(&double).look().await.unwrap_err().to_string();
    assert!(error.contains("no list of its keys") && !error.contains(NOT_TO_QUOTE));
}

#[tokio::test]
async fn mistakes_of_the_section_are_named() {
    let double = Double::start(&[Behaviour::Tokens]).await;
    let key = double.token_key();
    let same = config(double.port, key, key);
    let mistake = TokenClient::new(&same, "/".as_ref()).unwrap_err();
    assert!(mistake.to_string().contains("name one key"), "{mistake}");
    let mut open = config(double.port, key, &TokenKey::generate());
    open.url = "http://issuer.example".parse().unwrap();
    let mistake = TokenClient::new(&open, "/".as_ref()).unwrap_err();
    assert!(
        mistake.to_string().contains("the token issuer"),
        "{mistake}"
    );
    let pseudonyms = "url = \"http://127.0.0.1:1\"\nbatch = { key = 1, public_key = \
        \"cgov1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\" }";
    let refused = toml::from_str::<TokenIssuerConfig>(pseudonyms).unwrap_err();
    assert!(refused.to_string().contains("cgtv1:"), "{refused}");
}
