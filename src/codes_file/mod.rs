//! The codes file of a source: read at the start, and looked at again before each run.

mod watched;

use std::sync::Arc;

use crate::gateway::Gateway;
use crate::sources::Source;
use crate::surprise;
use watched::Look;
pub(crate) use watched::WatchedCodes;

/// Looks at the source's codes file, if it has one, and lets a change of it count. The caller holds
/// the source's run lock, so that no run is under way. Every feed whose codes have changed is then
/// read from its beginning, for its cursor was made under others; so what was refused or ignored
/// is read again.
pub(crate) async fn refresh(gateway: &Gateway, source: &Source) {
    let Some(watched) = &source.codes_file else {
        return;
    };
    let looking = Arc::clone(watched);
    let elapsed = gateway.clock.elapsed();
    let Ok(look) = tokio::task::spawn_blocking(move || looking.look(elapsed)).await else {
        return;
    };
    match look {
        Look::Same => {}
        Look::Good => end(gateway, source).await,
        Look::Changed(compiled) => {
            let (policy, codes) = *compiled;
            source.read_by(policy, Some(&codes));
            tracing::info!(
                event = "codes-file-read",
                source = %source.name,
                "policy.codes_file has changed: feeds whose codes have changed are read from their \
                 beginning"
            );
            end(gateway, source).await;
        }
        Look::Broken(error) => {
            tracing::warn!(
                event = "codes-file-broken",
                source = %source.name,
                "policy.codes_file: {error}; the codes read before hold"
            );
            set_gauge(source, true);
            for feed in source.connector.feeds() {
                surprise::note(gateway, source, feed, surprise::CODES_FILE, 1).await;
            }
        }
    }
}

/// Notes that the file is in order.
async fn end(gateway: &Gateway, source: &Source) {
    set_gauge(source, false);
    let now = gateway.clock.now();
    for feed in source.connector.feeds() {
        let outbox = &gateway.outbox;
        let feed = feed.as_str();
        let ended = outbox.end_surprise(&source.name, feed, surprise::CODES_FILE, now);
        let ended = ended.await;
        if let Err(error) = ended {
            tracing::debug!(event = "surprise-not-ended", code = error.code());
        }
    }
}

fn set_gauge(source: &Source, is_broken: bool) {
    metrics::gauge!("gateway_codes_file_broken", "source" => source.name.clone())
        .set(if is_broken { 1.0 } else { 0.0 });
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use connector_kit::Feed;
    use outbox::DeadLetterFilter;

    use super::watched::UNCHANGED_FOR;
    use crate::testing::{UNSENDABLE, World};

    const HEAD: &str = "table,code,meaning\n";

    /// A world whose source has a codes file with these rows.
    async fn world(rows: &str) -> World {
        let mut world = World::new("", 1..4).await;
        world.add_codes_file(&format!("{HEAD}{rows}"));
        world
    }

    fn write(world: &World, text: &str) {
        fs::write(world.folder.path().join("codes.csv"), text).expect("the file is written");
    }

    /// Two runs that are so far apart that what lies there all the time counts.
    async fn pull_twice(world: &World) {
        world.pull().await;
        world.clock.advance(UNCHANGED_FOR);
        world.pull().await;
    }

    async fn open_surprises(world: &World) -> Vec<String> {
        let status = world
            .gateway
            .outbox
            .reader()
            .status()
            .await
            .expect("the state");
        let open = status.surprises.into_iter();
        open.filter(|one| one.mended_at.is_none())
            .map(|one| one.code)
            .collect()
    }

    async fn refused(world: &World) -> usize {
        let reader = world.gateway.outbox.reader();
        let letters = reader
            .dead_letters(&DeadLetterFilter::default())
            .await
            .expect("the state");
        letters.len()
    }

    #[tokio::test]
    async fn a_changed_file_counts_once_it_has_lain_unchanged_for_long_enough() {
        let world = world("").await;
        world.rows.lock().insert(UNSENDABLE, 1);
        world.pull().await;
        assert_eq!(refused(&world).await, 1);
        let text = format!("{HEAD}vaccines,неизвестная,sputnik-light\n");
        let a_moment = Duration::from_millis(1);
        write(&world, &text);
        for wait in [Duration::ZERO, a_moment, UNCHANGED_FOR - 2 * a_moment] {
            world.clock.advance(wait);
            world.pull().await;
            assert_eq!(refused(&world).await, 1, "it may still be being written");
        }
        world.clock.advance(a_moment);
        world.pull().await;
        assert_eq!(refused(&world).await, 0, "the row was read again");
    }

    #[tokio::test]
    async fn a_file_that_is_written_once_more_has_to_lie_as_long_again() {
        let world = world("").await;
        world.rows.lock().insert(UNSENDABLE, 1);
        let text = format!("{HEAD}vaccines,неизвестная,sputnik-light\n");
        write(&world, &text);
        world.pull().await;
        let path = world.folder.path().join("codes.csv");
        let touched = fs::File::options().write(true).open(&path).expect("open");
        let later = touched.metadata().and_then(|file| file.modified());
        let later = later.expect("a time") + Duration::from_secs(1);
        touched.set_modified(later).expect("its time is set");
        world.clock.advance(UNCHANGED_FOR);
        world.pull().await;
        assert_eq!(refused(&world).await, 1, "written again meanwhile");
        world.clock.advance(UNCHANGED_FOR);
        world.pull().await;
        assert_eq!(refused(&world).await, 0);
        // One look in the midst of writing does not count for the whole.
        write(&world, HEAD);
        world.pull().await;
        world.clock.advance(UNCHANGED_FOR);
        write(&world, &text);
        world.pull().await;
        assert_eq!(refused(&world).await, 0);
    }

    #[tokio::test]
    async fn a_broken_file_keeps_the_old_codes_and_is_told_until_it_is_mended() {
        let good = "vaccines,неизвестная,sputnik-light\n";
        let world = world(good).await;
        world.rows.lock().insert(UNSENDABLE, 1);
        world.pull().await;
        assert_eq!(refused(&world).await, 0);
        for broken in ["vaccines,неизвестная,sputnik-w\n", "vaccin"] {
            write(&world, &format!("{HEAD}{broken}"));
            pull_twice(&world).await;
            assert_eq!(refused(&world).await, 0);
            assert_eq!(open_surprises(&world).await, ["codes-file"]);
        }
        fs::remove_file(world.folder.path().join("codes.csv")).expect("removed");
        pull_twice(&world).await;
        assert_eq!(open_surprises(&world).await, ["codes-file"]);
        write(&world, &format!("{HEAD}{good}"));
        pull_twice(&world).await;
        assert!(open_surprises(&world).await.is_empty());
    }

    #[tokio::test]
    async fn only_feeds_whose_codes_changed_are_read_from_their_beginning() {
        let world = world("").await;
        let source = &world.gateway.sources[0];
        let before = Feed::ALL.map(|feed| source.settings(feed));
        write(&world, &format!("{HEAD}results,x,ignore\n"));
        pull_twice(&world).await;
        let after = Feed::ALL.map(|feed| source.settings(feed));
        let differs = [0, 1, 2].map(|place| before[place] != after[place]);
        assert_eq!(differs, [false, true, false]);
    }
}
