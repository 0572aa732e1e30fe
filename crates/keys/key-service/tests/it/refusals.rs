//! Every refusal over the wire: status, code, and that nothing was counted.

use std::process::Command;

use key_service::MOST_REQUESTS;
use oprf::MAX_REQUEST_BYTES;
use tokio::sync::Notify;

use crate::world::{Served, World, request};

async fn used(served: &Served<'_>, world: &World) -> serde_json::Value {
    served.send(&world.one, "GET /v1/keys").await.json()["used_today"].clone()
}

#[tokio::test]
async fn a_body_that_is_no_request_is_malformed() {
    let world = World::new(1000);
    let served = world.serve().await;
    let good = request(16, 1);
    let mut other_version = good.clone();
    other_version[0] = 2;
    let mut number_0 = good.clone();
    number_0[1..3].fill(0);
    let mut no_element = good.clone();
    no_element[3..35].fill(0xff);
    let mut identity = good.clone();
    identity[3..35].fill(0);
    for body in [
        &[][..],
        &good[..good.len() - 1],
        &good[..3],
        &other_version,
        &number_0,
        &no_element,
        &identity,
        &[good.as_slice(), &[0]].concat(),
        &vec![1; MAX_REQUEST_BYTES + 1],
    ] {
        let refused = served.post(&world.one, body).await;
        assert_eq!(refused.problem(), (400, "malformed".to_owned()));
    }
    assert_eq!(used(&served, &world).await, 0);
}

#[tokio::test]
async fn a_number_of_no_key_is_told_and_not_counted() {
    let world = World::new(1000);
    let served = world.serve().await;
    let refused = served.post(&world.one, &request(16, 3)).await;
    assert_eq!(refused.problem(), (404, "unknown-key".to_owned()));
    assert_eq!(used(&served, &world).await, 0);
}

#[tokio::test]
async fn another_address_or_method_is_told() {
    let world = World::new(1000);
    let served = world.serve().await;
    for path in ["/", "/v1/evaluate/", "/v2/evaluate"] {
        let refused = served.send(&world.one, &format!("GET {path}")).await;
        assert_eq!(refused.problem(), (404, "not-found".to_owned()));
    }
    for start in ["GET /v1/evaluate", "DELETE /v1/keys"] {
        let refused = served.send(&world.one, start).await;
        assert_eq!(refused.problem(), (405, "method".to_owned()));
        assert!(refused.header("allow").is_some());
    }
}

#[tokio::test]
async fn one_request_more_than_is_worked_on_is_refused_at_once() {
    let world = World::new(1000);
    let served = world.serve().await;
    // Whoever writes the count waits for a reader of this pipe, and everybody else for the count.
    let pipe = world.folder.path().join("state/count-one.json.new");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let body = request(16, 1);
    let is_one_answered = Notify::new();
    let ask = async || {
        let answer = served.post(&world.one, &body).await;
        is_one_answered.notify_one();
        answer
    };
    let asked: Vec<_> = (0..=MOST_REQUESTS).map(|_| ask()).collect();
    let read = async {
        is_one_answered.notified().await;
        let opened = tokio::task::spawn_blocking(move || std::fs::File::open(pipe));
        opened.await.unwrap().unwrap()
    };
    // The pipe stays open for reading until all are answered.
    let (answers, _reader) = tokio::join!(join_all(asked), read);
    let (busy, others): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.problem().1 == "busy");
    assert_eq!((busy.len(), others.len()), (1, MOST_REQUESTS));
    assert_eq!(busy[0].status, 503);
    assert_eq!(busy[0].header("retry-after"), Some("1"));
    // A pipe cannot be synced.
    for answer in others {
        assert_eq!(answer.problem(), (503, "cannot-count".to_owned()));
    }
    assert_eq!(used(&served, &world).await, 0);
}

/// Results of futures that run at once.
async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.into_iter().map(|it| (Box::pin(it), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (future, result) in &mut waiting {
            if result.is_some() {
                continue;
            }
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(value) => *result = Some(value),
                std::task::Poll::Pending => is_done = false,
            }
        }
        match is_done {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    waiting
        .into_iter()
        .filter_map(|(_, result)| result)
        .collect()
}
