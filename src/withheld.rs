//! Records that were withheld since too few persons were in their class: read again, and sent, once
//! the class is large enough, as they are or after some days with a coarser date.

use std::collections::HashSet;

use chrono::TimeDelta;
use outbox::DueRecord;
use pseudonym::fact_kind;

use crate::pull::{
    FeedRun, PageOrigin, PullError, Transformer, commit_page, fetch_by_id, seal_page,
};

/// Most records that are read again at once.
const MOST: usize = 500;

/// Makes those withheld records due, of all sources' feeds of this kind, that have waited as long as
/// is configured and may leave with a coarser date.
async fn coarsen(run: &FeedRun<'_>) -> Result<(), PullError> {
    let pseudonymiser = run.source.pseudonymiser();
    let release = pseudonymiser.release();
    let Some(days) = release.coarsen_after_days(fact_kind(run.feed)) else {
        return Ok(());
    };
    let since = run.gateway.clock.now() - TimeDelta::days(days.into());
    let outbox = &run.gateway.outbox;
    let coarsened = outbox.coarsen_withheld(run.feed.as_str(), since).await?;
    if coarsened > 0 {
        tracing::info!(
            event = "withheld-coarsened",
            records = coarsened,
            "records that too few persons' facts were alike with for {days} days leave with a \
             coarser date"
        );
    }
    Ok(())
}

/// Reads the feed's records again whose class has opened, and sends what they say now. The caller
/// holds the source's run lock.
///
/// # Errors
/// The source's failures and those of the gateway's own state; the next run goes on.
pub(crate) async fn send_due(run: &FeedRun<'_>) -> Result<(), PullError> {
    coarsen(run).await?;
    let outbox = &run.gateway.outbox;
    let mut first_before = None;
    while !run.stop.is_cancelled() {
        let due = outbox
            .due_records(&run.source.name, run.feed.as_str(), MOST)
            .await?;
        // They come in the order of their digests: the same first one twice is one that stays due.
        let first = due.first().map(|due| due.record);
        if first == first_before {
            return Ok(());
        }
        first_before = first;
        let Some(gone) = read_again(run, &due).await? else {
            return Ok(());
        };
        let gone: Vec<_> = gone.into_iter().map(|due| due.record).collect();
        outbox.forget_due_records(&gone).await?;
    }
    Ok(())
}

/// Reads records again and commits them; returns those whose rows are gone, or `None` when the
/// program was stopped while it waited for space.
async fn read_again<'a>(
    run: &FeedRun<'_>,
    due: &'a [DueRecord],
) -> Result<Option<Vec<&'a DueRecord>>, PullError> {
    let transformer = Transformer::new(run).await?;
    let ids: Vec<String> = due.iter().map(|due| due.record_id.clone()).collect();
    let records = fetch_by_id(run, &ids).await?;
    let found = records.iter().map(|record| record.record_id.clone());
    let found: HashSet<String> = found.collect();
    let transformed = transformer.transform(records).await?;
    let sealed = seal_page(run, transformed, PageOrigin::ById).await?;
    if commit_page(run, sealed).await?.is_none() {
        return Ok(None);
    }
    let gone = due.iter().filter(|due| !found.contains(&due.record_id));
    Ok(Some(gone.collect()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use contract::{Body, Fact, wire};
    use outbox::{DeliveryOutcome, Settlement, WithheldCount};

    use crate::testing::World;

    const OF_THREE: &str = "[release.vaccination]\nsmallest_class = 3\n";

    async fn waiting(world: &World) -> u64 {
        let backlog = world.gateway.outbox.backlog().await;
        backlog.expect("the backlog").events
    }

    async fn withheld(world: &World) -> WithheldCount {
        let status = world.gateway.outbox.reader().status().await;
        status.expect("the status").feeds[0].withheld
    }

    #[tokio::test]
    async fn what_was_withheld_leaves_in_the_run_that_brings_the_last_lacking_person() {
        let world = World::new(OF_THREE, 0..2).await;
        world.pull().await;
        assert_eq!(waiting(&world).await, 0);
        assert_eq!(withheld(&world).await.records, 2);
        // Nothing new: it goes on waiting, and the source is not asked for it.
        world.pull().await;
        assert_eq!(withheld(&world).await.records, 2);
        assert_eq!(*world.rows.asked_ids.lock(), [[""; 0]; 0]);

        world.rows.lock().insert(2, 2);
        world.pull().await;
        assert_eq!(waiting(&world).await, 3);
        assert_eq!(withheld(&world).await, WithheldCount::default());
        world.rows.lock().insert(3, 3);
        world.pull().await;
        assert_eq!(waiting(&world).await, 4, "the class stays open");
    }

    #[tokio::test]
    async fn a_source_that_goes_away_in_between_loses_nothing() {
        let world = World::new(OF_THREE, 0..2).await;
        world.pull().await;
        world.rows.lock().insert(2, 2);
        world.rows.unanswered.lock().insert(1);
        let run = crate::run::SourceRun {
            gateway: &world.gateway,
            source: &world.gateway.sources[0],
            stop: &tokio_util::sync::CancellationToken::new(),
            counters: &crate::pull::Counters::default(),
        };
        run.scheduled()
            .await
            .expect_err("a row cannot be asked for");
        assert_eq!(waiting(&world).await, 1);
        let due = withheld(&world).await;
        assert_eq!((due.records, due.due), (2, 2));
        world.rows.unanswered.lock().clear();
        run.scheduled().await.expect("a good run");
        assert_eq!(waiting(&world).await, 3);
    }

    /// Reads everything from the beginning.
    async fn read_again(world: &World) {
        let forgotten = world.gateway.outbox.forget_cursors("mis").await;
        forgotten.expect("the cursor is forgotten");
        world.pull().await;
    }

    /// Dates of the facts that leave now, sorted.
    async fn leaving(world: &World) -> Vec<String> {
        let outbox = &world.gateway.outbox;
        let now = world.gateway.clock.now();
        let leased = outbox.lease(100, now, Duration::from_secs(60)).await;
        let leased = leased.expect("leased");
        let settlements = leased.iter().map(|one| Settlement {
            id: one.batch.id,
            token: one.token,
            outcome: DeliveryOutcome::Delivered,
        });
        let settlements: Vec<_> = settlements.collect();
        outbox.settle(&settlements, now).await.expect("settled");
        let mut dates = Vec::new();
        for one in leased {
            let opened = world.private.open(&one.batch.bytes).expect("ours");
            for event in wire::decode(&opened.encoded).expect("events") {
                let event = event.expect("an event");
                dates.push(match event.body {
                    Body::Asserted {
                        fact: Fact::Vaccination { occurred_on, .. },
                        ..
                    } => occurred_on.to_string(),
                    Body::Asserted { .. } => "another fact".to_owned(),
                    Body::Withdrawn { .. } => "withdrawn".to_owned(),
                });
            }
        }
        dates.sort_unstable();
        dates
    }

    #[tokio::test]
    async fn what_has_waited_long_enough_leaves_with_a_coarser_date() {
        let settings = format!("{OF_THREE}coarsen_after_days = 7\n");
        let world = World::new(&settings, 0..3).await;
        world.rows.days.lock().extend([(0, 1), (1, 2), (2, 3)]);
        let week = Duration::from_hours(7 * 24);
        world.pull().await;
        world.clock.advance(week - Duration::from_secs(1));
        world.pull().await;
        assert_eq!(withheld(&world).await.records, 3);
        assert_eq!(leaving(&world).await, [""; 0]);
        world.clock.advance(Duration::from_secs(1));
        world.pull().await;
        let left = withheld(&world).await;
        assert_eq!((left.records, left.coarsened), (0, 3));
        assert_eq!(leaving(&world).await, ["2021-06"; 3]);

        // It stays so when it is read again, also when its day has persons enough by then.
        read_again(&world).await;
        assert_eq!(leaving(&world).await, [""; 0]);
        world.rows.lock().extend([(3, 3), (4, 4), (5, 5)]);
        world.rows.days.lock().extend([(3, 1), (4, 1), (5, 1)]);
        world.pull().await;
        assert_eq!(leaving(&world).await, ["2021-06-01"; 3]);
        read_again(&world).await;
        assert_eq!(leaving(&world).await, [""; 0]);
        assert_eq!(withheld(&world).await.coarsened, 3);
    }

    #[tokio::test]
    async fn a_single_row_of_a_year_waits_on_and_one_of_a_large_month_joins_it() {
        let settings = format!("{OF_THREE}coarsen_after_days = 0\n");
        let world = World::new(&settings, 0..2).await;
        world
            .rows
            .days
            .lock()
            .extend([(0, 1), (1, 2), (2, 3), (3, 4)]);
        world.pull().await;
        world.pull().await;
        assert_eq!(withheld(&world).await.records, 2);
        world.rows.lock().insert(2, 2);
        world.pull().await;
        assert_eq!(leaving(&world).await, ["2021-06"; 3]);
        // The month is open now; who comes later needs nobody else.
        world.rows.lock().insert(3, 3);
        world.pull().await;
        assert_eq!(leaving(&world).await, ["2021-06"]);
    }

    #[tokio::test]
    async fn a_correction_of_what_left_coarser_is_withheld_and_takes_it_back() {
        let settings = format!("{OF_THREE}coarsen_after_days = 7\n");
        let world = World::new(&settings, 0..3).await;
        world.rows.days.lock().extend([(0, 1), (1, 2), (2, 3)]);
        world.pull().await;
        world.clock.advance(Duration::from_hours(7 * 24));
        world.pull().await;
        assert_eq!(leaving(&world).await, ["2021-06"; 3]);
        // Another day of the same month says the same at the registry.
        world.rows.days.lock().insert(0, 9);
        read_again(&world).await;
        assert_eq!(leaving(&world).await, [""; 0]);
        assert_eq!(withheld(&world).await.coarsened, 3);
        // Another dose does not.
        world.rows.doses.lock().insert(0, 2);
        read_again(&world).await;
        assert_eq!(leaving(&world).await, ["withdrawn"]);
        let left = withheld(&world).await;
        assert_eq!((left.records, left.coarsened), (1, 2));
    }

    #[tokio::test]
    async fn a_row_that_is_gone_when_it_is_due_is_forgotten() {
        let world = World::new(OF_THREE, 0..2).await;
        world.pull().await;
        world.rows.lock().remove(&0);
        world.rows.lock().insert(2, 2);
        world.pull().await;
        assert_eq!(waiting(&world).await, 2);
        assert_eq!(withheld(&world).await, WithheldCount::default());
    }

    #[tokio::test]
    async fn sweeps_that_read_whole_rows_withhold_as_pulls_do() {
        let world = World::new(OF_THREE, 0..2).await;
        world.rows.reads_contents.store(true, Ordering::Relaxed);
        world.pull().await;
        assert_eq!(withheld(&world).await.records, 2);
        let source = &world.gateway.sources[0];
        source.request_sweep();
        world.pull().await;
        assert_eq!(
            (waiting(&world).await, withheld(&world).await.records),
            (0, 2)
        );
        world.rows.lock().remove(&0);
        source.request_sweep();
        world.pull().await;
        assert_eq!(
            withheld(&world).await.records,
            1,
            "the sweep has found it gone"
        );
    }
}
