//! Tests of the portal's interface over HTTP: what it answers, and what it refuses.

mod faults;
mod http;
mod leaks;
mod lists;
mod program;
mod tls;

use contract::{Pseudonym, Scheme};
use pass::verify::{Reason, Verdict};
use registry::portal::PortalConfig;
use serde_json::{Value, json};

use self::http::Served;
use crate::passes::{long, passes_by, settings, snils, store, worlds};
use crate::world::{World, asserted, asserted_of, negative, pseudonym, recovery, withdrawn};

/// Pseudonyms as a portal sends them.
fn names(pseudonyms: &[Pseudonym]) -> Value {
    let one = |name: &Pseudonym| {
        json!({
            "suite": name.suite.as_str(),
            "scheme": name.scheme.as_str(),
            "epoch": name.epoch,
            "value": hex::encode(name.value),
        })
    };
    pseudonyms.iter().map(one).collect()
}

fn question(person: u16) -> String {
    json!({ "pseudonyms": names(&snils(person)) }).to_string()
}

fn order(person: u16, form: &str) -> String {
    let holder = json!({ "given_initial": "A", "birth_day": 7 });
    json!({ "pseudonyms": names(&snils(person)), "holder": holder, "form": form }).to_string()
}

fn strips(answer: &Value) -> &Vec<Value> {
    assert_eq!(answer["outcome"], "strips", "{answer}");
    answer["strips"].as_array().unwrap()
}

#[tokio::test]
async fn a_portal_asks_for_a_person_and_gets_strips() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        store(
            &mut world,
            &[asserted(2, 1, 2, recovery(None, "2021-06-01"))],
        )
        .await;
        let served = Served::over(&world, PortalConfig::default()).await;
        let asked = served.post("/v1/eligibility", "", &question(2)).await;
        assert_eq!(asked.status, 200);
        assert_eq!(asked.header("cache-control"), Some("no-store"));
        let answer = asked.json();
        assert_eq!(answer["today"], "2021-07-01");
        assert_eq!(answer["covered"][0]["from"], "2021-07-01");
        assert!(answer["covered"][0].get("last").is_some());
        assert_eq!(answer["reasons"], json!([]));

        let days = served.ask("days", &order(2, "days")).await.json();
        let days = strips(&days);
        assert_eq!(days.len(), 8);
        assert_eq!(days[0]["from"], "2021-06-30T21:00:00Z");
        assert_eq!(days[0]["until"], "2021-07-01T21:00:00Z");
        let paper = served.ask("paper", &order(2, "paper")).await.json();
        let paper = strips(&paper);
        assert_eq!(paper.len(), 1);
        assert_eq!(paper[0]["until"], "2021-07-07T21:00:00Z");
        assert!(served.portal.publish_step().await.unwrap());
        let verdicts = lists::Verifier::fetch(&served, &world).await;
        for text in [&days[0]["text"], &paper[0]["text"]] {
            let shown = verdicts.holder(text.as_str().unwrap());
            let initial = shown.given_initial().map(pass::holder::Initial::as_char);
            assert_eq!((initial, shown.birth().day()), (Some('A'), Some(7)));
        }
    }
}

fn certificate(answer: &Value) -> &str {
    assert_eq!(answer["outcome"], "certificate", "{answer}");
    answer["certificate"]["text"].as_str().unwrap()
}

#[tokio::test]
async fn a_portal_asks_for_certificates_and_they_end_with_their_fact() {
    let mut world = World::small().await;
    let facts = [
        asserted(1, 1, 1, recovery(None, "2021-06-01")),
        asserted(2, 1, 1, negative("2021-06-30")),
    ];
    store(&mut world, &facts).await;
    let served = Served::over(&world, PortalConfig::default()).await;
    let recovered = served.ask("r", &order(1, "recovery")).await;
    assert_eq!(recovered.status, 200);
    let recovered = recovered.json();
    assert_eq!(recovered["certificate"]["from"], "2021-06-30T21:00:00Z");
    assert_eq!(recovered["certificate"]["until"], "2021-07-30T21:00:00Z");
    let recovered = certificate(&recovered);
    let tested = served.ask("t", &order(1, "test")).await;
    let again = served.ask("t", &order(1, "test")).await;
    assert_eq!(tested.body, again.body);
    let tested = tested.json();
    let tested = certificate(&tested);
    let none = served.ask("v", &order(1, "vaccination")).await;
    let unknown = served.ask("u", &order(9, "vaccination")).await;
    assert_eq!((none.status, &none.body), (200, &unknown.body));
    assert_eq!(none.json()["outcome"], "refused");
    assert_eq!(none.json()["reasons"][0]["code"], "no-certificate");

    assert!(served.portal.publish_step().await.unwrap());
    let mut verifier = lists::Verifier::fetch(&served, &world).await;
    let shown = verifier.holder(recovered).given_initial();
    assert_eq!(shown.map(pass::holder::Initial::as_char), Some('A'));
    verifier.holder(tested);
    store(&mut world, &[withdrawn(2, 2, contract::FactKind::Test)]).await;
    world.clock.advance(std::time::Duration::from_secs(60));
    assert!(served.portal.publish_step().await.unwrap());
    verifier.refresh(&served, &world).await;
    let revoked = Verdict::Invalid(Reason::Revoked);
    assert_eq!(verifier.verdict(tested), revoked);
    verifier.holder(recovered);
}

#[tokio::test]
async fn without_a_key_for_certificates_they_are_answered_by_a_problem_and_strips_are_issued() {
    let mut world = World::small().await;
    let fact = asserted(1, 1, 1, recovery(None, "2021-06-01"));
    store(&mut world, &[fact]).await;
    let products = [pass::Product::City, pass::Product::Revocations];
    let passes = passes_by(&world, &products, long(), settings());
    let served = Served::of(&world, passes, PortalConfig::default()).await;
    for (key, person) in [("a", 1), ("b", 9)] {
        let answer = served.ask(key, &order(person, "recovery")).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "no-key"));
        assert!(answer.header("retry-after").is_some());
    }
    strips(&served.ask("c", &order(1, "days")).await.json());
}

#[tokio::test]
async fn attributes_that_too_few_people_have_together_are_refused() {
    let mut world = World::small().await;
    let fact = asserted(1, 1, 1, recovery(None, "2021-06-01"));
    store(&mut world, &[fact]).await;
    let served = Served::over(&world, PortalConfig::default()).await;
    let ask = |holder: Value| {
        let names = names(&snils(1));
        json!({ "pseudonyms": names, "holder": holder, "form": "paper" }).to_string()
    };
    let rare = json!({ "given_initial": "A", "birth_day": 7, "birth_month": 3 });
    let refused = served.ask("a", &ask(rare)).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (422, "rare-holder")
    );
    for (key, holder) in [
        ("b", json!({})),
        ("c", json!({ "birth_day": 7, "birth_month": 3 })),
    ] {
        strips(&served.ask(key, &ask(holder)).await.json());
    }
}

#[tokio::test]
async fn a_repeat_with_the_same_key_gets_the_same_strips_and_counts_no_more() {
    let mut world = World::small().await;
    store(&mut world, &[asserted(1, 1, 1, negative("2021-06-30"))]).await;
    let served = Served::over(&world, PortalConfig::default()).await;
    let first = served.ask("one", &order(1, "days")).await;
    let again = served.ask("one", &order(1, "days")).await;
    // Signatures are random, so that equal strips are the very same ones.
    assert_eq!(first.body, again.body);
    let other = served.ask("one", &order(1, "paper")).await;
    assert_eq!((other.status, other.code().as_str()), (409, "key-reused"));
    // Two more requests reach the five strips of each day; the repeat took none of them.
    let second = served.ask("two", &order(1, "days")).await.json();
    assert_eq!(strips(&second).len(), 4);
    let third = served.ask("three", &order(1, "days")).await.json();
    assert_eq!(strips(&third).len(), 2);
    let fourth = served.ask("four", &order(1, "days")).await.json();
    assert_eq!(fourth, json!({ "outcome": "exhausted" }));
    world.clock.advance(registry::portal::KEPT_FOR);
    let late = served.ask("one", &order(1, "days")).await.json();
    assert_eq!(late["outcome"], "exhausted");
}

#[tokio::test]
async fn whoever_is_unknown_gets_the_answer_of_one_without_facts() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let once = asserted(1, 1, 1, negative("2021-06-30"));
        store(&mut world, &[once]).await;
        store(&mut world, &[withdrawn(1, 2, contract::FactKind::Test)]).await;
        let served = Served::over(&world, PortalConfig::default()).await;
        let known = served.post("/v1/eligibility", "", &question(1)).await;
        let unknown = served.post("/v1/eligibility", "", &question(9)).await;
        assert_eq!((known.status, &known.body), (200, &unknown.body));
        assert_eq!(known.json()["reasons"][0]["code"], "no-facts-yet");
        let known = served.ask("a", &order(1, "days")).await;
        let unknown = served.ask("b", &order(9, "days")).await;
        assert_eq!((known.status, &known.body), (200, &unknown.body));
        assert_eq!(known.json()["outcome"], "refused");
    }
}

#[tokio::test]
async fn a_person_in_doubt_gets_a_reason_that_sends_them_to_the_clinic() {
    let mut world = World::small().await;
    let shared = |number, snils| asserted_of(number, 1, snils, 77, negative("2021-06-30"));
    store(&mut world, &[shared(1, 1), shared(2, 2)]).await;
    let served = Served::over(&world, PortalConfig::default()).await;
    let passport = [pseudonym(Scheme::PassportRu, 77)];
    let body = json!({ "pseudonyms": names(&passport), "holder": {}, "form": "days" });
    let answer = served.ask("a", &body.to_string()).await.json();
    assert_eq!(answer["outcome"], "refused");
    assert_eq!(answer["reasons"][0]["code"], "person-in-doubt");
    let sentence = answer["reasons"][0]["en"].as_str().unwrap();
    assert!(sentence.contains("clinic"), "{sentence}");
}
