//! Looks at key services: their keys and ceilings.

use key_client::{KeyClientError, PinnedKeyState, ServiceState};
use oprf::ServiceKey;

use crate::double::{Behaviour, Double, KEY_NUMBER, NOT_TO_QUOTE, client};

fn list(keys: &[(u16, String)]) -> Behaviour {
    let keys = keys
        .iter()
        .map(|(number, key)| format!("{{\"number\":{number},\"public_key\":\"{key}\"}}"));
    let keys = keys.collect::<Vec<_>>().join(",");
    let body = format!("{{\"keys\":[{keys}],\"daily_ceiling\":1000,\"used_today\":272,\"new\":1}}");
    Behaviour::Status(200, String::new(), body)
}

/// What a look sees of a double whose answer is made from its own public key.
async fn look(answer: impl FnOnce(&str) -> Behaviour) -> Result<ServiceState, KeyClientError> {
    let double = Double::start(&[Behaviour::Right]).await;
    let services = client(&[&double]);
    double.then(answer(&double.key().public_key().to_string()));
    let mut looks = services.look().await;
    assert_eq!(looks.len(), 1);
    let look = looks.remove(0);
    assert_eq!(look.service, format!("127.0.0.1:{}", double.port));
    let asked = double.asked();
    assert_eq!(asked[0].head[0], "GET /v1/keys HTTP/1.1");
    look.state
}

#[tokio::test]
async fn a_service_with_the_pinned_key_is_seen_with_its_ceiling() {
    let other = ServiceKey::generate().public_key().to_string();
    let state = look(|own| list(&[(1, other), (KEY_NUMBER, own.to_owned())])).await;
    let state = state.unwrap();
    assert!(state.has_pinned_keys());
    assert_eq!(state.pinned[0].state, PinnedKeyState::Same);
    assert_eq!(
        (state.pinned[0].epoch, state.pinned[0].key),
        (1, KEY_NUMBER)
    );
    assert_eq!((state.daily_ceiling, state.used_today), (1000, 272));
    assert_eq!(state.left_today(), 728);
}

#[tokio::test]
async fn a_key_that_is_missing_or_another_one_is_told() {
    let state = look(|own| list(&[(KEY_NUMBER + 1, own.to_owned())]))
        .await
        .unwrap();
    assert_eq!(state.pinned[0].state, PinnedKeyState::Missing);
    assert!(!state.has_pinned_keys());

    let theirs = ServiceKey::generate().public_key();
    let state = look(|_| list(&[(KEY_NUMBER, theirs.to_string())]))
        .await
        .unwrap();
    assert_eq!(state.pinned[0].state, PinnedKeyState::Differs { theirs });
    assert!(!state.has_pinned_keys());
}

#[tokio::test]
async fn a_token_issuer_in_the_place_of_a_key_service_is_told_as_one() {
    let state = look(|own| {
        let list = format!(
            "{{\"keys\":[{{\"number\":{KEY_NUMBER},\"use\":\"day\",\"public_key\":\"{own}\"}}],\
             \"daily_ceiling\":1000,\"used_today\":0}}"
        );
        Behaviour::Status(200, String::new(), list)
    })
    .await
    .unwrap();
    let key_use = "day";
    assert_eq!(state.pinned[0].state, PinnedKeyState::OfTokens { key_use });
    assert!(!state.has_pinned_keys());
}

#[tokio::test]
async fn what_is_no_list_is_told_without_quoting_it() {
    let long = format!("{{\"keys\":[{}],", " ".repeat(64 * 1024));
    for body in [NOT_TO_QUOTE.to_owned(), "{}".to_owned(), long] {
        let error = look(|_| Behaviour::Status(200, String::new(), body))
            .await
            .unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, KeyClientError::Misconfigured { .. }));
        assert!(!told.contains(NOT_TO_QUOTE), "{told}");
    }
    let broken = look(|_| list(&[(KEY_NUMBER, NOT_TO_QUOTE.to_owned())])).await;
    let told = broken.unwrap_err().to_string();
    assert!(told.contains("no list of its keys") && !told.contains(NOT_TO_QUOTE));
}

#[tokio::test]
async fn a_service_that_fails_hides_no_other() {
    let first = Double::start(&[Behaviour::problem(403, "unknown-client")]).await;
    let second = Double::start(&[Behaviour::problem(503, "busy")]).await;
    let looks = client(&[&first, &second]).look().await;
    let [first, second] = looks.as_slice() else {
        panic!("{looks:?}");
    };
    assert!(matches!(
        first.state,
        Err(KeyClientError::Misconfigured { .. })
    ));
    assert!(matches!(second.state, Err(KeyClientError::Retry { .. })));
}
