//! Tests of the portal's interface over HTTP: what it answers, and what it refuses.

mod faults;
mod http;
mod leaks;
mod lists;
mod program;
mod tls;

use contract::{Pseudonym, Scheme};
use registry::portal::PortalConfig;
use serde_json::{Value, json};

use self::http::Served;
use crate::passes::{snils, store, worlds};
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
    let holder = json!({ "given_initial": "Q", "birth_day": 7 });
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
            assert_eq!((initial, shown.birth().day()), (Some('Q'), Some(7)));
        }
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
