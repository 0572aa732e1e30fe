//! Files from before version 2 of the contract: everything is said again in the present form, and
//! above all that was said.

use std::collections::BTreeMap;

use contract::{Body, FactKind};
use outbox::Outbox;

use crate::receipts::settle;
use crate::support::{
    Place, asserted, at, digest, page, revision, revision_of, secrets, withdrawn,
};

impl Place {
    /// Turns a closed outbox into one of the schema before the contract's version 2.
    async fn turn_back(&self) {
        self.meddle(
            "DROP INDEX dead_letter_parked;
             ALTER TABLE meta DROP COLUMN renewal;
             ALTER TABLE meta DROP COLUMN contents_since;
             ALTER TABLE meta DROP COLUMN receipt_raised_at_ms;
             ALTER TABLE meta DROP COLUMN raise_needed;
             DELETE FROM _sqlx_migrations WHERE version = 6;",
        )
        .await;
    }
}

/// Makes an outbox of the first contract: 1 and 4 asserted, 2 withdrawn, 3 never sent; the last
/// batch waits, as does a probe; 4 has the revision of a later generation, as after a repair.
async fn old_outbox(place: &Place) {
    let outbox = place.open_with_receipts().await;
    let drafts = vec![asserted(1, 1), asserted(2, 1), withdrawn(3, true)];
    outbox.commit_page(page(drafts, "a")).await.unwrap();
    settle(place, &outbox, at(0), |_| None).await;
    let drafts = vec![withdrawn(2, true), asserted(4, 1)];
    outbox.commit_page(page(drafts, "b")).await.unwrap();
    let id = outbox.begin_reconciliation(None, at(1)).await.unwrap();
    outbox.add_probes(id, at(1)).await.unwrap();
    outbox.close().await.unwrap();
    place.set_revision(4, revision(7, 3)).await;
    place.turn_back().await;
}

async fn totals(outbox: &Outbox) -> (u64, u64) {
    let status = outbox.reader().status().await.unwrap();
    (
        status.feeds[0].withdrawn_total,
        status.feeds[0].resent_total,
    )
}

#[tokio::test]
async fn old_outbox_says_everything_again_above_all_that_was_said() {
    let place = Place::new();
    old_outbox(&place).await;
    let outbox = place.open_with_receipts().await;
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(status.generation, 8, "above the record's that was ahead");
    assert_eq!(
        status.generation_raised_why.as_deref(),
        Some("the outbox is from before version 2 of the contract")
    );
    assert_eq!(outbox.cursor("mis", "recoveries").await.unwrap(), None);
    assert_eq!(
        (status.backlog.batches, status.backlog.events),
        (1, 1),
        "batches of the first form are gone"
    );
    assert!(
        outbox.add_probes(1, at(2)).await.is_err(),
        "nobody would answer the probes"
    );

    // The row of 2 is gone: only here is it known that the registry may hold it.
    assert_eq!(totals(&outbox).await, (1, 1), "it was counted once");
    let (_, sent) = settle(&place, &outbox, at(3), |_| None).await;
    assert_eq!(
        (sent.len(), sent[0].record, revision_of(&sent[0])),
        (1, digest(2), revision(8, 1))
    );
    let kind = FactKind::Recovery;
    assert_eq!(sent[0].body, Body::Withdrawn { kind });
    assert_eq!(
        sent[0].content,
        secrets().withdrawal_content(&digest(2), kind)
    );

    // Contents are digested otherwise now: what cannot be compared is no correction.
    let drafts = vec![asserted(1, 100), withdrawn(3, true), asserted(4, 100)];
    let done = outbox.commit_page(page(drafts, "a")).await.unwrap();
    assert_eq!((done.resent, done.corrected, done.withdrawn), (2, 0, 1));
    let (_, sent) = settle(&place, &outbox, at(4), |_| None).await;
    assert!(
        sent.iter()
            .all(|event| revision_of(event) == revision(8, 1))
    );
    let drafts = vec![asserted(1, 101), asserted(4, 100)];
    let done = outbox.commit_page(page(drafts, "b")).await.unwrap();
    assert_eq!((done.corrected, done.unchanged), (1, 1));

    outbox.close().await.unwrap();
    let outbox = place.open_with_receipts().await;
    assert_eq!(outbox.generation(), 8, "once");
    assert_eq!(outbox.backlog().await.unwrap().events, 1);
}

#[tokio::test]
async fn renewal_that_was_cut_short_goes_on_where_it_was() {
    let place = Place::new();
    let outbox = place.open().await;
    let drafts = (0..3).map(|record| withdrawn(record, false)).collect();
    outbox.commit_page(page(drafts, "a")).await.unwrap();
    place.deliver_all(&outbox, at(0)).await;
    outbox.close().await.unwrap();
    place.turn_back().await;
    let outbox = place.open().await;
    assert_eq!(place.deliver_all(&outbox, at(1)).await.len(), 3);
    outbox.close().await.unwrap();
    // As if the process had been killed before the last record's withdrawal.
    place.set_revision(2, revision(1, 1)).await;
    place
        .meddle("UPDATE meta SET renewal = 'withdrawals'")
        .await;
    let outbox = place.open().await;
    assert_eq!(outbox.generation(), 2);
    let sent = place.deliver_all(&outbox, at(2)).await;
    assert_eq!(
        sent.iter()
            .map(|event| (event.record, revision_of(event)))
            .collect::<Vec<_>>(),
        [(digest(2), revision(2, 1))]
    );
    // And before that, not even the generation had risen.
    outbox.close().await.unwrap();
    place.meddle("UPDATE meta SET renewal = 'due'").await;
    let outbox = place.open().await;
    assert_eq!(outbox.generation(), 3);
    assert_eq!(place.deliver_all(&outbox, at(3)).await.len(), 3);
}

#[tokio::test]
async fn old_file_copied_back_after_its_renewal_goes_above_it() {
    let place = Place::new();
    old_outbox(&place).await;
    let copy = std::fs::read(&place.path).unwrap();
    let mut held = BTreeMap::new();
    for round in 0..2 {
        let outbox = place.open_with_receipts().await;
        let drafts = vec![asserted(1, 5), asserted(4, 5 + round)];
        outbox.commit_page(page(drafts, "a")).await.unwrap();
        let (_, sent) = settle(&place, &outbox, at(3), |_| None).await;
        assert_eq!(sent.len(), 3);
        for event in sent {
            let before = held.insert(event.record, event.version);
            assert!(before.is_none_or(|before| before < event.version));
        }
        outbox.close().await.unwrap();
        std::fs::write(&place.path, &copy).unwrap();
    }
}
