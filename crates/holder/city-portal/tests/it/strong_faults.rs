//! Key services away, at their ceilings, or proving nothing: words for the citizen, and one line
//! for the operator.

use serde_json::json;

use crate::browser::{citizen, post};
use crate::double::{Behaviour, Double};
use crate::key_double::{KeyBehaviour, KeyDouble};
use crate::program::{Portal, configured, strong};

/// Lines of a log that hold a text.
fn lines<'a>(log: &'a str, text: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(text)).collect()
}

#[tokio::test]
async fn each_failure_has_its_words_and_one_line_in_the_log() {
    let registry = Double::start(Behaviour::Entitled).await;
    let first = KeyDouble::start().await;
    let second = KeyDouble::start().await;
    let portal = Portal::strong_over(&registry, &[&first, &second]).await;
    portal.page_with("/health/ready", "ready\n").await;
    let answering = |log: &str| lines(log, "key-services-answer").len();
    assert_eq!(answering(&portal.log()), 1);
    let other = KeyBehaviour::OtherProof;
    for (behaviour, code, line) in [
        (KeyBehaviour::Problem(503, "busy"), "away", "is busy"),
        (KeyBehaviour::Ceiling, "ceiling", "has reached its ceiling"),
        (other, "misconfigured", "was not computed under the public"),
        (
            KeyBehaviour::Problem(403, "unknown-client"),
            "misconfigured",
            "does not know this client's certificate",
        ),
    ] {
        let before = portal.log().len();
        second.behave(behaviour);
        for _ in 0..2 {
            let answer = post(portal.port, "/api/codes", &citizen()).await;
            assert_eq!(answer.status, 503);
            assert_eq!(answer.code(), format!("key-service-{code}"));
            let wait = answer.json()["retry_after_seconds"].clone();
            let ceiling = behaviour == KeyBehaviour::Ceiling;
            assert_eq!(wait, if ceiling { json!(1800) } else { json!(null) });
        }
        second.behave(KeyBehaviour::Right);
        let answer = post(portal.port, "/api/codes", &citizen()).await;
        assert_eq!(answer.outcome(), "codes");
        let log = portal.log()[before..].to_owned();
        let failed = lines(&log, "key-service-failed");
        let [failed] = failed.as_slice() else {
            panic!("{behaviour:?}: {failed:?}");
        };
        assert!(failed.contains("WARN") && failed.contains(line), "{failed}");
        assert!(failed.contains(&second.port.to_string()), "{failed}");
        assert!(!log.contains("words-of-the-peer"), "{behaviour:?}");
        assert_eq!(answering(&log), 1, "{behaviour:?}");
    }
    // Only the questions that went well have reached the registry.
    assert_eq!(registry.asked().len(), 4);
    let page = portal.page_with("/metrics", "city_portal").await;
    for line in [
        "city_portal_requests_total{route=\"/api/codes\",outcome=\"key-service\"} 8",
        "key_client_requests_total{service=\"2\",outcome=\"ceiling\"} 2",
        "key_client_requests_total{service=\"2\",outcome=\"misconfigured\"} 4",
        "key_client_requests_total{service=\"2\",outcome=\"retry\"} 2",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn a_service_that_says_nothing_is_left_after_its_time_and_told_once() {
    let registry = Double::start(Behaviour::Entitled).await;
    let service = KeyDouble::start().await;
    service.behave(KeyBehaviour::Silent);
    let (folder, port, metrics) = configured(&registry.url(), "");
    let section = service.section();
    assert!(section.contains("timeout_seconds = 60"));
    let hasty = section.replace("timeout_seconds = 60", "timeout_seconds = 1");
    strong(folder.path(), &hasty);
    let portal = Portal::start(folder, port, metrics).await;
    for _ in 0..2 {
        let answer = post(portal.port, "/api/codes", &citizen()).await;
        assert_eq!(
            (answer.status, answer.code()),
            (503, "key-service-away".to_owned())
        );
        assert_eq!(answer.json()["retry_after_seconds"], json!(null));
    }
    let log = portal.log();
    let failed = lines(&log, "key-service-failed");
    let [failed] = failed.as_slice() else {
        panic!("{failed:?}");
    };
    assert!(failed.contains("WARN") && failed.contains("did not answer within"));
    assert!(failed.contains(&service.port.to_string()), "{failed}");
    assert!(registry.asked().is_empty());
    let retried = "key_client_requests_total{service=\"1\",outcome=\"retry\"} 2";
    portal.page_with("/metrics", retried).await;
}

#[tokio::test]
async fn a_service_that_is_away_is_told_and_shown_by_health() {
    let registry = Double::start(Behaviour::Entitled).await;
    let service = KeyDouble::start().await;
    let (folder, port, metrics) = configured(&registry.url(), "");
    strong(folder.path(), &service.section());
    let away = service.port;
    drop(service);
    let portal = Portal::start(folder, port, metrics).await;
    let told = format!("not ready: the key service 127.0.0.1:{away}");
    portal.page_with("/health/ready", &told).await;
    let answer = post(portal.port, "/api/status", &citizen()).await;
    assert_eq!(answer.code(), "key-service-away");
    let words = answer.json();
    assert!(words["en"].as_str().unwrap().contains("try again in a few"));
    assert!(words["ru"].as_str().unwrap().contains("попробуйте ещё раз"));
    assert!(registry.asked().is_empty());
    assert_eq!(lines(&portal.log(), "key-service-failed").len(), 1);
}

#[tokio::test]
async fn health_tells_a_ceiling_that_has_no_room_for_a_question() {
    let registry = Double::start(Behaviour::Entitled).await;
    let service = KeyDouble::start().await;
    service.behave(KeyBehaviour::Ceiling);
    let portal = Portal::strong_over(&registry, &[&service]).await;
    let told = "has reached its ceiling for this client today";
    let page = portal.page_with("/health/ready", told).await;
    assert!(page.starts_with("not ready: the key service"), "{page}");
    let answer = post(portal.port, "/api/status", &citizen()).await;
    assert_eq!(answer.code(), "key-service-ceiling");
    let words = answer.json();
    assert!(words["en"].as_str().unwrap().contains("Try later"));
}
