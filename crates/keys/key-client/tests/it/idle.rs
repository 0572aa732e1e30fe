//! Connections that a service has closed while they were idle.

use key_client::KeyClientError;

use crate::double::{Behaviour, Double, blinding, client};

#[tokio::test]
async fn a_kept_connection_that_breaks_is_tried_once_more() {
    let script = [Behaviour::Right, Behaviour::Close, Behaviour::Right];
    let double = Double::start(&script).await;
    let services = client(&[&double]);
    services.evaluate(blinding(), 1).await.unwrap();
    services.evaluate(blinding(), 1).await.unwrap();
    let asked = double.asked();
    let connections: Vec<usize> = asked.iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
    assert_eq!(asked[1].body, asked[2].body);
}

#[tokio::test]
async fn it_is_tried_no_third_time() {
    let double = Double::start(&[Behaviour::Right, Behaviour::Close]).await;
    let services = client(&[&double]);
    services.evaluate(blinding(), 1).await.unwrap();
    let error = services.evaluate(blinding(), 1).await.unwrap_err();
    assert!(matches!(error, KeyClientError::Retry { .. }), "{error:?}");
    assert_eq!(double.asked().len(), 3);
}

#[tokio::test]
async fn a_first_connection_that_breaks_is_not_tried_again() {
    let double = Double::start(&[Behaviour::Close]).await;
    let services = client(&[&double]);
    services.evaluate(blinding(), 1).await.unwrap_err();
    assert_eq!(double.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_that_broke_off_is_not_asked_for_again() {
    let double = Double::start(&[Behaviour::Right, Behaviour::CloseWithin]).await;
    let services = client(&[&double]);
    services.evaluate(blinding(), 1).await.unwrap();
    services.evaluate(blinding(), 1).await.unwrap_err();
    assert_eq!(double.asked().len(), 2);
}
