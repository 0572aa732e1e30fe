//! A registry whose persons have two names of suite `voprf` and one fact each, kept as a database
//! and as a file that every measurement begins with a copy of.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use broker::{DirectoryConfig, QueueConfig};
use clock::Clock;
use contract::{
    Body, ContentDigest, Event, Fact, OwnerToken, PartialDate, PrivateKey, Pseudonym, RecordDigest,
    Scheme, Subject, Suite, TestCode, TestResult, Version, wire,
};
use oprf::{Element, Factor};
use registry::{
    ConsumeConfig, Keys, PostgresConfig, Reader, Registry, RekeyProgress, Rekeyed, Rekeying,
    SecondLayerKey, SqliteConfig, StoreConfig, TlsMode,
};
use secrecy::SecretString;
use testbed::postgres::Postgres;

use crate::error::Error;
use crate::limits::rewriting;

/// Names of a person.
pub(super) const NAMES: usize = 2;
/// Persons of a batch.
const BATCH: usize = 500;
/// Name of the database, and of the SQLite file, that copies are made of.
const FILLED: &str = "rekey-filled";
/// Name of the copy.
const COPY: &str = "rekey-copy";

/// Kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreKind {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// Times of a change of names.
pub(super) struct RekeyTimes {
    /// Time until every name was multiplied.
    pub multiplied: Duration,
    /// The whole time.
    pub whole: Duration,
}

/// The registry's keys, and its filled stores.
pub(super) struct City<'a> {
    server: &'a Postgres,
    folder: PathBuf,
    private: SecretString,
    second_layer: SecretString,
    names: usize,
}

impl<'a> City<'a> {
    /// Fills both stores with persons of these names.
    pub(super) async fn fill(
        server: &'a Postgres,
        folder: &Path,
        elements: &[Element],
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let city = Self {
            server,
            folder: folder.to_owned(),
            private: PrivateKey::generate().to_text(),
            second_layer: SecondLayerKey::generate().to_text(),
            names: elements.len(),
        };
        server.create_database(FILLED).await?;
        for kind in [StoreKind::Postgres, StoreKind::Sqlite] {
            city.fill_one(kind, elements, clock).await?;
        }
        Ok(city)
    }

    async fn fill_one(
        &self,
        kind: StoreKind,
        elements: &[Element],
        clock: &Arc<dyn Clock>,
    ) -> Result<(), Error> {
        let folder = tempfile::tempdir_in(&self.folder);
        let folder = folder.map_err(Error::io("make a queue's folder"))?;
        let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
        let publisher = broker::publisher(&queue, folder.path());
        let publisher = publisher.map_err(Error::wrong("a queue directory"))?;
        let key = self.private()?.public();
        let persons: Vec<&[Element]> = elements.chunks_exact(NAMES).collect();
        for (place, batch) in persons.chunks(BATCH).enumerate() {
            let events = (place * BATCH..).zip(batch);
            let events = events.map(|(number, names)| event(number, names));
            let events = events.collect::<Result<Vec<Event>, Error>>()?;
            let sealed = key.seal(&wire::encode(&events));
            let (sealed, _) = sealed.map_err(Error::wrong("a seal"))?;
            let published = publisher.publish(&sealed).await;
            published.map_err(Error::wrong("filling a queue directory"))?;
        }
        publisher.close().await;
        let reader = self.open(kind, FILLED).await?;
        let settings = ConsumeConfig::default();
        let registry = Registry::new(
            reader.clone(),
            &queue,
            settings,
            folder.path(),
            Arc::clone(clock),
        );
        let mut registry = registry.map_err(Error::wrong("a registry"))?;
        let (outcome, _) = registry.drain().await.map_err(Error::wrong("a registry"))?;
        registry.close().await;
        reader.close().await;
        if outcome.applied == persons.len() {
            return Ok(());
        }
        Err(Error::WrongResult(format!(
            "a registry has stored {} of {} facts",
            outcome.applied,
            persons.len()
        )))
    }

    /// Makes a fresh copy of the filled store.
    pub(super) async fn copy(&self, kind: StoreKind) -> Result<(), Error> {
        match kind {
            StoreKind::Postgres => {
                let drop = format!("DROP DATABASE IF EXISTS \"{COPY}\"");
                self.server.psql("postgres", &drop).await?;
                let make =
                    format!("CREATE DATABASE \"{COPY}\" TEMPLATE \"{FILLED}\" STRATEGY file_copy");
                self.server.psql("postgres", &make).await?;
                self.server.psql("postgres", "CHECKPOINT").await?;
            }
            StoreKind::Sqlite => {
                // Of a copy that was not closed, its log would be taken for the new one's.
                for ending in ["-wal", "-shm"] {
                    std::fs::remove_file(self.file(COPY).with_extension(format!("sqlite{ending}")))
                        .ok();
                }
                std::fs::copy(self.file(FILLED), self.file(COPY))
                    .map_err(Error::io("copy a registry's file"))?;
            }
        }
        Ok(())
    }

    /// Changes the names of the copy to those under a new key of the key services.
    pub(super) async fn rekey(
        &self,
        kind: StoreKind,
        clock: &dyn Clock,
    ) -> Result<RekeyTimes, Error> {
        let reader = self.open(kind, COPY).await?;
        let started = clock.elapsed();
        let mut multiplied = Duration::ZERO;
        let note = |progress| {
            if progress == RekeyProgress::Renaming {
                multiplied = clock.elapsed().saturating_sub(started);
            }
        };
        let done = reader.rekey(1, 2, clock.now(), note).await;
        let whole = clock.elapsed().saturating_sub(started);
        reader.close().await;
        let done = done.map_err(Error::wrong("a change of names"))?;
        if done == Rekeyed::Done(self.names as u64) {
            return Ok(RekeyTimes { multiplied, whole });
        }
        Err(Error::WrongResult(format!(
            "a change of {} names came to {done:?}",
            self.names
        )))
    }

    /// Rewrites the rows of the copy by bare statements.
    pub(super) async fn rewrite(
        &self,
        kind: StoreKind,
        clock: &dyn Clock,
    ) -> Result<Duration, Error> {
        match kind {
            StoreKind::Postgres => rewriting::in_postgres(&self.server.url(COPY), clock).await,
            StoreKind::Sqlite => rewriting::in_sqlite(&self.file(COPY), clock).await,
        }
    }

    /// Removes the databases and files.
    pub(super) async fn remove(self) -> Result<(), Error> {
        for name in [COPY, FILLED] {
            let drop = format!("DROP DATABASE IF EXISTS \"{name}\"");
            self.server.psql("postgres", &drop).await?;
            std::fs::remove_file(self.file(name)).map_err(Error::io("remove a registry's file"))?;
        }
        Ok(())
    }

    async fn open(&self, kind: StoreKind, name: &str) -> Result<Reader, Error> {
        let store = match kind {
            StoreKind::Postgres => StoreConfig::Postgres(Box::new(PostgresConfig {
                url: Some(self.server.url(name)),
                tls: Some(TlsMode::Off),
                ..PostgresConfig::default()
            })),
            StoreKind::Sqlite => StoreConfig::Sqlite(SqliteConfig {
                path: self.file(name),
            }),
        };
        let second_layer = SecondLayerKey::from_text(&self.second_layer);
        let second_layer = second_layer
            .ok_or_else(|| Error::WrongResult("the second layer's key is none".into()))?;
        let rekeying = Rekeying::new(&second_layer, 1, 2, &change());
        let keys = Keys::new(self.private()?, Vec::new(), second_layer)
            .with_open_epochs(vec![1, 2])
            .with_rekeyings(vec![rekeying]);
        let opened = Reader::open(&store, keys, &self.folder).await;
        opened.map_err(Error::wrong("a registry's store"))
    }

    fn private(&self) -> Result<PrivateKey, Error> {
        PrivateKey::from_text(&self.private).map_err(Error::wrong("the registry's key"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.sqlite"))
    }
}

/// Factor between the key services' keys.
pub(super) fn change() -> Factor {
    Factor::derive(b"change of the benchmark", &[7; 32])
}

/// Fact of a person with these names.
fn event(number: usize, names: &[Element]) -> Result<Event, Error> {
    let wrong = |what: &str| Error::WrongResult(format!("the benchmark's {what}"));
    let schemes = [Scheme::Snils, Scheme::Oms].into_iter().zip(names);
    let names = schemes.map(|(scheme, element)| Pseudonym {
        scheme,
        suite: Suite::Voprf,
        epoch: 1,
        value: element.to_bytes(),
    });
    let mut record = RecordDigest([9; 32]);
    record.0[..8].copy_from_slice(&number.to_be_bytes());
    Ok(Event {
        record,
        version: Version::new(1).ok_or_else(|| wrong("version"))?,
        content: ContentDigest([2; 16]),
        owner: OwnerToken([3; 16]),
        body: Body::Asserted {
            subject: Subject::new(names.collect()).ok_or_else(|| wrong("subject"))?,
            fact: Fact::Test {
                test: TestCode::RnaRespiratory,
                result: TestResult::NotDetected,
                occurred_on: PartialDate::from_month(2021, 6).ok_or_else(|| wrong("month"))?,
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use clock::SystemClock;

    use super::*;
    use crate::limits::multiplication;

    #[tokio::test]
    async fn copies_are_changed_and_rewritten_as_often_as_one_likes() {
        let server = Postgres::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let elements = multiplication::elements(40).unwrap();
        let city = City::fill(&server, folder.path(), &elements, &clock);
        let city = city.await.unwrap();
        for kind in [StoreKind::Postgres, StoreKind::Sqlite] {
            for _ in 0..2 {
                city.copy(kind).await.unwrap();
                let times = city.rekey(kind, &*clock).await.unwrap();
                assert!(times.multiplied > Duration::ZERO && times.multiplied < times.whole);
                city.copy(kind).await.unwrap();
                assert!(city.rewrite(kind, &*clock).await.unwrap() > Duration::ZERO);
            }
        }
        city.remove().await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
