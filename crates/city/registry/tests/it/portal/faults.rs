//! Tests of requests that are refused: malformed, too long, too many.

use std::num::NonZeroU32;
use std::time::Duration;

use broker::{DirectoryConfig, QueueConfig};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Scheme, Subject};
use registry::portal::{MAX_BODY_BYTES, MOST_CONNECTIONS, PortalConfig};
use serde_json::{Value, json};
use testbed::postgres::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http::Served;
use super::{names, order, question};
use crate::passes::{passes, snils, store};
use crate::world::{NOW, World, asserted, negative, postgres_store, pseudonym, within_patience};

async fn small() -> (World, Served) {
    let world = World::small().await;
    let served = Served::over(&world, PortalConfig::default()).await;
    (world, served)
}

/// Order with a change to it.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut order: Value = serde_json::from_str(&order(1, "days")).unwrap();
    change(&mut order);
    order.to_string()
}

#[tokio::test]
async fn a_body_of_another_form_is_refused_without_a_word_of_it() {
    let (_world, served) = small().await;
    let name = |field: &'static str, value: Value| {
        changed(move |order| order["pseudonyms"][0][field] = value)
    };
    let holder =
        |field: &'static str, value: Value| changed(move |order| order["holder"][field] = value);
    let twice = order(1, "days").replacen('{', "{\"form\":\"days\",", 1);
    let cases = [
        (name("value", json!("a5".repeat(31))), "form"),
        (name("value", json!("a5".repeat(33))), "form"),
        (name("value", json!("zq".repeat(32))), "form"),
        (name("suite", json!("zqsuite")), "form"),
        (name("scheme", json!("zqscheme")), "form"),
        // The order's 32 bytes are no element.
        (name("suite", json!("voprf")), "form"),
        (name("epoch", json!(0)), "form"),
        (name("epoch", json!(65536)), "form"),
        (name("zqfield", json!(1)), "form"),
        (holder("given_initial", json!("zq")), "form"),
        (holder("given_initial", json!("q")), "form"),
        (holder("family_initial", json!("Ж")), "form"),
        (holder("birth_day", json!(32)), "form"),
        (holder("birth_month", json!(13)), "form"),
        (holder("zqfield", json!(1)), "form"),
        (changed(|order| order["form"] = json!("zqform")), "form"),
        (changed(|order| order["zqfield"] = json!(1)), "form"),
        (changed(|order| order["pseudonyms"] = json!([])), "form"),
        (twice, "form"),
        (
            changed(|order| order["holder"] = json!([null, null])),
            "form",
        ),
        (
            changed(|order| order["form"] = json!({ "days": null })),
            "form",
        ),
        (
            changed(|order| order["pseudonyms"] = json!([["hmac", "snils", 1, "a5".repeat(32)]])),
            "form",
        ),
        (json!([[], {}, "days"]).to_string(), "form"),
        (name("epoch", json!(1.5)), "form"),
        (name("epoch", json!(1e300)), "form"),
        (name("epoch", json!(2)), "epoch"),
        (holder("birth_day", json!(-1.0)), "form"),
        ("{\"pseudonyms\": zq".to_owned(), "not-json"),
        (String::new(), "not-json"),
    ];
    for (body, code) in cases {
        let answer = served.ask("a", &body).await;
        assert_eq!(answer.code(), code, "{body}");
        let status = if ["form", "epoch"].contains(&code) {
            422
        } else {
            400
        };
        assert_eq!(answer.status, status, "{body}");
        let text = String::from_utf8(answer.body).unwrap();
        assert!(!text.contains("zq") && !text.contains('Ж'), "{text}");
    }
    let whole = changed(|order| {
        order["pseudonyms"][0]["epoch"] = json!(1.0);
        order["holder"]["birth_month"] = json!(null);
    });
    assert_eq!(served.ask("b", &whole).await.status, 200);
    let date = changed(|order| order["holder"] = json!({ "birth_day": 30, "birth_month": 2 }));
    assert_eq!(served.ask("a", &date).await.code(), "form");
}

#[tokio::test]
async fn a_person_has_16_pseudonyms_at_most() {
    let (_world, served) = small().await;
    let of = |count: usize| {
        let all = (1..).flat_map(|epoch| {
            [Scheme::Snils, Scheme::PassportRu].map(|scheme| contract::Pseudonym {
                epoch,
                ..pseudonym(scheme, 1)
            })
        });
        let all: Vec<_> = all.take(count).collect();
        json!({ "pseudonyms": names(&all) }).to_string()
    };
    let at_most = served.post("/v1/eligibility", "", &of(Subject::MAX)).await;
    // So many are read; but seven of the eight epochs are not open.
    assert_eq!((at_most.status, at_most.code().as_str()), (422, "epoch"));
    let more = of(Subject::MAX + 1);
    let more = served.post("/v1/eligibility", "", &more).await;
    assert_eq!((more.status, more.code().as_str()), (422, "form"));
    let two = [snils(1), snils(2)].concat();
    let two = json!({ "pseudonyms": names(&two) }).to_string();
    let two = served.post("/v1/eligibility", "", &two).await;
    assert_eq!(two.code(), "form");
}

#[tokio::test]
async fn a_body_has_16_kibibytes_at_most() {
    let (_world, served) = small().await;
    let padded = |length: usize| {
        let body = question(1);
        let spaces = " ".repeat(length - body.len());
        body + &spaces
    };
    let body = padded(MAX_BODY_BYTES);
    let fits = served.post("/v1/eligibility", "", &body).await;
    assert_eq!(fits.status, 200);
    let body = padded(MAX_BODY_BYTES + 1);
    let beyond = served.post("/v1/eligibility", "", &body).await;
    assert_eq!((beyond.status, beyond.code().as_str()), (413, "too-large"));
}

#[tokio::test]
async fn addresses_methods_and_headers_that_do_not_fit_are_refused() {
    let (_world, served) = small().await;
    let answer = served.get("/v1/zq").await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "not-found"));
    let answer = served.get("/v1/passes").await;
    assert_eq!((answer.status, answer.code().as_str()), (405, "method"));
    assert_eq!(answer.header("allow"), Some("POST"));
    for sequence in ["zq", "-1", "+1", "1.0", "9223372036854775808"] {
        let answer = served.get(&format!("/v1/revocations/{sequence}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "sequence"));
    }
    let plain = "POST /v1/eligibility HTTP/1.1\r\nContent-Type: text/plain\r\n\
                 Content-Length: 2\r\n";
    let answer = served.send(plain, "{}").await;
    assert_eq!((answer.status, answer.code().as_str()), (415, "media-type"));
    let key = |length: usize| format!("Idempotency-Key: {}\r\n", "k".repeat(length));
    let headers = [
        String::new(),
        key(0),
        key(65),
        key(1) + &key(2),
        "Idempotency-Key: a b\r\n".to_owned(),
    ];
    for headers in headers {
        let answer = served.post("/v1/passes", &headers, &order(1, "days")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "idempotency-key")
        );
    }
    let longest = served.post("/v1/passes", &key(64), &order(1, "days")).await;
    assert_eq!(longest.status, 200);
}

#[tokio::test]
async fn a_request_that_the_store_failed_may_be_repeated_with_its_key() {
    let postgres = Postgres::start().await.unwrap();
    let config = postgres_store(&postgres, "portal").await;
    let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let mut world = World::new(&config, queue).await;
    store(&mut world, &[asserted(1, 1, 1, negative("2021-06-30"))]).await;
    let served = Served::over(&world, PortalConfig::default()).await;
    let rename = async |from: &str, to: &str| {
        let statement = format!("ALTER TABLE {from} RENAME TO {to}");
        postgres.psql("portal", &statement).await.unwrap();
    };
    rename("fact", "gone").await;
    let failed = served.ask("a", &order(1, "days")).await;
    assert_eq!((failed.status, failed.code().as_str()), (503, "store"));
    assert_eq!(failed.header("retry-after"), Some("5"));
    rename("gone", "fact").await;
    let repeated = served.ask("a", &order(1, "days")).await.json();
    assert_eq!(repeated["outcome"], "strips");
}

#[tokio::test]
async fn without_a_key_that_outlives_them_no_passes_are_issued() {
    let mut world = World::small().await;
    store(&mut world, &[asserted(1, 1, 1, negative("2021-06-30"))]).await;
    let tomorrow = NOW.parse::<DateTime<Utc>>().unwrap() + TimeDelta::days(1);
    let passes = passes(&world, tomorrow);
    let served = Served::of(&world, passes, PortalConfig::default()).await;
    let refused = served.ask("a", &order(1, "days")).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "no-key"));
}

#[tokio::test]
async fn ceilings_of_client_and_subject_hold_until_the_hour_is_over() {
    let world = World::small().await;
    let config = PortalConfig {
        requests_per_hour: NonZeroU32::new(5).unwrap(),
        requests_per_subject_per_hour: NonZeroU32::new(2).unwrap(),
        ..PortalConfig::default()
    };
    let served = Served::over(&world, config).await;
    let ask = async |person: u16| served.post("/v1/eligibility", "", &question(person)).await;
    assert_eq!(ask(1).await.status, 200);
    assert_eq!(served.ask("a", &order(1, "days")).await.status, 200);
    let refused = ask(1).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "subject-ceiling")
    );
    assert_eq!(refused.header("retry-after"), Some("3600"));
    // A repeat is no further question about the subject.
    assert_eq!(served.ask("a", &order(1, "days")).await.status, 200);
    assert_eq!(ask(2).await.status, 200);
    world.clock.advance(Duration::from_secs(3590));
    let refused = ask(3).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "client-ceiling")
    );
    assert_eq!(refused.header("retry-after"), Some("10"));
    assert_eq!(served.get("/v1/trust").await.code(), "client-ceiling");
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(ask(1).await.status, 200);
}

/// Connection that is answered and stays open; none where it is closed instead.
async fn kept_open(served: &Served) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(served.address).await.ok()?;
    let request = b"GET /v1/trust HTTP/1.1\r\nHost: portal\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let mut first = [0; 1];
    let read = within_patience("an answer or an end", stream.read(&mut first)).await;
    read.is_ok_and(|read| read == 1).then_some(stream)
}

#[tokio::test]
async fn more_connections_than_may_be_are_closed_until_one_ends() {
    let (_world, served) = small().await;
    let mut open = Vec::new();
    for _ in 0..MOST_CONNECTIONS {
        open.push(kept_open(&served).await.unwrap());
    }
    assert!(kept_open(&served).await.is_none());
    open.pop();
    within_patience("a place is free", async {
        while kept_open(&served).await.is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
