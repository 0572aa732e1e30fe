//! What a citizen gets: status, codes, certificates, and why not.

use pass::claims::Claims;
use pass::container::{Envelope, from_text};
use serde_json::json;

use crate::browser::{KEY, certificate, citizen, get, post};
use crate::double::{Behaviour, Double, reasons};
use crate::program::Portal;

#[tokio::test]
async fn the_status_says_until_when_and_what_the_door_will_see() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::over(&double).await;
    let answer = post(portal.port, "/api/status", &citizen()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let status = answer.json();
    assert_eq!(status["outcome"], "status");
    assert_eq!(status["entitled"], true);
    assert_eq!(status["covered"][0]["from"], status["today"]);
    assert_eq!(status["reasons"], json!([]));
    assert_eq!(status["holder"]["day"], 14);
    let asked = double.asked();
    assert_eq!(asked.len(), 1);
    let names = asked[0].body["pseudonyms"].as_array().unwrap();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0]["scheme"], "snils");
    assert_eq!(names[0]["suite"], "hmac");
    assert_eq!(names[0]["epoch"], 1);
    assert_eq!(names[0]["value"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn reasons_are_the_registrys_in_both_languages() {
    let double = Double::start(Behaviour::NotEntitled).await;
    let portal = Portal::over(&double).await;
    let status = post(portal.port, "/api/status", &citizen()).await.json();
    assert_eq!(status["entitled"], false);
    assert_eq!(status["reasons"], reasons());
    assert_eq!(status["covered"][0]["last"], json!(null));
    for path in ["/api/codes", "/api/sheet"] {
        let refused = post(portal.port, path, &citizen()).await.json();
        assert_eq!(
            refused,
            json!({ "outcome": "refused", "reasons": reasons() })
        );
    }
    let refused = post(portal.port, "/api/certificate", &certificate("test")).await;
    assert_eq!(refused.outcome(), "refused");
}

#[tokio::test]
async fn the_codes_are_those_of_today_and_the_order_discloses_what_was_chosen() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::over(&double).await;
    let answer = post(portal.port, "/api/codes", &citizen()).await.json();
    assert_eq!(answer["outcome"], "codes");
    assert_eq!(answer["zone"], "Europe/Moscow");
    let codes = answer["codes"].as_array().unwrap();
    assert_eq!(codes.len(), 2);
    assert_ne!(codes[0]["svg"], codes[1]["svg"]);
    // Midnight may have passed since the double was started.
    let mut days = [0, 1].into_iter();
    let today = days.find(|day| codes[0]["from"] == json!(double.midnight(*day)));
    let today = today.unwrap();
    for code in codes {
        assert_eq!(code["from"], json!(double.midnight(today)));
        assert_eq!(code["until"], json!(double.midnight(today + 1)));
        assert!(code["svg"].as_str().unwrap().starts_with("<svg "));
    }
    let asked = double.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].key.as_deref(), Some(KEY));
    assert_eq!(asked[0].body["form"], "days");
    let holder = asked[0].body["holder"].as_object().unwrap();
    assert_eq!(holder["birth_day"], 14);
    assert_eq!(answer["holder"]["day"], 14);
}

#[tokio::test]
async fn certificates_of_each_kind_say_what_they_state() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::over(&double).await;
    for kind in ["vaccination", "recovery", "test"] {
        let answer = post(portal.port, "/api/certificate", &certificate(kind)).await;
        let answer = answer.json();
        assert_eq!(answer["outcome"], "certificate", "{answer}");
        assert_eq!(answer["states"]["kind"], kind);
        assert_eq!(answer["states"]["country"], "RU");
        assert_eq!(answer["holder"]["day"], json!(null));
        let text = answer["text"].as_str().unwrap();
        let envelope = Envelope::open(&from_text(text).unwrap()).unwrap();
        let claims = Claims::decode(&envelope.payload).unwrap();
        assert_eq!(claims.product(), pass::Product::Hcert);
        assert_eq!(double.asked()[0].body["form"], kind);
    }
    let other = post(portal.port, "/api/certificate", &certificate("days")).await;
    assert_eq!(other.code(), "form");
    assert_eq!(double.asked(), []);
}

#[tokio::test]
async fn as_many_as_may_be_is_said_in_words() {
    let double = Double::start(Behaviour::Exhausted).await;
    let portal = Portal::over(&double).await;
    for path in ["/api/codes", "/api/sheet"] {
        let answer = post(portal.port, path, &citizen()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.outcome(), "exhausted");
        assert!(answer.json()["ru"].as_str().unwrap().contains("Кодов"));
    }
}

#[tokio::test]
async fn faults_of_fields_never_reach_the_registry() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::over(&double).await;
    let mut form = citizen();
    form["number"] = json!("612-480-911 68");
    form["birth_date"] = json!("31.02.1990");
    form["family_name"] = json!("я".repeat(10_000));
    for path in ["/api/status", "/api/codes", "/api/sheet"] {
        let answer = post(portal.port, path, &form).await;
        assert_eq!(answer.status, 422);
        let answer = answer.json();
        let codes: Vec<&str> = answer["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| fault["code"].as_str().unwrap())
            .collect();
        assert_eq!(codes, ["snils-check", "too-long", "birth-no-such-day"]);
        assert_eq!(answer["fields"][0]["field"], "number");
    }
    assert_eq!(double.asked(), []);
}

#[tokio::test]
async fn the_page_and_its_files_are_served_under_a_strict_policy() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::over(&double).await;
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let answer = get(portal.port, path).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(media_type))
        );
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("set-cookie"), None);
    }
    for path in ["/nothing", "/../config.rs", "/page/main.js", "/api"] {
        let answer = get(portal.port, path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "not-found"),
            "{path}"
        );
    }
    let read = get(portal.port, "/api/status").await;
    assert_eq!((read.status, read.header("allow")), (405, Some("POST")));
}
