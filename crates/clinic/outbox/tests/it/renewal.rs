//! Files from before version 2 of the contract: everything is said again in the present form, and
//! above all that was said.

use std::collections::BTreeMap;

use contract::{Body, FactKind};
use outbox::{DeadLetterFilter, Outbox, WITHDRAWAL_OF_UNKNOWN_KIND};
use record_secrets::MAX_GENERATION;

use crate::receipts::settle;
use crate::support::{
    Place, asserted, at, digest, page, revision, revision_of, secrets, withdrawn,
};

/// Last generation of the contract's version 1.
const POISON: u32 = (1 << 31) - 1;

impl Place {
    /// Turns a closed outbox into one of the schema before the contract's version 2.
    async fn turn_back(&self) {
        self.meddle(
            "DELETE FROM beacon;
             INSERT INTO beacon (id) VALUES (1);
             UPDATE feed SET read_generation = 0;
             DROP TRIGGER dead_letter_value_gone;
             DROP TRIGGER dead_letter_value_changed;
             DROP INDEX dead_letter_value;
             DROP TABLE unlisted_refusal;
             ALTER TABLE dead_letter DROP COLUMN value_id;
             DROP TABLE unknown_value;
             DROP INDEX dead_letter_parked;
             ALTER TABLE meta DROP COLUMN renewal;
             ALTER TABLE meta DROP COLUMN contents_since;
             ALTER TABLE meta DROP COLUMN receipt_raised_at_ms;
             ALTER TABLE meta DROP COLUMN raise_needed;
             ALTER TABLE meta DROP COLUMN raise_asked_after;
             DROP TABLE link;
             DROP TABLE rejected_receipt;
             DROP TABLE refused_correction;
             DROP TABLE record_name;
             DROP TABLE service_wait;
             DROP TABLE class_record;
             DROP TABLE open_class;
             ALTER TABLE surprise DROP COLUMN mended_at_ms;
             ALTER TABLE reconciliation DROP COLUMN repaired;
             ALTER TABLE reconciliation DROP COLUMN repaired_at_ms;
             ALTER TABLE feed DROP COLUMN load_rows;
             ALTER TABLE feed DROP COLUMN last_error_why;
             ALTER TABLE feed DROP COLUMN rows_read;
             ALTER TABLE feed DROP COLUMN rows_sent;
             ALTER TABLE feed DROP COLUMN rows_unchanged;
             ALTER TABLE feed DROP COLUMN rows_no_fact;
             ALTER TABLE feed DROP COLUMN rows_refused;
             ALTER TABLE feed DROP COLUMN rows_parked;
             ALTER TABLE feed DROP COLUMN rows_withheld;
             ALTER TABLE feed DROP COLUMN corrections_of;
             ALTER TABLE feed DROP COLUMN read_generation;
             ALTER TABLE feed DROP COLUMN notices;
             ALTER TABLE feed DROP COLUMN load_begun_at_ms;
             ALTER TABLE feed DROP COLUMN whole_as_of_ms;
             ALTER TABLE sweep DROP COLUMN contents;
             ALTER TABLE sweep DROP COLUMN rows_read;
             ALTER TABLE sweep DROP COLUMN changed;
             ALTER TABLE sweep DROP COLUMN last_contents;
             ALTER TABLE sweep DROP COLUMN last_begun_at_ms;
             ALTER TABLE sweep DROP COLUMN last_seen;
             ALTER TABLE sweep DROP COLUMN last_rows_read;
             ALTER TABLE sweep DROP COLUMN last_changed;
             ALTER TABLE sweep DROP COLUMN last_withdrawn;
             DELETE FROM _sqlx_migrations WHERE version IN (6, 7, 8, 11, 13, 14, 15, 16, 17);",
        )
        .await;
        self.change_generation_file(" 2\noutbox ", " 1\noutbox ");
    }

    fn change_generation_file(&self, from: &str, to: &str) {
        let path = self.sibling(".generation");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// Sets the generation of an outbox of the first contract, as receipts and repairs could.
    async fn poison_generation(&self) {
        let poison = format!("UPDATE meta SET generation = {POISON}");
        self.meddle(&poison).await;
        let poisoned = format!("generation {POISON:010}");
        self.change_generation_file("generation 0000000001", &poisoned);
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
    assert_eq!(
        (done.resent, done.corrected, done.withdrawn_unsent),
        (2, 0, 1)
    );
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

/// Pulls what the old outbox asserts, and checks that all of it and the withdrawal are sent in this
/// generation.
async fn check_all_is_sent(place: &Place, outbox: &Outbox, generation: u32) {
    let drafts = vec![asserted(1, 100), asserted(4, 100)];
    let done = outbox.commit_page(page(drafts, "a")).await.unwrap();
    assert_eq!((done.resent, done.corrected, done.parked), (2, 0, 0));
    let (_, sent) = settle(place, outbox, at(3), |_| None).await;
    let mut sent: Vec<_> = sent
        .iter()
        .map(|event| (event.record, revision_of(event)))
        .collect();
    sent.sort_unstable();
    let mut expected = [1, 2, 4].map(|record| (digest(record), revision(generation, 1)));
    expected.sort_unstable();
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn records_beyond_all_generations_are_sent_again_in_the_present_one() {
    for beyond in [65_536, MAX_GENERATION, MAX_GENERATION + 1, POISON] {
        let place = Place::new();
        old_outbox(&place).await;
        place.set_revision(4, revision(beyond, 3)).await;
        place.set_revision(2, revision(beyond, u32::MAX)).await;
        // Never sent, and so of no account.
        place.set_revision(3, revision(beyond, 0)).await;
        let outbox = place.open_with_receipts().await;
        assert_eq!(outbox.generation(), 2);
        check_all_is_sent(&place, &outbox, 2).await;
        let drafts = vec![asserted(4, 101), withdrawn(3, true)];
        outbox.commit_page(page(drafts, "b")).await.unwrap();
        let (_, sent) = settle(&place, &outbox, at(4), |_| None).await;
        let mut revisions: Vec<_> = sent.iter().map(revision_of).collect();
        revisions.sort_unstable();
        assert_eq!(revisions, [revision(2, 1), revision(2, 2)]);
    }
    let place = Place::new();
    old_outbox(&place).await;
    place.set_revision(4, revision(65_535, 3)).await;
    let outbox = place.open_with_receipts().await;
    assert_eq!(outbox.generation(), 65_536, "the last one that counts");
    check_all_is_sent(&place, &outbox, 65_536).await;
}

#[tokio::test]
async fn outbox_that_was_raised_beyond_all_generations_opens() {
    let place = Place::new();
    old_outbox(&place).await;
    place.poison_generation().await;
    let copy = std::fs::read(&place.path).unwrap();
    let outbox = place.open_with_receipts().await;
    assert_eq!(outbox.generation(), 65_536);
    check_all_is_sent(&place, &outbox, 65_536).await;
    outbox.close().await.unwrap();
    let outbox = place.open_with_receipts().await;
    assert_eq!(outbox.generation(), 65_536, "once");
    outbox.close().await.unwrap();
    // What is in its generation file now counts, though the file beside it is an old one again.
    for generation in [65_538, 65_540] {
        std::fs::write(&place.path, &copy).unwrap();
        let outbox = place.open_with_receipts().await;
        assert_eq!(outbox.generation(), generation);
        check_all_is_sent(&place, &outbox, generation).await;
        outbox.close().await.unwrap();
    }
}

#[tokio::test]
async fn raised_outbox_opens_without_its_file_or_its_generation_file() {
    for lost in [".generation", ""] {
        let place = Place::new();
        old_outbox(&place).await;
        place.poison_generation().await;
        std::fs::remove_file(place.sibling(lost)).unwrap();
        let outbox = place.open_with_receipts().await;
        assert!((65_536..65_538).contains(&outbox.generation()), "{lost}");
    }
}

#[tokio::test]
async fn withdrawal_of_unknown_kind_is_told_where_it_cannot_follow() {
    let place = Place::new();
    old_outbox(&place).await;
    place.meddle("UPDATE feed SET kind = NULL").await;
    let outbox = place.open_with_receipts().await;
    assert_eq!(outbox.backlog().await.unwrap().events, 0);
    let open = DeadLetterFilter::default();
    let reasons = async || -> Vec<String> {
        let letters = outbox.reader().dead_letters(&open).await.unwrap();
        letters.into_iter().map(|letter| letter.reason).collect()
    };
    assert_eq!(reasons().await, [WITHDRAWAL_OF_UNKNOWN_KIND]);
    // A page tells the kind, and then it can be retried.
    let drafts = vec![asserted(1, 100)];
    outbox.commit_page(page(drafts, "a")).await.unwrap();
    outbox.prepare_retry(&open, at(2)).await.unwrap();
    assert!(reasons().await.is_empty());
    let (_, sent) = settle(&place, &outbox, at(3), |_| None).await;
    let sent = sent.iter().find(|event| event.record == digest(2)).unwrap();
    assert_eq!(revision_of(sent), revision(8, 1));
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
