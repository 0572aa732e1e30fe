//! The registry away, slow, refusing or talking nonsense: words for the citizen, and a line for the
//! operator.

use serde_json::json;
use testbed::proxy::TcpProxy;

use crate::browser::{KEY, certificate, citizen, post};
use crate::double::{Behaviour, Double};
use crate::program::Portal;

/// What the portal answers, and what its log says.
async fn told(double: &Double, portal: &Portal, behaviour: Behaviour) -> (String, String) {
    double.behave(&[behaviour]);
    let before = portal.log().len();
    let answer = post(portal.port, "/api/codes", &citizen()).await;
    let is_of_person = answer.code() == "person-ceiling";
    assert_eq!(answer.status, if is_of_person { 429 } else { 503 });
    (answer.code(), portal.log()[before..].to_owned())
}

#[tokio::test]
async fn each_failure_of_the_registry_has_its_words_and_its_line_in_the_log() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::over(&double).await;
    let problem = Behaviour::Problem;
    let raw = |text: &str| Behaviour::Raw(200, text.to_owned());
    let cases = [
        (
            problem(429, "subject-ceiling", Some(1800)),
            "person-ceiling",
            "about one person",
        ),
        (
            problem(429, "client-ceiling", Some(60)),
            "registry-ceiling",
            "requests_per_hour",
        ),
        (problem(422, "epoch", None), "key-epoch", "pseudonym_epochs"),
        (
            problem(422, "form", None),
            "registry-refused",
            "versions that fit",
        ),
        (
            problem(503, "store", Some(5)),
            "registry-unavailable",
            "its log says why",
        ),
        (
            problem(503, "no-key", Some(5)),
            "registry-unavailable",
            "HTTP status 503, no-key",
        ),
        (
            problem(500, "internal", None),
            "registry-unavailable",
            "HTTP status 500",
        ),
        (
            Behaviour::Raw(404, "<html>".to_owned()),
            "registry-nonsense",
            "HTTP status 404",
        ),
        (raw("<html>"), "registry-nonsense", "registry.base_url"),
        (raw("{}"), "registry-nonsense", "no answer about passes"),
        (
            raw(r#"{"outcome":"strips","strips":[]}"#),
            "registry-nonsense",
            "no strips",
        ),
        (
            raw(r#"{"outcome":"refused","reasons":[]}"#),
            "registry-nonsense",
            "without a reason",
        ),
        (
            raw(&" ".repeat(300 * 1024)),
            "registry-nonsense",
            "too long",
        ),
        (
            Behaviour::OtherHolder,
            "registry-nonsense",
            "another holder",
        ),
        (Behaviour::Swapped, "registry-nonsense", "not asked for"),
    ];
    for (behaviour, code, line) in cases {
        let shown = format!("{behaviour:?}");
        let (told, log) = told(&double, &portal, behaviour).await;
        assert_eq!(told, code, "{shown}");
        assert!(log.contains(line), "{shown}: {line}: {log}");
        assert!(log.contains("WARN"), "{shown}: {log}");
    }
}

#[tokio::test]
async fn a_registry_that_says_nothing_is_left_after_its_time() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::impatient_over(&double).await;
    let (told, log) = told(&double, &portal, Behaviour::Silent).await;
    assert_eq!(told, "registry-slow");
    let line = "registry.timeout_seconds";
    assert!(log.contains(line) && log.contains("WARN"), "{log}");
    let page = portal
        .page_with(
            "/metrics",
            "city_portal_registry_faults_total{fault=\"registry-slow\"} 1",
        )
        .await;
    assert!(page.contains("{route=\"/api/codes\",outcome=\"registry\"}"));
}

#[tokio::test]
async fn a_key_that_was_used_for_another_request_is_the_pages_fault() {
    let double = Double::start(Behaviour::Problem(409, "key-reused", None)).await;
    let portal = Portal::over(&double).await;
    let answer = post(portal.port, "/api/codes", &citizen()).await;
    assert_eq!(
        (answer.status, answer.code()),
        (409, "key-reused".to_owned())
    );
    assert!(
        !portal.log().contains("registry-failed"),
        "{}",
        portal.log()
    );
}

#[tokio::test]
async fn nonsense_about_eligibility_sheets_and_certificates_is_told_too() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::over(&double).await;
    let day = |text: &str| Behaviour::Raw(200, text.to_owned());
    for nonsense in [
        r#"{"today":"2026-11-30","covered":[],"reasons":[]}"#,
        r#"{"today":"2026-11-30","covered":[{"from":"2026-11-29","last":null}],"reasons":[]}"#,
        r#"{"today":"today","covered":[],"reasons":[]}"#,
        r#"{"today":"2026-11-30","covered":[],"reasons":[{"code":"x","ru":"","en":"x"}]}"#,
    ] {
        double.behave(&[day(nonsense)]);
        let answer = post(portal.port, "/api/status", &citizen()).await;
        assert_eq!(answer.code(), "registry-nonsense", "{nonsense}");
    }
    for behaviour in [Behaviour::Swapped, Behaviour::OtherHolder] {
        double.behave(std::slice::from_ref(&behaviour));
        let sheet = post(portal.port, "/api/sheet", &citizen()).await;
        assert_eq!(sheet.code(), "registry-nonsense", "{behaviour:?}");
        let asked = certificate("vaccination");
        let certificate = post(portal.port, "/api/certificate", &asked).await;
        assert_eq!(certificate.code(), "registry-nonsense", "{behaviour:?}");
    }
}

#[tokio::test]
async fn an_answer_may_be_as_long_as_the_limit_and_no_longer() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::over(&double).await;
    let answer = r#"{"outcome":"exhausted"}"#;
    let filled = |length: usize| {
        let blanks = " ".repeat(length - answer.len());
        Behaviour::Raw(200, format!("{answer}{blanks}"))
    };
    let most = 256 * 1024;
    double.behave(&[filled(most)]);
    let read = post(portal.port, "/api/codes", &citizen()).await;
    assert_eq!(read.outcome(), "exhausted");
    double.behave(&[filled(most + 1)]);
    let over = post(portal.port, "/api/codes", &citizen()).await;
    assert_eq!(over.code(), "registry-nonsense");
}

#[tokio::test]
async fn the_time_to_wait_is_passed_on() {
    let wait = Behaviour::Problem(429, "subject-ceiling", Some(1800));
    let double = Double::start(wait).await;
    let portal = Portal::over(&double).await;
    let answer = post(portal.port, "/api/status", &citizen()).await.json();
    assert_eq!(answer["retry_after_seconds"], json!(1800));
}

#[tokio::test]
async fn a_registry_that_is_away_is_told_and_found_again() {
    let double = Double::start(Behaviour::Entitled).await;
    let line = TcpProxy::start(double.port).await.unwrap();
    let registry = format!("http://127.0.0.1:{}", line.port());
    let portal = Portal::at(&registry, "").await;
    assert_eq!(
        post(portal.port, "/api/status", &citizen()).await.status,
        200
    );
    line.cut();
    let away = post(portal.port, "/api/status", &citizen()).await;
    assert_eq!(away.code(), "registry-away");
    assert!(portal.log().contains("start `city-registry portal`"));
    line.restore();
    assert_eq!(
        post(portal.port, "/api/status", &citizen()).await.status,
        200
    );
}

#[tokio::test]
async fn a_request_in_hand_is_repeated_under_the_same_key() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::over(&double).await;
    let in_hand = Behaviour::Problem(409, "in-hand", Some(1));
    double.behave(&[in_hand.clone(), in_hand.clone(), Behaviour::Entitled]);
    let answer = post(portal.port, "/api/codes", &citizen()).await;
    assert_eq!(answer.outcome(), "codes");
    let asked = double.asked();
    assert_eq!(asked.len(), 3);
    for one in &asked {
        assert_eq!(one, &asked[0]);
        assert_eq!(one.key.as_deref(), Some(KEY));
    }
    double.behave(&[in_hand]);
    let answer = post(portal.port, "/api/codes", &citizen()).await;
    assert_eq!(answer.code(), "registry-unavailable");
    assert_eq!(double.asked().len(), 3);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_under_the_same_key() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::over(&double).await;
    double.behave(&[Behaviour::Lost, Behaviour::Lost, Behaviour::Entitled]);
    let answer = post(portal.port, "/api/codes", &citizen()).await;
    assert_eq!(answer.outcome(), "codes");
    let asked = double.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|one| *one == asked[0]));
    double.behave(&[Behaviour::Lost]);
    let answer = post(portal.port, "/api/codes", &citizen()).await;
    assert_eq!(answer.code(), "registry-away");
    assert_eq!(double.asked().len(), 3);
}
