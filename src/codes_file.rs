//! The codes file of a source: read at the start, and looked at again before each run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use pseudonym::{CodesFile, CodesFileError, MAX_CODES_FILE_BYTES, Policy, PolicyConfig};

use crate::gateway::Gateway;
use crate::sources::Source;
use crate::surprise;

/// A codes file, and what was last seen in its place.
#[derive(Debug)]
pub(crate) struct WatchedCodes {
    path: PathBuf,
    /// Policy of the configuration, which the file adds to.
    policy: PolicyConfig,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What holds.
    holds: Seen,
    /// What the last look saw, if that is something else.
    before: Option<Seen>,
    /// True from the start until somebody was told how the file is.
    is_new: bool,
}

/// A file as it was seen: its content, or why it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Content(Vec<u8>),
    Unreadable(String),
}

/// Result of a look.
enum Look {
    /// Nothing new, or nothing that two looks have seen yet.
    Same,
    /// The file is in order, as it was at the start.
    Good,
    /// The file has changed, and is in order.
    Changed(Box<(Policy, CodesFile)>),
    /// The file has changed, and cannot be used.
    Broken(CodesFileError),
}

impl WatchedCodes {
    /// Reads the file of a configuration.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn open(
        path: PathBuf,
        policy: &PolicyConfig,
    ) -> Result<(Self, Policy, CodesFile), CodesFileError> {
        let holds = see(&path);
        let (compiled, codes) = compile(&holds, policy)?;
        let state = State {
            holds,
            before: None,
            is_new: true,
        };
        let watched = Self {
            path,
            policy: policy.clone(),
            state: Mutex::new(state),
        };
        Ok((watched, compiled, codes))
    }

    /// Looks at the file. A content counts once two looks in a row have seen it: one that is being
    /// written would make codes unknown that are only not there yet.
    fn look(&self) -> Look {
        let seen = see(&self.path);
        let mut state = self.state.lock();
        let is_new = std::mem::take(&mut state.is_new);
        if seen == state.holds {
            state.before = None;
            return if is_new { Look::Good } else { Look::Same };
        }
        if state.before.as_ref() != Some(&seen) {
            state.before = Some(seen);
            return Look::Same;
        }
        let compiled = compile(&seen, &self.policy);
        state.holds = seen;
        state.before = None;
        match compiled {
            Ok(compiled) => Look::Changed(Box::new(compiled)),
            Err(error) => Look::Broken(error),
        }
    }
}

fn see(path: &Path) -> Seen {
    let most = MAX_CODES_FILE_BYTES as u64 + 1;
    match settings::read_regular_file(path, most) {
        Ok(content) => Seen::Content(content),
        Err(error) => Seen::Unreadable(error.to_string()),
    }
}

fn compile(seen: &Seen, policy: &PolicyConfig) -> Result<(Policy, CodesFile), CodesFileError> {
    match seen {
        Seen::Content(content) => {
            let codes = CodesFile::read(content)?;
            Ok((codes.policy(policy)?, codes))
        }
        Seen::Unreadable(why) => Err(CodesFileError {
            line: None,
            what: why.clone(),
        }),
    }
}

/// Looks at the source's codes file, if it has one, and lets a change of it count. The caller holds
/// the source's run lock, so that no run is under way. Every feed whose codes have changed is then
/// read from its beginning, for its cursor was made under others; so what was refused or ignored
/// is read again.
pub(crate) async fn refresh(gateway: &Gateway, source: &Source) {
    let Some(watched) = &source.codes_file else {
        return;
    };
    let looking = Arc::clone(watched);
    let Ok(look) = tokio::task::spawn_blocking(move || looking.look()).await else {
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
        let (name, code) = (&source.name, surprise::CODES_FILE);
        let ended = gateway
            .outbox
            .end_surprise(name, feed.as_str(), code, now)
            .await;
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

    use connector_kit::Feed;
    use outbox::DeadLetterFilter;

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
    async fn a_changed_file_counts_once_two_looks_have_seen_it() {
        let world = world("").await;
        world.rows.lock().insert(UNSENDABLE, 1);
        world.pull().await;
        assert_eq!(refused(&world).await, 1);
        write(
            &world,
            &format!("{HEAD}vaccines,неизвестная,sputnik-light\n"),
        );
        world.pull().await;
        assert_eq!(refused(&world).await, 1, "it may still be being written");
        world.pull().await;
        assert_eq!(refused(&world).await, 0, "the row was read again");
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
            world.pull().await;
            world.pull().await;
            assert_eq!(refused(&world).await, 0);
            assert_eq!(open_surprises(&world).await, ["codes-file"]);
        }
        fs::remove_file(world.folder.path().join("codes.csv")).expect("removed");
        world.pull().await;
        world.pull().await;
        assert_eq!(open_surprises(&world).await, ["codes-file"]);
        write(&world, &format!("{HEAD}{good}"));
        world.pull().await;
        world.pull().await;
        assert!(open_surprises(&world).await.is_empty());
    }

    #[tokio::test]
    async fn only_feeds_whose_codes_changed_are_read_from_their_beginning() {
        let world = world("").await;
        let source = &world.gateway.sources[0];
        let before = Feed::ALL.map(|feed| source.settings(feed));
        write(&world, &format!("{HEAD}results,x,ignore\n"));
        world.pull().await;
        world.pull().await;
        let after = Feed::ALL.map(|feed| source.settings(feed));
        let differs = [0, 1, 2].map(|place| before[place] != after[place]);
        assert_eq!(differs, [false, true, false]);
    }
}
