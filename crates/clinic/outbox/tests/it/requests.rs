//! Requests of other processes: left without the lock, done by the owner, answered there.

use chrono::TimeDelta;
use outbox::{
    DeadLetterFilter, HeldCorrections, Origin, OutboxError, Request, RequestQueue, ShownMissing,
};

use crate::support::{Place, Source, at};

fn sweep() -> Request {
    Request::Sweep {
        source: "mis".into(),
        contents: false,
    }
}

#[tokio::test]
async fn requests_are_taken_in_order_and_answered() {
    let place = Place::new();
    assert!(matches!(
        RequestQueue::open(&place.path).await,
        Err(OutboxError::Missing)
    ));
    let outbox = place.open().await;
    let request_queue = RequestQueue::open(&place.path).await.unwrap();
    assert_eq!(outbox.next_request().await.unwrap(), None);
    let filter = DeadLetterFilter {
        origin: Some(Origin::Registry),
        older_than: Some(at(5)),
        ids: vec![3],
        ..DeadLetterFilter::default()
    };
    let all = [
        sweep(),
        Request::Sweep {
            source: "mis".into(),
            contents: true,
        },
        Request::ConfirmWithdrawals {
            source: "mis".into(),
            shown: None,
            shown_missing: None,
        },
        Request::ConfirmWithdrawals {
            source: "mis".into(),
            shown: Some(HeldCorrections::default()),
            shown_missing: Some(ShownMissing::from_iter([("tests".to_owned(), 7)])),
        },
        Request::Retry(filter.clone()),
        Request::Discard(filter),
        Request::Reconcile {
            source: None,
            repair: true,
        },
    ];
    for request in &all {
        request_queue.ask(request, at(0)).await.unwrap();
    }
    for request in &all {
        let (id, taken) = outbox.next_request().await.unwrap().unwrap();
        assert_eq!(&taken, request);
        assert_eq!(request_queue.answer(id).await.unwrap(), None);
        outbox
            .answer_request(id, Ok(format!("done {id}")), at(1))
            .await
            .unwrap();
        assert_eq!(
            request_queue.answer(id).await.unwrap(),
            Some(Ok(format!("done {id}")))
        );
    }
    let id = request_queue.ask(&sweep(), at(2)).await.unwrap();
    outbox.next_request().await.unwrap().unwrap();
    outbox
        .answer_request(id, Err("ж".repeat(40_000)), at(2))
        .await
        .unwrap();
    let Some(Err(text)) = request_queue.answer(id).await.unwrap() else {
        panic!("an error was answered")
    };
    assert_eq!(text.len(), 65_536);
}

#[tokio::test]
async fn what_a_dead_owner_was_doing_is_taken_again() {
    let place = Place::new();
    let outbox = place.open().await;
    let request_queue = RequestQueue::open(&place.path).await.unwrap();
    let id = request_queue.ask(&sweep(), at(0)).await.unwrap();
    assert_eq!(outbox.next_request().await.unwrap().unwrap().0, id);
    assert_eq!(outbox.next_request().await.unwrap(), None, "being done");
    drop(outbox);
    let outbox = place.open().await;
    assert_eq!(outbox.next_request().await.unwrap(), Some((id, sweep())));
}

#[tokio::test]
async fn unknown_requests_are_answered_and_old_ones_forgotten() {
    let place = Place::new();
    let outbox = place.open().await;
    let request_queue = RequestQueue::open(&place.path).await.unwrap();
    place
        .meddle("INSERT INTO request (asked_at_ms, body) VALUES (1625140800000, '{\"fly\":{}}')")
        .await;
    let id = request_queue.ask(&sweep(), at(0)).await.unwrap();
    assert_eq!(outbox.next_request().await.unwrap(), Some((id, sweep())));
    assert!(matches!(
        request_queue.answer(1).await.unwrap(),
        Some(Err(_))
    ));
    outbox
        .answer_request(id, Ok("done".into()), at(1))
        .await
        .unwrap();
    request_queue
        .ask(&sweep(), at(2) + TimeDelta::days(1))
        .await
        .unwrap();
    assert_eq!(
        (
            request_queue.answer(1).await.unwrap(),
            request_queue.answer(id).await.unwrap()
        ),
        (None, None)
    );
}

#[tokio::test]
async fn permissions_of_an_older_command_are_understood() {
    let place = Place::new();
    let outbox = place.open().await;
    for body in [
        r#"{"confirm-withdrawals":{"source":"mis"}}"#,
        r#"{"confirm-withdrawals":{"source":"mis","shown":{}}}"#,
    ] {
        let ask = format!("INSERT INTO request (asked_at_ms, body) VALUES (0, '{body}')");
        place.meddle(&ask).await;
        let (_, taken) = outbox.next_request().await.unwrap().unwrap();
        let Request::ConfirmWithdrawals {
            source,
            shown_missing,
            ..
        } = taken
        else {
            panic!("{taken:?}")
        };
        assert_eq!((source.as_str(), shown_missing), ("mis", None));
    }
}

#[tokio::test]
async fn requests_are_bounded() {
    let place = Place::new();
    let _outbox = place.open().await;
    let request_queue = RequestQueue::open(&place.path).await.unwrap();
    let large = Request::Sweep {
        source: "x".repeat(70_000),
        contents: false,
    };
    assert!(matches!(
        request_queue.ask(&large, at(0)).await,
        Err(OutboxError::TooLarge { .. })
    ));
    for _ in 0..100 {
        request_queue.ask(&sweep(), at(0)).await.unwrap();
    }
    assert!(matches!(
        request_queue.ask(&sweep(), at(0)).await,
        Err(OutboxError::TooLarge { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_and_writing_do_not_disturb_each_other() {
    let place = Place::new();
    let outbox = place.open().await;
    let request_queue = RequestQueue::open(&place.path).await.unwrap();
    let asking = async {
        for second in 0..40 {
            let id = request_queue.ask(&sweep(), at(second)).await.unwrap();
            while request_queue.answer(id).await.unwrap().is_none() {
                tokio::task::yield_now().await;
            }
        }
    };
    let mut pages = 0;
    let owning = async {
        let mut answered = 0;
        while answered < 40 {
            Source::of(pages * 100..pages * 100 + 100)
                .pull(&outbox)
                .await;
            pages += 1;
            if let Some((id, _)) = outbox.next_request().await.unwrap() {
                outbox
                    .answer_request(id, Ok(String::new()), at(0))
                    .await
                    .unwrap();
                answered += 1;
            }
        }
    };
    tokio::join!(asking, owning);
    assert_eq!(
        outbox.backlog().await.unwrap().events,
        u64::from(pages) * 100
    );
}
