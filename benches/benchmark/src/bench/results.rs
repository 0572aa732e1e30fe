//! Results of a part of the benchmark: named samples for each size of clinic, kept as JSON below
//! the target folder, and what the page shows of it beside the benchmarks, so that the page can be
//! composed anew on another machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::figures::Samples;
use crate::arguments::Part;
use crate::error::Error;
use crate::say;

/// Names of what is measured. Of a program, `peak`, `processor` and `written` stand beside its
/// rate.
pub(super) mod name {
    /// `COPY` out of the clinic, records a second.
    pub(crate) const COPY_OUT: &str = "copy-out";
    /// The bare loop of pages by key, decoded, records a second.
    pub(crate) const KEYSET: &str = "keyset";
    /// PostgreSQL's processor time for it, microseconds a record.
    pub(crate) const KEYSET_SERVER: &str = "keyset.server_us";
    /// Pseudonymising, encoding, compressing and sealing in memory, on one thread, records a
    /// second.
    pub(crate) const COMPUTE: &str = "compute";
    /// Rate that all processors give for reading at the server, computing and the broker, in
    /// records a second.
    pub(crate) const BOUND: &str = "bound";
    /// The same at MariaDB.
    pub(crate) const MARIADB_KEYSET: &str = "mariadb-keyset";
    /// Sealed batches into SQLite, records a second.
    pub(crate) const SQLITE: &str = "sqlite";
    /// Sealed batches to the broker, records a second.
    pub(crate) const PUBLISH: &str = "raw-publish";
    /// The broker's processor time for it, microseconds a record.
    pub(crate) const PUBLISH_SERVER: &str = "raw-publish.server_us";
    /// The same in seconds.
    pub(crate) const PUBLISH_SECONDS: &str = "raw-publish-seconds";
    /// Sealed batches from the broker, records a second.
    pub(crate) const CONSUME: &str = "raw-consume";
    /// The registry's rows by `COPY`, records a second.
    pub(crate) const COPY_IN: &str = "copy-in";
    /// Bytes PostgreSQL had the disk write for it, a record.
    pub(crate) const COPY_IN_WRITTEN: &str = "copy-in.written_bytes";
    /// The gateway's first `sync`, records a second.
    pub(crate) const GATEWAY: &str = "gateway";
    /// The same from MariaDB.
    pub(crate) const MARIADB_GATEWAY: &str = "mariadb-gateway";
    /// The registry, records a second.
    pub(crate) const REGISTRY: &str = "registry";
    /// Bytes PostgreSQL had the disk write for it, a record.
    pub(crate) const REGISTRY_WRITTEN: &str = "registry.server_written_bytes";
    /// Bytes RabbitMQ had the disk write while the gateway published, a record.
    pub(crate) const BROKER_WRITTEN: &str = "broker.written_bytes";
    /// Sealed batches.
    pub(crate) const BATCHES: &str = "batches";
    /// Sealed bytes, a record.
    pub(crate) const SEALED_BYTES: &str = "sealed-bytes";
    /// Bytes of the gateway's state without the sealed batches in it, a record.
    pub(crate) const STATE_BYTES: &str = "state-bytes";
    /// `sync` of an unchanged clinic, seconds.
    pub(crate) const AGAIN: &str = "again-seconds";
    /// `sync --full` of an unchanged clinic, records a second.
    pub(crate) const FULL: &str = "full";
    /// `sweep` of an unchanged clinic, records a second.
    pub(crate) const SWEEP: &str = "sweep";
    /// `reconcile` with a registry that holds everything, records a second.
    pub(crate) const RECONCILE: &str = "reconcile";
    /// `clinic-gateway run` with a filled state, until it is ready, seconds.
    pub(crate) const RESTART: &str = "restart-seconds";
    /// From a broker that is back to an empty outbox, seconds.
    pub(crate) const DRAIN: &str = "drain-seconds";
    /// fsync of 4 KiB, milliseconds.
    pub(crate) const FSYNC: &str = "fsync-ms";
    /// Writing a long file, megabytes a second.
    pub(crate) const WRITE: &str = "write-mb-s";

    /// Most memory held at once, MiB.
    pub(crate) fn peak(of: &str) -> String {
        format!("{of}.peak_mib")
    }

    /// Processor time a record, microseconds.
    pub(crate) fn processor(of: &str) -> String {
        format!("{of}.processor_us")
    }

    /// Bytes the program had the disk write, a record.
    pub(crate) fn written(of: &str) -> String {
        format!("{of}.written_bytes")
    }
}

/// Named samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Figures(BTreeMap<String, Samples>);

impl Figures {
    /// Adds a sample.
    pub(super) fn push(&mut self, name: &str, value: f64) {
        self.0.entry(name.to_owned()).or_default().push(value);
    }

    /// The samples of this name; none where it was not measured.
    pub(super) fn of(&self, name: &str) -> Samples {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

/// A table that a part hands over as text: for what is not measured by size of clinic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Table {
    /// Names of the columns.
    pub head: Vec<String>,
    /// Cells, row by row.
    pub rows: Vec<Vec<String>>,
}

/// Results of a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PartResult {
    /// Part that was measured.
    pub part: Part,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// Duration of the part in seconds.
    pub seconds: f64,
    /// Name and value of what the figures depend on.
    pub machine: Vec<(String, String)>,
    /// The settings it was run with.
    pub settings: Vec<(String, String)>,
    /// Failures, whose figures are missing.
    pub failures: Vec<String>,
    /// The disk's probes, all of this part.
    pub probes: Figures,
    /// Figures by number of records.
    pub sizes: BTreeMap<u64, Figures>,
    /// Figures that have no size.
    pub single: Figures,
    /// Texts beside the figures.
    pub table: Table,
}

impl PartResult {
    /// Makes results with nothing measured yet.
    pub(super) fn new(part: Part, began_at: DateTime<Utc>, machine: Vec<(String, String)>) -> Self {
        Self {
            part,
            began_at,
            seconds: 0.0,
            machine,
            settings: Vec::new(),
            failures: Vec::new(),
            probes: Figures::default(),
            sizes: BTreeMap::new(),
            single: Figures::default(),
            table: Table::default(),
        }
    }

    /// Notes a failure, and goes on.
    pub(super) fn fail(&mut self, what: &str, error: &Error) {
        let words = format!("{}, {what}: {error}", self.part);
        say::complain(&words);
        // A page has room for a sentence, not for a program's last lines.
        self.failures
            .push(words.lines().next().unwrap_or_default().to_owned());
    }

    /// Runs a measurement of clinics of this size; its failure is noted and costs only its own
    /// figures.
    pub(super) async fn step<T>(
        &mut self,
        records: u64,
        what: &str,
        work: impl AsyncFnOnce(&mut Figures) -> Result<T, Error>,
    ) -> Option<T> {
        say::progress(&format!("{}, {records} records: {what}", self.part));
        match work(self.sizes.entry(records).or_default()).await {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(&format!("{records} records, {what}"), &error);
                None
            }
        }
    }

    /// Writes it beside the earlier ones; where.
    pub(super) fn save(&self, folder: &Path) -> Result<PathBuf, Error> {
        let name = format!(
            "{}-{}.json",
            self.part,
            self.began_at.format("%Y%m%dT%H%M%SZ")
        );
        self.save_as(folder, &name)
    }

    fn save_as(&self, folder: &Path, name: &str) -> Result<PathBuf, Error> {
        fs::create_dir_all(folder).map_err(Error::io("make the folder of results"))?;
        let path = folder.join(name);
        let text = serde_json::to_vec_pretty(self).map_err(|error| {
            Error::WrongResult(format!("results cannot be written as JSON: {error}"))
        })?;
        fs::write(&path, text).map_err(Error::io("write results"))?;
        Ok(path)
    }
}

/// Where results are kept: `bench/` in the target folder this program was built into.
pub(super) fn folder() -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(Error::io("find this program's folder"))?;
    let target = own
        .ancestors()
        .nth(2)
        .unwrap_or_else(|| Path::new("target"));
    Ok(target.join("bench"))
}

/// Where the results are that the page shows, under version control as the page is.
pub(super) fn tracked() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../results")
}

/// Puts the results that the page shows where they are tracked, a file a part. One in which
/// something failed does not take the place of a whole one.
pub(super) fn track(shown: &[PartResult]) -> Result<(), Error> {
    let mut whole = shown.iter().filter(|result| result.failures.is_empty());
    whole.try_for_each(|result| {
        result
            .save_as(&tracked(), &format!("{}.json", result.part))
            .map(drop)
    })
}

/// The newest result of each part that has one in these folders.
pub(super) fn newest(folders: &[&Path]) -> Result<Vec<PartResult>, Error> {
    let mut newest = BTreeMap::<Part, PartResult>::new();
    for entry in folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
    {
        let path = entry.map_err(Error::io("list results"))?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read(&path).map_err(Error::io("read results"))?;
        let Ok(result) = serde_json::from_slice::<PartResult>(&text) else {
            say::complain(&format!(
                "{} is not a result of this version; left out",
                path.display()
            ));
            continue;
        };
        if newest
            .get(&result.part)
            .is_none_or(|other| other.began_at < result.began_at)
        {
            newest.insert(result.part, result);
        }
    }
    Ok(newest.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(part: Part, second: i64) -> PartResult {
        let mut result = PartResult::new(
            part,
            DateTime::from_timestamp(second, 0).unwrap(),
            vec![("a".into(), "b".into())],
        );
        result
            .sizes
            .entry(1000)
            .or_default()
            .push(name::KEYSET, second as f64);
        result
    }

    #[test]
    fn the_newest_of_each_part_is_read_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        for saved in [
            result(Part::Stages, 7),
            result(Part::Stages, 60),
            result(Part::Idle, 8),
        ] {
            saved.save(folder.path()).unwrap();
        }
        fs::write(folder.path().join("stages-older.json"), "{}").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let none = folder.path().join("none");
        assert_eq!(
            newest(&[&none, folder.path()]).unwrap(),
            [result(Part::Stages, 60), result(Part::Idle, 8)]
        );
        for saved in [result(Part::Stages, 59), result(Part::Idle, 9)] {
            saved
                .save_as(elsewhere.path(), &format!("{}.json", saved.part))
                .unwrap();
        }
        let newest_of_both = newest(&[folder.path(), elsewhere.path()]).unwrap();
        assert_eq!(
            newest_of_both,
            [result(Part::Stages, 60), result(Part::Idle, 9)]
        );
        assert_eq!(newest(&[&none]).unwrap(), []);
    }

    #[tokio::test]
    async fn a_failed_step_is_noted_and_the_others_go_on() {
        let mut result = result(Part::Growth, 1);
        let failing =
            async |_: &mut Figures| Err::<(), _>(Error::WrongResult("3 instead of 4\nmore".into()));
        assert_eq!(result.step(1000, "sync", failing).await, None);
        let going = async |figures: &mut Figures| {
            figures.push(name::SWEEP, 5.0);
            Ok(())
        };
        result.step(1000, "sweep", going).await.unwrap();
        assert_eq!(
            result.failures,
            ["growth, 1000 records, sync: the benchmark failed: 3 instead of 4"]
        );
        assert_eq!(result.sizes[&1000].of(name::SWEEP).median(), 5.0);
        // What is no number would make JSON that cannot be read again.
        result.single.push("x", f64::NAN);
        assert!(result.single.of("x").is_empty());
    }
}
