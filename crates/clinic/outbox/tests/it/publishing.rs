//! Leases and settlements, with the time given by hand.

use std::time::Duration;

use chrono::TimeDelta;
use outbox::{Outbox, OutboxOptions, Settled};

use crate::support::{LEASE, Place, asserted, at, delivered, failed, page};

/// An outbox with that many batches of one event each, oldest first.
async fn with_batches(place: &Place, batches: u32) -> Outbox {
    let options = OutboxOptions {
        batch_events: 1,
        shuffle: false,
        ..place.options()
    };
    let outbox = Outbox::open(&place.path, options, at(0)).await.unwrap();
    for record in 0..batches {
        outbox
            .commit_page(page(vec![asserted(record, 1)], "a"))
            .await
            .unwrap();
    }
    outbox
}

#[tokio::test]
async fn oldest_batches_are_leased_first_and_never_twice() {
    let place = Place::new();
    let outbox = with_batches(&place, 5).await;
    let first = outbox.lease(2, at(0), LEASE).await.unwrap();
    let rest = outbox.lease(10, at(1), LEASE).await.unwrap();
    let sent: Vec<_> = place
        .opened(&first)
        .into_iter()
        .chain(place.opened(&rest))
        .map(|event| event.record)
        .collect();
    assert_eq!((first.len(), rest.len()), (2, 3));
    assert_eq!(sent, (0..5).map(crate::support::digest).collect::<Vec<_>>());
    assert!(outbox.lease(10, at(2), LEASE).await.unwrap().is_empty());
    assert!(outbox.lease(0, at(2), LEASE).await.unwrap().is_empty());
    assert_eq!(outbox.backlog().await.unwrap().leased, 5);
}

#[tokio::test]
async fn delivered_batches_are_deleted_and_counted() {
    let place = Place::new();
    let outbox = with_batches(&place, 3).await;
    let leased = outbox.lease(2, at(0), LEASE).await.unwrap();
    let settled = outbox.settle(&delivered(&leased), at(4)).await.unwrap();
    assert_eq!(
        settled,
        Settled {
            delivered: 2,
            failed: 0,
            stale: 0
        }
    );
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(status.backlog.batches, 1);
    assert_eq!(
        (
            status.publisher.delivered_batches,
            status.publisher.delivered_events
        ),
        (2, 2)
    );
    assert_eq!(status.publisher.last_delivered_at, Some(at(4)));
    let again = outbox.settle(&delivered(&leased), at(5)).await.unwrap();
    assert_eq!(
        again,
        Settled {
            delivered: 0,
            failed: 0,
            stale: 2
        }
    );
}

#[tokio::test]
async fn failed_batches_wait_for_their_time() {
    let place = Place::new();
    let outbox = with_batches(&place, 2).await;
    let leased = outbox.lease(2, at(0), LEASE).await.unwrap();
    let mut settlements = failed(&leased, at(30));
    settlements[0] = delivered(&leased)[0];
    assert_eq!(
        outbox.settle(&settlements, at(1)).await.unwrap(),
        Settled {
            delivered: 1,
            failed: 1,
            stale: 0
        }
    );
    let publisher = outbox.reader().status().await.unwrap().publisher;
    assert_eq!(
        (
            publisher.consecutive_failures,
            publisher.last_error.as_deref()
        ),
        (1, Some("broker-away"))
    );
    assert!(outbox.lease(2, at(29), LEASE).await.unwrap().is_empty());
    let again = outbox.lease(2, at(30), LEASE).await.unwrap();
    assert_eq!((again.len(), again[0].attempts), (1, 2));
    assert_eq!(
        again[0].batch, leased[1].batch,
        "the very same sealed bytes"
    );
    outbox.settle(&delivered(&again), at(31)).await.unwrap();
    let publisher = outbox.reader().status().await.unwrap().publisher;
    assert_eq!(
        (publisher.consecutive_failures, publisher.last_error),
        (0, None)
    );
}

#[tokio::test]
async fn expired_lease_passes_on_and_its_settlement_is_ignored() {
    let place = Place::new();
    let outbox = with_batches(&place, 1).await;
    let slow = outbox.lease(1, at(0), LEASE).await.unwrap();
    assert!(outbox.lease(1, at(59), LEASE).await.unwrap().is_empty());
    let quick = outbox.lease(1, at(60), LEASE).await.unwrap();
    assert_eq!(quick.len(), 1);
    for late in [failed(&slow, at(100)), delivered(&slow)] {
        assert_eq!(outbox.settle(&late, at(61)).await.unwrap().stale, 1);
    }
    assert_eq!(
        outbox
            .settle(&delivered(&quick), at(62))
            .await
            .unwrap()
            .delivered,
        1
    );
}

#[tokio::test]
async fn leases_end_with_their_process() {
    let place = Place::new();
    let outbox = with_batches(&place, 2).await;
    assert_eq!(outbox.lease(2, at(0), LEASE).await.unwrap().len(), 2);
    drop(outbox);
    let outbox = place.open().await;
    assert_eq!(outbox.lease(2, at(0), LEASE).await.unwrap().len(), 2);
}

#[tokio::test]
async fn no_wait_is_longer_than_an_hour_even_when_the_clock_is_set_back() {
    let place = Place::new();
    let outbox = with_batches(&place, 1).await;
    let leased = outbox
        .lease(1, at(0), Duration::from_secs(1 << 40))
        .await
        .unwrap();
    outbox
        .settle(&failed(&leased, at(0) + TimeDelta::days(400)), at(0))
        .await
        .unwrap();
    assert!(outbox.lease(1, at(3599), LEASE).await.unwrap().is_empty());
    assert!(
        outbox
            .lease(1, at(-1) + TimeDelta::hours(1), LEASE)
            .await
            .unwrap()
            .is_empty()
    );
    let set_back = outbox.lease(1, at(-10_000), LEASE).await.unwrap();
    assert_eq!(
        set_back.len(),
        1,
        "due in more than an hour: only a clock set back can say so"
    );
}

#[tokio::test]
async fn lease_is_bounded_in_bytes() {
    let place = Place::new();
    let outbox = with_batches(&place, 3).await;
    // As if each batch were 20 MiB.
    place
        .meddle("UPDATE batch SET sealed_bytes = 20971520")
        .await;
    assert_eq!(
        outbox.lease(3, at(0), LEASE).await.unwrap().len(),
        2,
        "begun below 32 MiB"
    );
    assert_eq!(
        outbox.lease(3, at(0), LEASE).await.unwrap().len(),
        1,
        "always at least one"
    );
}

#[tokio::test]
async fn what_failed_waits_and_what_was_put_back_at_once_comes_first() {
    let place = Place::new();
    let outbox = with_batches(&place, 5).await;
    let first = outbox.lease(2, at(0), LEASE).await.unwrap();
    let mut settlements = delivered(&first);
    settlements[1] = failed(&first, at(30))[1];
    let settled = outbox.settle(&settlements, at(1)).await.unwrap();
    assert_eq!(
        settled,
        Settled {
            delivered: 1,
            failed: 1,
            stale: 0
        }
    );
    let second = outbox.lease(2, at(1), LEASE).await.unwrap();
    let sent: Vec<_> = place
        .opened(&second)
        .iter()
        .map(|event| event.record)
        .collect();
    assert_eq!(
        sent,
        [2, 3].map(crate::support::digest),
        "what has failed waits, the next come"
    );
    assert_eq!(
        outbox
            .settle(&failed(&second, at(2)), at(2))
            .await
            .unwrap()
            .failed,
        2
    );
    let third = outbox.lease(9, at(2), LEASE).await.unwrap();
    assert_eq!(
        (third.len(), third[0].attempts),
        (3, 2),
        "due at once, and oldest"
    );
    assert_eq!(
        outbox
            .settle(&delivered(&third), at(3))
            .await
            .unwrap()
            .delivered,
        3
    );
    assert!(outbox.lease(9, at(3), LEASE).await.unwrap().is_empty());
    assert_eq!(
        outbox
            .settle(&delivered(&third), at(30))
            .await
            .unwrap()
            .stale,
        3
    );
    assert_eq!(
        outbox.lease(9, at(30), LEASE).await.unwrap().len(),
        1,
        "the one that waited"
    );
    assert_eq!(outbox.backlog().await.unwrap().leased, 1);
}
