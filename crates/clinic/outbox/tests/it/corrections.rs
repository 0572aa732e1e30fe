//! Refused corrections: the older version is withdrawn, under the safety catch of sweeps, and comes
//! back when the row is mended.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use contract::{Event, FactKind};
use outbox::{
    CORRECTIONS_WINDOW_MS, CorrectionRule, DeadLetter, DeadLetterFilter, LOST_STATE_MS,
    OlderVersion, Outbox, OutboxError, OutboxOptions, PageCommit, RECORD_UNREADABLE, Refused,
    RefusedCorrections, SettledCorrections, SweepEnd, SweepLimits, UNREADABLE_AGAIN_MS,
};

use crate::receipts::settle;
use crate::support::{FREELY, Place, Source, at, digest, revision, revision_of, version};

const NOTHING: CorrectionRule = CorrectionRule::Withdraw(SweepLimits {
    percent: 0,
    always: 0,
});

pub(crate) const WITHDRAW: CorrectionRule = CorrectionRule::Withdraw(FREELY);

/// Limits under which 3 of 10 records are withdrawn unasked, and 4 are not.
const THREE_OF_TEN: CorrectionRule = CorrectionRule::Withdraw(SweepLimits {
    percent: 30,
    always: 2,
});

/// Time after a raise within which what is new may be of the lost state, in seconds.
const LOST_STATE_SECONDS: i64 = LOST_STATE_MS / 1000;

const DAY: TimeDelta = TimeDelta::milliseconds(CORRECTIONS_WINDOW_MS);

async fn end_run(outbox: &Outbox, rule: CorrectionRule, now: DateTime<Utc>) -> SettledCorrections {
    outbox
        .settle_refused_corrections("mis", "recoveries", FactKind::Recovery, rule, None, now)
        .await
        .unwrap()
}

/// Numbers withdrawn and held at the end of a run.
pub(crate) async fn withdrawn_and_held(outbox: &Outbox, rule: CorrectionRule) -> (u64, u64) {
    let settled = end_run(outbox, rule, at(0)).await;
    (settled.withdrawn, settled.held)
}

/// Permits all that is held of the source; returns the number of withdrawals permitted.
async fn permit(outbox: &Outbox, source: &str) -> u64 {
    let shown = outbox.reader().status().await.unwrap();
    let shown = shown.held_corrections("mis");
    let permitting = outbox.permit_refused_corrections(source, &shown);
    permitting.await.unwrap()
}

pub(crate) async fn noted(outbox: &Outbox) -> RefusedCorrections {
    let status = outbox.reader().status().await.unwrap();
    status.feeds[0].refused_corrections
}

pub(crate) async fn letters(outbox: &Outbox) -> Vec<DeadLetter> {
    let all = DeadLetterFilter::default();
    outbox.reader().dead_letters(&all).await.unwrap()
}

pub(crate) async fn older_version(outbox: &Outbox) -> Option<OlderVersion> {
    let letters = letters(outbox).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters[0].older_version
}

/// Facts that stand, by record, after these events: content is told by the version's count.
pub(crate) fn standing(events: &[Event]) -> Vec<(bool, u32)> {
    let fact = |event: &Event| {
        (
            event.body.kind() == FactKind::Recovery && !is_withdrawal(event),
            revision_of(event).count,
        )
    };
    events.iter().map(fact).collect()
}

pub(crate) fn is_withdrawal(event: &Event) -> bool {
    matches!(event.body, contract::Body::Withdrawn { .. })
}

impl Source {
    /// Moves the stamp of a row, and makes it one that cannot be sent.
    pub(crate) fn break_row(&mut self, record: u32) {
        self.bad.insert(record);
        self.touch(record);
    }

    fn mend_row(&mut self, record: u32) {
        self.bad.remove(&record);
        self.touch(record);
    }

    fn touch(&mut self, record: u32) {
        if let Some((_, stamp)) = self.rows.get_mut(&record) {
            *stamp = stamp.map(|stamp| stamp + 1000);
        }
    }
}

/// Ten rows, sent.
pub(crate) async fn ten(place: &Place) -> (Outbox, Source) {
    let outbox = place.open_with_receipts().await;
    let source = Source::of(0..10);
    source.pull(&outbox).await;
    settle(place, &outbox, at(0), |_| None).await;
    (outbox, source)
}

#[tokio::test]
async fn older_version_is_withdrawn_once_and_comes_back_when_the_row_is_mended() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    source.break_row(3);
    let pulled = source.pull(&outbox).await;
    assert_eq!((pulled.refused_new, pulled.events()), (1, 0));
    assert_eq!(older_version(&outbox).await, Some(OlderVersion::Waiting));
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (1, 0));
    assert_eq!(older_version(&outbox).await, Some(OlderVersion::Withdrawn));
    let sent = place.deliver_all(&outbox, at(1)).await;
    assert_eq!(
        (sent.len(), sent[0].record, is_withdrawal(&sent[0])),
        (1, digest(3), true)
    );

    // The overlap brings the row again in every run, and no sweep reads it by its id.
    for _ in 0..3 {
        source.pull(&outbox).await;
        assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (0, 0));
    }
    assert_eq!(source.sweep_pass(&outbox).await, Vec::<u32>::new());
    assert!(matches!(
        crate::support::finish(&outbox, FREELY).await.unwrap(),
        SweepEnd::Done { withdrawn: 0, .. }
    ));
    assert_eq!(noted(&outbox).await.withdrawn, 1);
    assert!(place.deliver_all(&outbox, at(2)).await.is_empty());

    source.mend_row(3);
    let mended = source.pull(&outbox).await;
    assert_eq!((mended.corrected, mended.cleared), (1, 1));
    assert_eq!(noted(&outbox).await, RefusedCorrections::default());
    let sent = place.deliver_all(&outbox, at(3)).await;
    assert_eq!(standing(&sent), [(true, 3)], "above the withdrawal");
    // And once more round.
    source.break_row(3);
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (1, 0));
}

/// Page that brings the third of ten rows as one that could not be read, and the others as ever.
fn unread(source: &Source, now: DateTime<Utc>) -> PageCommit {
    let mut page = source.page((0..10).filter(|record| *record != 3));
    page.now = now;
    page.refused.push(Refused {
        value: None,
        record_id: "3".into(),
        reason: RECORD_UNREADABLE,
        record: digest(3),
        stamp: None,
    });
    page
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_withdrawn_at_its_second_failure_only() {
    let place = Place::new();
    let (outbox, source) = ten(&place).await;
    let again = UNREADABLE_AGAIN_MS / 1000;
    // Once, and again within the same trouble of the source: nothing is withdrawn.
    for second in [0, 1, again - 1] {
        let pulled = outbox.commit_page(unread(&source, at(second))).await;
        assert_eq!(pulled.unwrap().refused, 1);
        assert_eq!(older_version(&outbox).await, None);
        assert_eq!(noted(&outbox).await, RefusedCorrections::default());
        assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (0, 0));
    }
    // A sweep reads it again, since it has no stamp, and closes its letter: that was all.
    assert_eq!(source.sweep_pass(&outbox).await, [3]);
    assert_eq!(letters(&outbox).await, []);
    assert!(place.deliver_all(&outbox, at(again)).await.is_empty());

    // Its failures count anew from there, and the second one is a refused correction.
    let first = 10 * again;
    for (second, withdrawn) in [(first, 0), (first + again, 1), (first + 2 * again, 0)] {
        outbox
            .commit_page(unread(&source, at(second)))
            .await
            .unwrap();
        let settled = withdrawn_and_held(&outbox, WITHDRAW).await;
        assert_eq!(settled, (withdrawn, 0), "{second}");
    }
    let sent = place.deliver_all(&outbox, at(first + 2 * again)).await;
    assert_eq!(sent.iter().map(is_withdrawal).collect::<Vec<_>>(), [true]);
    source.pull(&outbox).await;
    let sent = place.deliver_all(&outbox, at(first + 2 * again + 1)).await;
    assert_eq!(standing(&sent), [(true, 3)], "it comes back");
}

#[tokio::test]
async fn rows_refused_from_the_first_have_no_older_version() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..3);
    source.bad.insert(1);
    source.pull(&outbox).await;
    assert_eq!(older_version(&outbox).await, None);
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (0, 0));
    // Neither has one that was cancelled before.
    let cancelled = crate::support::withdrawn(2, false);
    let mut page = crate::support::page(vec![cancelled], "b");
    page.drafts[0].stamp = Some(5);
    outbox.commit_page(page).await.unwrap();
    source.break_row(2);
    source.pull(&outbox).await;
    assert_eq!(noted(&outbox).await, RefusedCorrections::default());
}

#[tokio::test]
async fn safety_catch_holds_from_its_edge_on() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    (0..4).for_each(|record| source.break_row(record));
    source.pull(&outbox).await;
    let held = end_run(&outbox, THREE_OF_TEN, at(0)).await;
    assert_eq!(
        held,
        SettledCorrections {
            held: 4,
            newly_held: 4,
            held_of: 10,
            ..held
        }
    );
    let again = end_run(&outbox, THREE_OF_TEN, at(0)).await;
    assert_eq!((again.held, again.newly_held, again.withdrawn), (4, 0, 0));
    let status = noted(&outbox).await;
    assert_eq!((status.held, status.held_of), (4, Some(10)));

    // One is mended: nothing was lost, and the other three are within the limit.
    source.mend_row(0);
    let mended = source.pull(&outbox).await;
    assert_eq!((mended.events(), mended.unchanged), (0, 7));
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (3, 0));
    let status = noted(&outbox).await;
    assert_eq!(
        (status.held, status.held_of, status.withdrawn),
        (0, None, 3)
    );
}

#[tokio::test]
async fn so_few_are_always_withdrawn_whatever_share_they_are() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..2);
    source.pull(&outbox).await;
    (0..2).for_each(|record| source.break_row(record));
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (2, 0));
}

#[tokio::test]
async fn mapping_that_breaks_a_page_at_a_time_is_one_mistake() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    for record in 0..3 {
        source.break_row(record);
        source.pull(&outbox).await;
        assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (1, 0));
    }
    source.break_row(3);
    source.pull(&outbox).await;
    let held = end_run(&outbox, THREE_OF_TEN, at(0)).await;
    assert_eq!((held.withdrawn, held.held, held.held_of), (0, 1, 10));
    // No clock releases what is held, nor does a feed that grows.
    for days in [1, 2, 30] {
        let later = at(0) + DAY * days;
        let settled = end_run(&outbox, THREE_OF_TEN, later).await;
        assert_eq!(
            (settled.withdrawn, settled.held),
            (0, 1),
            "after {days} days"
        );
    }
    source.rows.extend(Source::of(20..40).rows);
    source.pull(&outbox).await;
    let grown = end_run(&outbox, THREE_OF_TEN, at(0) + DAY * 31).await;
    assert_eq!((grown.withdrawn, grown.held, grown.held_of), (0, 1, 10));
    // A row that is mended does: three are within the limit.
    source.mend_row(0);
    source.pull(&outbox).await;
    let settled = end_run(&outbox, THREE_OF_TEN, at(0) + DAY * 32).await;
    assert_eq!((settled.withdrawn, settled.held), (1, 0));
}

#[tokio::test]
async fn withdrawals_of_before_are_forgotten_to_the_millisecond_where_nothing_is_held() {
    for (early, expected) in [(1, (0, 1)), (0, (1, 0))] {
        let place = Place::new();
        let (outbox, mut source) = ten(&place).await;
        for record in 0..3 {
            source.break_row(record);
            source.pull(&outbox).await;
            assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (1, 0));
        }
        source.break_row(3);
        source.pull(&outbox).await;
        let now = at(0) + DAY - TimeDelta::milliseconds(early);
        let settled = end_run(&outbox, THREE_OF_TEN, now).await;
        assert_eq!((settled.withdrawn, settled.held), expected);
    }
}

#[tokio::test]
async fn days_of_a_broken_mapping_withdraw_no_more_than_the_first() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    let mut withdrawn = 0;
    for (day, rows) in [(0, 0..3), (0, 3..5), (1, 5..6), (2, 6..7), (3, 7..7)] {
        rows.for_each(|record| source.break_row(record));
        source.pull(&outbox).await;
        let settled = end_run(&outbox, THREE_OF_TEN, at(0) + DAY * day).await;
        withdrawn += settled.withdrawn;
        assert_eq!(withdrawn, 3, "on day {day}");
    }
    assert_eq!(noted(&outbox).await.held, 4);
    // A process that begins anew knows no better.
    drop(outbox);
    let outbox = place.open_with_receipts().await;
    let settled = end_run(&outbox, THREE_OF_TEN, at(0) + DAY * 9).await;
    assert_eq!((settled.withdrawn, settled.held), (0, 4));
    permit(&outbox, "mis").await;
    let settled = end_run(&outbox, THREE_OF_TEN, at(0) + DAY * 9).await;
    assert_eq!((settled.withdrawn, settled.held), (4, 0));
}

#[tokio::test]
async fn records_are_counted_once_an_hour_while_some_are_held() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    (0..4).for_each(|record| source.break_row(record));
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (0, 4));
    source.rows.remove(&9);
    source.sweep(&outbox, FREELY).await;
    let hour = TimeDelta::hours(1);
    for (after, of) in [(hour - TimeDelta::milliseconds(1), 10), (hour, 9)] {
        let settled = end_run(&outbox, THREE_OF_TEN, at(0) + after).await;
        assert_eq!((settled.held, settled.held_of), (4, of));
    }
    // Three of ten may be withdrawn, and of nine not.
    source.mend_row(0);
    source.pull(&outbox).await;
    let settled = end_run(&outbox, THREE_OF_TEN, at(0) + hour).await;
    assert_eq!((settled.withdrawn, settled.held), (0, 3));
}

#[tokio::test]
async fn permission_is_for_what_was_held_and_for_nothing_later() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    (0..5).for_each(|record| source.break_row(record));
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (0, 5));
    assert_eq!(permit(&outbox, "other").await, 0);
    assert_eq!(permit(&outbox, "mis").await, 5);
    // More come before the withdrawals are made: they are judged by themselves.
    (5..9).for_each(|record| source.break_row(record));
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (5, 4));
    let status = noted(&outbox).await;
    assert_eq!((status.withdrawn, status.held), (5, 4));
    // What a person permitted does not weigh on what follows.
    for record in 6..9 {
        source.mend_row(record);
    }
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (1, 0));
}

#[tokio::test]
async fn permission_is_for_what_was_shown_though_more_was_held_since() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    let nothing = outbox.reader().status().await.unwrap();
    (0..4).for_each(|record| source.break_row(record));
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (0, 4));
    // A run goes on while the operator looks: its rows are noted and not yet held.
    source.break_row(4);
    source.pull(&outbox).await;
    let shown = outbox.reader().status().await.unwrap();
    assert_eq!(shown.feeds[0].refused_corrections.held, 4);
    source.break_row(5);
    source.break_row(6);
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (0, 7));
    for (shown, permitted, settled) in [(&nothing, 0, (0, 7)), (&shown, 4, (4, 3))] {
        let shown = shown.held_corrections("mis");
        let permitting = outbox.permit_refused_corrections("mis", &shown);
        assert_eq!(permitting.await.unwrap(), permitted);
        let limits = SweepLimits {
            percent: 20,
            always: 2,
        };
        let end = withdrawn_and_held(&outbox, CorrectionRule::Withdraw(limits)).await;
        assert_eq!(end, settled);
    }
    assert!(nothing.held_corrections("mis").is_empty());
}

#[tokio::test]
async fn many_withdrawals_go_on_where_a_full_outbox_stopped_them() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..12_000);
    source.pull(&outbox).await;
    place.deliver_all(&outbox, at(0)).await;
    (0..11_000).for_each(|record| source.break_row(record));
    source.pull(&outbox).await;
    drop(outbox);
    let options = OutboxOptions {
        max_bytes: 100_000,
        ..place.options()
    };
    let open = || Outbox::open(&place.path, options.clone(), at(0));
    let mut outbox = open().await.unwrap();
    let mut calls = 0;
    let mut gone = BTreeSet::new();
    loop {
        calls += 1;
        let kind = FactKind::Recovery;
        let settled = outbox
            .settle_refused_corrections("mis", "recoveries", kind, WITHDRAW, None, at(0))
            .await;
        for event in place.deliver_all(&outbox, at(0)).await {
            assert!(
                is_withdrawal(&event) && gone.insert(event.record),
                "once each"
            );
        }
        match settled {
            Ok(_) => break,
            Err(error) => assert!(matches!(error, OutboxError::Full { .. }), "{error}"),
        }
        assert_eq!(noted(&outbox).await.withdrawn, gone.len() as u64);
        drop(outbox);
        outbox = open().await.unwrap();
    }
    assert!(calls > 2, "a transaction each");
    assert_eq!(gone.len(), 11_000);
    assert_eq!(noted(&outbox).await.withdrawn, 11_000);
}

#[tokio::test]
async fn row_that_is_gone_takes_its_note_along() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    (0..5).for_each(|record| source.break_row(record));
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (0, 5));
    // Held ones that are gone are the sweep's business.
    source.rows.remove(&0);
    let SweepEnd::Done { withdrawn, .. } = source.sweep(&outbox, FREELY).await else {
        panic!("the sweep withdraws")
    };
    assert_eq!((withdrawn, noted(&outbox).await.held), (1, 4));
    assert_eq!(letters(&outbox).await.len(), 4);
    // Withdrawn ones that are gone leave nothing to tell of.
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (4, 0));
    let gone = source.rows.remove(&1).unwrap();
    let SweepEnd::Done { withdrawn, .. } = source.sweep(&outbox, FREELY).await else {
        panic!("the sweep ends")
    };
    assert_eq!((withdrawn, noted(&outbox).await.withdrawn), (0, 3));
    // The row comes back as it was before it broke.
    source.bad.remove(&1);
    source.rows.insert(1, gone);
    assert_eq!(source.sweep_pass(&outbox).await, [1]);
    let sent = place.deliver_all(&outbox, at(9)).await;
    assert!(
        sent.iter()
            .any(|event| event.record == digest(1) && !is_withdrawal(event))
    );
}

#[tokio::test]
async fn kept_versions_stay_until_the_rule_changes() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    source.break_row(3);
    source.pull(&outbox).await;
    assert_eq!(
        withdrawn_and_held(&outbox, CorrectionRule::Keep).await,
        (0, 0)
    );
    assert_eq!(older_version(&outbox).await, Some(OlderVersion::Kept));
    assert!(place.deliver_all(&outbox, at(1)).await.is_empty());
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (1, 0));
    assert_eq!(older_version(&outbox).await, Some(OlderVersion::Withdrawn));
}

#[tokio::test]
async fn discarded_and_full_reads_change_nothing_at_the_registry() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    source.break_row(3);
    source.pull(&outbox).await;
    let all = DeadLetterFilter::default();
    outbox.discard_dead_letters(&all, at(1)).await.unwrap();
    assert_eq!(
        withdrawn_and_held(&outbox, WITHDRAW).await,
        (1, 0),
        "discarded"
    );
    source.break_row(4);
    source.pull(&outbox).await;
    outbox.forget_cursors("mis").await.unwrap();
    assert_eq!(
        noted(&outbox).await.waiting,
        1,
        "neither its letter nor the note is forgotten"
    );
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (1, 0));
}

#[tokio::test]
async fn risen_generation_neither_brings_withdrawn_ones_back_nor_loses_held_ones() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    source.break_row(0);
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (1, 0));
    (1..6).for_each(|record| source.break_row(record));
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (0, 5));
    place.deliver_all(&outbox, at(1)).await;
    outbox.raise_generation(2, "a test", at(2)).await.unwrap();
    assert_eq!(source.pull(&outbox).await.resent, 4);
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (0, 5));
    let sent = place.deliver_all(&outbox, at(3)).await;
    let taken_back: Vec<_> = sent.iter().filter(|event| is_withdrawal(event)).collect();
    assert_eq!((sent.len(), taken_back.len()), (5, 1));
    assert_eq!(
        (taken_back[0].record, revision_of(taken_back[0])),
        (digest(0), revision(2, 1))
    );
    assert_eq!(noted(&outbox).await.withdrawn, 1);
    source.mend_row(0);
    assert_eq!(source.pull(&outbox).await.corrected, 1);
    permit(&outbox, "mis").await;
    assert_eq!(withdrawn_and_held(&outbox, THREE_OF_TEN).await, (5, 0));
}

#[tokio::test]
async fn pages_that_are_joined_or_prepared_before_note_the_same() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    source.break_row(2);
    source.break_row(7);
    let mut first = outbox.prepare(source.page(0..5)).await.unwrap();
    let second = outbox.prepare(source.page(5..10)).await.unwrap();
    first.join(second).unwrap();
    outbox.commit(first).await.unwrap();
    assert_eq!(noted(&outbox).await.waiting, 2);
    // A page that was read before the withdrawal, and is committed after it.
    let stale = outbox.prepare(source.page(0..10)).await.unwrap();
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (2, 0));
    outbox.commit(stale).await.unwrap();
    assert_eq!(noted(&outbox).await.withdrawn, 2, "not noted anew");
    // The draft of a page counts for its record.
    source.break_row(4);
    let mut both = source.page(0..10);
    both.drafts.push(outbox::Pulled {
        draft: crate::support::asserted(4, 1),
        stamp: Some(1),
    });
    outbox.commit_page(both).await.unwrap();
    assert_eq!(noted(&outbox).await.waiting, 0);
}

#[tokio::test]
async fn repair_finds_what_only_a_lost_state_had_sent() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    outbox.close().await.unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let _absent = std::fs::remove_file(place.sibling(suffix));
    }
    // Row 3 was sent by the state that is lost; row 20 was never.
    source.break_row(3);
    source.rows.insert(20, (1, Some(20)));
    source.bad.insert(20);
    let outbox = place.open_with_receipts().await;
    assert_eq!(outbox.generation(), 2);
    source.pull(&outbox).await;
    assert_eq!(withdrawn_and_held(&outbox, NOTHING).await, (0, 2));
    assert_eq!(noted(&outbox).await.possible, 2);
    let letters_of_both = letters(&outbox).await;
    let mut older = letters_of_both.iter().map(|letter| letter.older_version);
    assert!(older.all(|older| older == Some(OlderVersion::Possible)));
    settle(&place, &outbox, at(1), |_| None).await;
    let differing = [
        (
            digest(3),
            (contract::DifferenceKind::Stale, Some(version(3, 1, 1))),
        ),
        (digest(20), (contract::DifferenceKind::Missing, None)),
    ];
    let id = crate::reconciliation::probe_all(&outbox, None).await;
    let differing = differing.into_iter().collect();
    let (probed, _) = crate::reconciliation::answer(&place, &outbox, &differing).await;
    assert_eq!(probed.len(), 11);
    let report = outbox.reader().reconciliation(id).await.unwrap().unwrap();
    assert_eq!((report.equal, report.stale, report.missing), (9, 1, 0));
    assert!(report.finished_at.is_some());
    assert_eq!(noted(&outbox).await.possible, 1, "the other was never sent");

    outbox.prepare_repair(id, at(52)).await.unwrap();
    assert_eq!(source.sweep_pass(&outbox).await, [3]);
    crate::support::finish(&outbox, FREELY).await.unwrap();
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (1, 0));
    let (_, sent) = settle(&place, &outbox, at(60), |_| None).await;
    assert_eq!(
        (sent.len(), sent[0].record, is_withdrawal(&sent[0])),
        (1, digest(3), true)
    );
    assert_eq!(revision_of(&sent[0]), revision(2, 1));
}

#[tokio::test]
async fn what_a_lost_state_may_have_sent_is_withdrawn_until_the_feed_was_read_whole() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    outbox.close().await.unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let _absent = std::fs::remove_file(place.sibling(suffix));
    }
    source.break_row(3);
    let outbox = place.open_with_receipts().await;
    let end = async |read_whole, now| {
        let kind = FactKind::Recovery;
        let settling =
            outbox.settle_refused_corrections("mis", "recoveries", kind, WITHDRAW, read_whole, now);
        settling.await.unwrap().withdrawn
    };
    outbox.commit_page(source.page(0..5)).await.unwrap();
    assert_eq!(end(None, at(0)).await, 1);
    assert_eq!(older_version(&outbox).await, None, "nobody knows");
    assert_eq!(noted(&outbox).await.withdrawn, 1, "it counts all the same");
    source.pull(&outbox).await;
    // A row that the source had not listed, then: the lost state may have sent it.
    let still = at(LOST_STATE_SECONDS - 1);
    assert_eq!(end(Some(2), still).await, 0);
    add_refused(&outbox, &mut source, 20, still).await;
    assert_eq!(end(Some(2), still).await, 1);
    // Long after, a row that comes for the first time was never sent.
    let later = at(LOST_STATE_SECONDS);
    assert_eq!(end(Some(2), later).await, 0);
    add_refused(&outbox, &mut source, 21, later).await;
    assert_eq!(end(Some(2), later).await, 0);
    let sent = place.deliver_all(&outbox, later).await;
    let taken_back: Vec<_> = sent.iter().filter(|event| is_withdrawal(event)).collect();
    let records: BTreeSet<_> = taken_back.iter().map(|event| event.record).collect();
    assert_eq!(records, BTreeSet::from([digest(3), digest(20)]));
    assert_eq!(revision_of(taken_back[0]), revision(2, 1));
    source.mend_row(3);
    assert_eq!(source.pull(&outbox).await.corrected, 1);
}

/// Reads a new row of the feed that is refused.
async fn add_refused(outbox: &Outbox, source: &mut Source, row: u32, now: DateTime<Utc>) {
    source.rows.insert(row, (1, Some(20)));
    source.bad.insert(row);
    let mut page = source.page([row]);
    page.now = now;
    outbox.commit_page(page).await.unwrap();
}

/// Reads a feed of another source for the first time, in which one row is refused; returns how many
/// rows only a lost state can have sent.
async fn possible_in_a_new_feed(outbox: &Outbox, is_entered: bool, now: DateTime<Utc>) -> u64 {
    let mut source = Source::of(20..30);
    source.bad.insert(23);
    let mut page = source.page(20..30);
    page.source = "added".to_owned();
    page.now = now;
    if is_entered {
        let loading = outbox.begin_load("added", "recoveries", now);
        loading.await.unwrap();
    }
    outbox.commit_page(page).await.unwrap();
    let kind = FactKind::Recovery;
    let settling =
        outbox.settle_refused_corrections("added", "recoveries", kind, NOTHING, None, now);
    settling.await.unwrap();
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(status.feeds[0].source, "added");
    status.feeds[0].refused_corrections.possible
}

#[tokio::test]
async fn source_that_is_added_long_after_a_raise_was_in_no_state_that_was_lost() {
    for is_entered in [false, true] {
        let place = Place::new();
        let (outbox, mut source) = ten(&place).await;
        outbox.raise_generation(2, "a test", at(2)).await.unwrap();
        let later = at(2 + LOST_STATE_SECONDS);
        let possible = possible_in_a_new_feed(&outbox, is_entered, later).await;
        assert_eq!(possible, 0, "{is_entered}");
        // The feed that was there before may have been.
        source.rows.insert(40, (1, Some(40)));
        source.bad.insert(40);
        source.pull(&outbox).await;
        let held = end_run(&outbox, NOTHING, at(3)).await.held;
        assert_eq!(held, 1, "{is_entered}");
        // And the new one from the next raise on.
        let raising = outbox.raise_generation(3, "a test", later);
        raising.await.unwrap();
        let possible = possible_in_a_new_feed(&outbox, is_entered, later).await;
        assert_eq!(possible, 1, "{is_entered}");
    }
}

/// A copy of the state that is older than the feed is put back: the lost state knew the feed.
#[tokio::test]
async fn source_that_is_entered_soon_after_a_raise_may_have_been_in_the_state_that_was_lost() {
    for is_entered in [false, true] {
        let place = Place::new();
        let (outbox, _) = ten(&place).await;
        outbox.raise_generation(2, "a test", at(2)).await.unwrap();
        let soon = at(1 + LOST_STATE_SECONDS);
        let possible = possible_in_a_new_feed(&outbox, is_entered, soon).await;
        assert_eq!(possible, 1, "{is_entered}");
    }
}

#[tokio::test]
async fn every_feed_of_an_outbox_that_was_made_anew_may_have_been_lost() {
    for (is_entered, is_configured) in [(false, false), (true, false), (false, true)] {
        let place = Place::new();
        let (outbox, _) = ten(&place).await;
        outbox.close().await.unwrap();
        for suffix in ["", "-wal", "-shm", ".generation"] {
            if suffix != ".generation" || is_configured {
                let _absent = std::fs::remove_file(place.sibling(suffix));
            }
        }
        let options = OutboxOptions {
            min_generation: if is_configured { 2 } else { 1 },
            ..place.options()
        };
        let outbox = Outbox::open(&place.path, options, at(5)).await.unwrap();
        assert_eq!(outbox.generation(), 2);
        assert_eq!(possible_in_a_new_feed(&outbox, is_entered, at(9)).await, 1);
    }
}

#[tokio::test]
async fn letters_from_before_notes_were_taken_are_looked_at() {
    let place = Place::new();
    let (outbox, mut source) = ten(&place).await;
    source.break_row(3);
    source.break_row(20);
    source.rows.insert(20, (1, Some(1)));
    source.pull(&outbox).await;
    outbox.close().await.unwrap();
    place
        .meddle(
            "DROP TABLE refused_correction; ALTER TABLE feed DROP COLUMN corrections_of; \
             ALTER TABLE feed DROP COLUMN read_generation; DELETE FROM _sqlx_migrations WHERE version = 8;",
        )
        .await;
    let outbox = place.open_with_receipts().await;
    assert_eq!(letters(&outbox).await.len(), 2);
    assert_eq!(noted(&outbox).await, RefusedCorrections::default());
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (1, 0));
    let older = letters(&outbox).await.into_iter().filter_map(|letter| {
        let record_id = letter.record_id?;
        Some((record_id, letter.older_version?))
    });
    assert_eq!(
        older.collect::<Vec<_>>(),
        [("3".to_owned(), OlderVersion::Withdrawn)]
    );
}
