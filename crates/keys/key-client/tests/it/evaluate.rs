//! Evaluations that go well, and what is sent for them.

use key_client::KeyClientError;
use oprf::{Blinding, Element, Request, ServiceKey};

use crate::double::{Behaviour, Double, KEY_NUMBER, blinding, client};

/// What these keys make of inputs, without a network.
fn expected(inputs: &[&[u8]], keys: &[&ServiceKey]) -> Vec<Element> {
    let mut blinding = Blinding::new(inputs).unwrap();
    for key in keys {
        let answer = key.evaluate(&Request::parse(&blinding.request(1)).unwrap());
        blinding.accept(&answer, 1, &key.public_key()).unwrap();
    }
    blinding.unblind()
}

#[tokio::test]
async fn two_services_in_turn_give_the_product_in_either_order() {
    let first = Double::start(&[Behaviour::Right]).await;
    let second = Double::start(&[Behaviour::Right]).await;
    let there = client(&[&first, &second]);
    let back = client(&[&second, &first]);
    let inputs: [&[u8]; 2] = [b"one", b"two"];
    let expected = expected(&inputs, &[first.key(), second.key()]);
    assert_eq!(there.evaluate(blinding(), 1).await.unwrap(), expected);
    assert_eq!(back.evaluate(blinding(), 1).await.unwrap(), expected);
}

#[tokio::test]
async fn a_full_request_gives_an_element_for_each_input() {
    let double = Double::start(&[Behaviour::Right]).await;
    let inputs: Vec<[u8; 2]> = (0..256_u16).map(u16::to_be_bytes).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(<[u8; 2]>::as_slice).collect();
    let blinding = Blinding::new(&inputs).unwrap();
    let elements = client(&[&double]).evaluate(blinding, 1).await.unwrap();
    assert_eq!(elements, expected(&inputs, &[double.key()]));
    assert_eq!(double.asked()[0].body.len(), oprf::MAX_REQUEST_BYTES);
}

#[tokio::test]
async fn the_second_service_gets_what_the_first_has_evaluated() {
    let first = Double::start(&[Behaviour::Right]).await;
    let second = Double::start(&[Behaviour::Right]).await;
    let blinding = blinding();
    let sent = blinding.request(KEY_NUMBER);
    let services = client(&[&first, &second]);
    services.evaluate(blinding, 1).await.unwrap();
    let to_first = first.asked();
    let to_second = second.asked();
    assert_eq!((to_first.len(), to_second.len()), (1, 1));
    assert_eq!(to_first[0].body, sent);
    let evaluated = first.key().evaluate(&Request::parse(&sent).unwrap());
    assert_eq!(to_second[0].body, evaluated[..sent.len()]);
}

#[tokio::test]
async fn a_request_tells_nothing_but_what_is_asked() {
    let double = Double::start(&[Behaviour::Right]).await;
    let services = client(&[&double]);
    // The second one too: nothing of the first answer may come back.
    for _ in 0..2 {
        services.evaluate(blinding(), 1).await.unwrap();
    }
    for asked in double.asked() {
        let mut head = asked.head;
        head[1..].sort_unstable();
        let host = format!("host: 127.0.0.1:{}", double.port);
        let expected = [
            "POST /v1/evaluate HTTP/1.1",
            "accept: */*",
            "content-length: 515",
            "content-type: application/octet-stream",
            &host,
        ];
        assert_eq!(head, expected);
    }
}

#[tokio::test]
async fn an_epoch_without_a_pinned_key_is_refused_before_anything_is_sent() {
    let double = Double::start(&[Behaviour::Right]).await;
    let error = client(&[&double]).evaluate(blinding(), 2).await;
    let Err(KeyClientError::Misconfigured { what, help }) = error else {
        panic!("{error:?}");
    };
    assert!(what.contains("epoch 2") && help.contains("public_keys"));
    assert!(double.asked().is_empty());
}

#[tokio::test]
async fn a_failure_of_the_first_service_keeps_the_second_from_being_asked() {
    let first = Double::start(&[Behaviour::problem(503, "busy")]).await;
    let second = Double::start(&[Behaviour::Right]).await;
    let services = client(&[&first, &second]);
    services.evaluate(blinding(), 1).await.unwrap_err();
    assert!(second.asked().is_empty());
}
