//! Answers that prove nothing, and services that do not answer.

use key_client::KeyClientError;

use crate::double::{Behaviour, Double, answer_of, blinding, client};

async fn misconfigured(behaviour: Behaviour) -> (String, String) {
    match answer_of(behaviour).await {
        Err(KeyClientError::Misconfigured { what, help }) => (what, help),
        other => panic!("{other:?}"),
    }
}

async fn retried(behaviour: Behaviour) -> String {
    match answer_of(behaviour).await {
        Err(KeyClientError::Retry { service, clause }) => {
            assert!(service.starts_with("the key service 127.0.0.1:"));
            clause
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_key_is_told_with_the_fingerprint_of_the_pinned_one() {
    let double = Double::start(&[Behaviour::OtherKey]).await;
    let answer = client(&[&double]).evaluate(blinding(), 1).await;
    let Err(KeyClientError::Misconfigured { what, help }) = answer else {
        panic!("{answer:?}");
    };
    assert!(what.contains("was not computed under the public key that is pinned for epoch 1"));
    let fingerprint = double.key().public_key().fingerprint();
    assert!(help.contains(&fingerprint), "{help}");
}

#[tokio::test]
async fn a_changed_answer_fails_the_proof() {
    let moves: [fn(&mut Vec<u8>); 2] = [
        // Two elements change places.
        |answer| answer[3..67].rotate_left(32),
        // The proof is of other numbers: its low bits keep it a scalar.
        |answer| *answer.last_chunk_mut::<32>().unwrap() = [1; 32],
    ];
    for change in moves {
        let (what, _) = misconfigured(Behaviour::Changed(change)).await;
        assert!(
            what.contains("was not computed under the public key"),
            "{what}"
        );
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart_from_a_wrong_one() {
    let changes: [fn(&mut Vec<u8>); 6] = [
        |answer| answer[0] = 2,
        |answer| answer[2] += 1,
        |answer| answer[3..35].fill(0),
        |answer| answer.truncate(578),
        Vec::clear,
        |answer| *answer = b"<html>an error page with status 200</html>".to_vec(),
    ];
    for change in changes {
        let (what, help) = misconfigured(Behaviour::Changed(change)).await;
        assert!(what.ends_with("answers with something that is no evaluation"));
        assert!(help.contains("url"));
    }
}

#[tokio::test]
async fn no_more_is_read_than_an_answer_has() {
    let one_more: fn(&mut Vec<u8>) = |answer| answer.push(0);
    for behaviour in [Behaviour::Changed(one_more), Behaviour::Endless] {
        let (what, _) = misconfigured(behaviour).await;
        assert!(what.ends_with("answers with more than any answer has"));
    }
}

/// The clock of the runtime jumps ahead as soon as nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_service_that_says_nothing_is_left_after_its_time() {
    let clause = retried(Behaviour::Silent).await;
    assert_eq!(clause, "did not answer within timeout_seconds");
}

#[tokio::test]
async fn broken_connections_may_be_tried_again() {
    for behaviour in [Behaviour::Close, Behaviour::CloseWithin] {
        let clause = retried(behaviour).await;
        assert_eq!(clause, "closed the connection before the end of an answer");
    }
}

#[tokio::test]
async fn a_service_that_is_away_may_be_tried_again() {
    // Bound and not listening: no other program can take the port.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = held.local_addr().unwrap().port();
    let mut double = Double::start(&[Behaviour::Right]).await;
    double.port = port;
    let services = client(&[&double]);
    let error = services.evaluate(blinding(), 1).await.unwrap_err();
    let service = format!("the key service 127.0.0.1:{port}");
    let clause = "refuses connections".to_owned();
    assert_eq!(error, KeyClientError::Retry { service, clause });
}

#[tokio::test]
async fn a_name_that_does_not_exist_may_be_tried_again() {
    let double = Double::start(&[Behaviour::Right]).await;
    let text = format!(
        "[[services]]\nurl = \"https://keys.invalid\"\ncertificate = \"c\"\nprivate_key = {{ file \
         = \"k\" }}\n{}",
        double.pinned()
    );
    let config = crate::double::read(&text);
    let folder = crate::tls::folder_with_client("c", "k");
    let services = key_client::KeyClient::new(&config, folder.path()).unwrap();
    let error = services.evaluate(blinding(), 1).await.unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with("the key service keys.invalid has a host name"),
        "{told}"
    );
}

#[tokio::test]
async fn the_service_that_failed_last_is_asked_first_and_costs_the_others_nothing() {
    let well = Double::start(&[Behaviour::Right]).await;
    let ill = Double::start(&[Behaviour::problem(429, "ceiling-reached")]).await;
    let services = client(&[&well, &ill]);
    for _ in 0..3 {
        services.evaluate(blinding(), 1).await.unwrap_err();
    }
    assert_eq!((well.asked().len(), ill.asked().len()), (1, 3));
    ill.then(Behaviour::Right);
    services.evaluate(blinding(), 1).await.unwrap();
    assert_eq!((well.asked().len(), ill.asked().len()), (2, 4));
}

#[tokio::test]
async fn the_same_keys_have_the_same_fingerprint_whatever_their_order() {
    let one = Double::start(&[Behaviour::Right]).await;
    let two = Double::start(&[Behaviour::Right]).await;
    let there = client(&[&one, &two]).fingerprints();
    assert_eq!(there, client(&[&two, &one]).fingerprints());
    assert_ne!(there, client(&[&one]).fingerprints());
    let (epoch, fingerprint) = &there[0];
    assert_eq!((*epoch, fingerprint.len()), (1, 8));
}
