//! Corrections that the registry refuses: the older version is withdrawn like that of a refused row.

use contract::{Event, RefusalReason};
use outbox::{DeadLetterFilter, OlderVersion, Outbox, RefusedCorrections};

use crate::corrections::{
    WITHDRAW, is_withdrawal, letters, noted, older_version, standing, ten, withdrawn_and_held,
};
use crate::receipts::settle;
use crate::support::{FREELY, Place, Source, at, digest};

fn refuse_content_of(record: u32) -> impl Fn(&Event) -> Option<RefusalReason> {
    move |event| {
        let is_it = event.record == digest(record) && !is_withdrawal(event);
        is_it.then_some(RefusalReason::UnknownCode)
    }
}

/// Row 3 is changed, and the registry refuses the change.
async fn refused_by_registry(place: &Place) -> (Outbox, Source) {
    let (outbox, mut source) = ten(place).await;
    source.rows.insert(3, (2, Some(1003)));
    source.pull(&outbox).await;
    settle(place, &outbox, at(5), refuse_content_of(3)).await;
    (outbox, source)
}

#[tokio::test]
async fn correction_that_the_registry_refuses_takes_the_older_version_back() {
    let place = Place::new();
    let (outbox, mut source) = refused_by_registry(&place).await;
    assert_eq!(older_version(&outbox).await, Some(OlderVersion::Waiting));
    // A page that was prepared before the refusal came leaves the note alone, like the overlap.
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (1, 0));
    let (_, sent) = settle(&place, &outbox, at(6), refuse_content_of(3)).await;
    assert_eq!(standing(&sent), [(false, 3)]);
    assert_eq!(older_version(&outbox).await, Some(OlderVersion::Withdrawn));
    for _ in 0..3 {
        source.pull(&outbox).await;
        assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (0, 0));
        assert_eq!(source.sweep_pass(&outbox).await, Vec::<u32>::new());
        crate::support::finish(&outbox, FREELY).await.unwrap();
    }
    assert!(place.deliver_all(&outbox, at(7)).await.is_empty());
    // A raise sends the withdrawal again, and not what was refused.
    outbox.raise_generation(2, "a test", at(8)).await.unwrap();
    source.pull(&outbox).await;
    let (_, sent) = settle(&place, &outbox, at(9), refuse_content_of(3)).await;
    let of_record: Vec<_> = sent.iter().filter(|one| one.record == digest(3)).collect();
    assert!(of_record.len() == 1 && is_withdrawal(of_record[0]));
    assert_eq!(older_version(&outbox).await, Some(OlderVersion::Withdrawn));

    source.rows.insert(3, (4, Some(2003)));
    source.pull(&outbox).await;
    assert!(letters(&outbox).await.is_empty());
    assert_eq!(noted(&outbox).await, RefusedCorrections::default());
    let (_, sent) = settle(&place, &outbox, at(10), |_| None).await;
    assert_eq!(standing(&sent), [(true, 2)]);
}

#[tokio::test]
async fn what_the_registry_refused_is_sent_again_by_a_retry() {
    let place = Place::new();
    let (outbox, mut source) = refused_by_registry(&place).await;
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (1, 0));
    settle(&place, &outbox, at(6), |_| None).await;
    let all = DeadLetterFilter::default();
    let plan = outbox.prepare_retry(&all, at(7)).await.unwrap();
    assert_eq!(plan.by_sweep.len(), 1, "the row is read again: {plan:?}");
    assert_eq!(source.sweep_pass(&outbox).await, [3]);
    crate::support::finish(&outbox, FREELY).await.unwrap();
    let (_, sent) = settle(&place, &outbox, at(8), |_| None).await;
    assert_eq!(standing(&sent), [(true, 4)]);
    assert!(letters(&outbox).await.is_empty());

    // A row that goes, or is cancelled, after its refusal leaves no letter behind.
    for cancel in [true, false] {
        source
            .rows
            .insert(5, (if cancel { 7 } else { 8 }, Some(9005)));
        source.pull(&outbox).await;
        settle(&place, &outbox, at(9), refuse_content_of(5)).await;
        assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (1, 0));
        settle(&place, &outbox, at(9), refuse_content_of(5)).await;
        assert_eq!(older_version(&outbox).await, Some(OlderVersion::Withdrawn));
        if cancel {
            let page = crate::support::page(vec![crate::support::withdrawn(5, false)], "c");
            outbox.commit_page(page).await.unwrap();
        } else {
            source.rows.remove(&5);
            source.sweep(&outbox, FREELY).await;
        }
        assert!(letters(&outbox).await.is_empty(), "{cancel}");
        assert_eq!(noted(&outbox).await, RefusedCorrections::default());
    }
}

#[tokio::test]
async fn refusals_of_a_record_or_a_version_leave_nothing_to_withdraw() {
    for reason in RefusalReason::ALL {
        let place = Place::new();
        let (outbox, mut source) = ten(&place).await;
        source.rows.insert(3, (2, Some(1003)));
        source.pull(&outbox).await;
        settle(&place, &outbox, at(5), |event| {
            (event.record == digest(3)).then_some(reason)
        })
        .await;
        let expected = match reason {
            RefusalReason::KindChanged
            | RefusalReason::VersionReused
            | RefusalReason::NotTheOwner
            | RefusalReason::Purged
            | RefusalReason::Token => None,
            _ => Some(OlderVersion::Waiting),
        };
        assert_eq!(older_version(&outbox).await, expected, "{reason:?}");
        // A first version has nothing before it.
        let first = Source::of([20]);
        first.pull(&outbox).await;
        let waiting = noted(&outbox).await.waiting;
        settle(&place, &outbox, at(6), |event| {
            (event.record == digest(20)).then_some(RefusalReason::BadDate)
        })
        .await;
        let expected = waiting + u64::from(outbox.generation() > 1);
        assert_eq!(noted(&outbox).await.waiting, expected, "{reason:?}");
    }
}

#[tokio::test]
async fn records_withdrawn_for_a_refusal_compare_equal_and_repairs_leave_them_so() {
    let place = Place::new();
    let (outbox, mut source) = refused_by_registry(&place).await;
    source.break_row(4);
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (2, 0));
    settle(&place, &outbox, at(6), |_| None).await;
    // The registry has lost everything: what is withdrawn is told again, and stays so.
    let everything = (0..10).map(|record| {
        let missing = contract::DifferenceKind::Missing;
        (digest(record), (missing, None))
    });
    let id = crate::reconciliation::probe_all(&outbox, None).await;
    let answered = crate::reconciliation::answer(&place, &outbox, &everything.collect()).await;
    assert_eq!(
        answered.0.iter().filter(|probed| probed.withdrawn).count(),
        2
    );
    assert_eq!(answered.0.len(), 10);
    let plan = outbox.prepare_repair(id, at(52)).await.unwrap();
    assert_eq!(plan.resent_withdrawals, 2);
    let read_again = source.sweep_pass(&outbox).await;
    assert_eq!(read_again.len(), 10);
    crate::support::finish(&outbox, FREELY).await.unwrap();
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (0, 0));
    let (_, sent) = settle(&place, &outbox, at(60), |_| None).await;
    for record in [3, 4] {
        let of_record = |event: &&Event| event.record == digest(record);
        assert!(sent.iter().filter(of_record).all(is_withdrawal), "{record}");
    }
    assert_eq!((sent.len(), letters(&outbox).await.len()), (10, 2));
    assert_eq!(noted(&outbox).await.withdrawn, 2);
}

#[tokio::test]
async fn a_retry_of_what_came_without_its_token_corrects_nothing() {
    let place = Place::new();
    let (outbox, _) = ten(&place).await;
    let totals = async || {
        let status = outbox.reader().status().await.unwrap();
        let feed = &status.feeds[0];
        (feed.new_total, feed.corrected_total, feed.resent_total)
    };
    let before = totals().await;
    let first = Source::of([20]);
    first.pull(&outbox).await;
    settle(&place, &outbox, at(5), |event| {
        (event.record == digest(20)).then_some(RefusalReason::Token)
    })
    .await;
    let all = DeadLetterFilter::default();
    outbox.prepare_retry(&all, at(6)).await.unwrap();
    let again = first.pull(&outbox).await;
    assert_eq!((again.resent, again.corrected, again.sent), (1, 0, 1));
    assert_eq!(totals().await, (before.0 + 1, before.1, before.2 + 1));
}
