//! `clinic-gateway check`: connects to everything and says what is wrong, in layers. It changes
//! nothing, but for making the queue where it is missing.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use clap::Args;
use clock::Clock;
use connector_kit::{CheckReport, Finding, Level, SourceError};
use outbox::{OutboxError, OutboxReader};
use pseudonym::KeyRing;

use super::{Failure, out};
use crate::config::{LoadedConfig, ReceiptsMode, Schedule, SourceConfig};
use crate::gateway::StartError;
use crate::sources::Source;
use crate::{daemon, gateway};

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Look at the files, keys and schedules only; ask no server.
    #[arg(long)]
    offline: bool,
}

/// A part that was looked at, and what was found.
struct Section {
    name: String,
    report: CheckReport,
}

pub(super) async fn check(
    arguments: &CheckArguments,
    path: &Path,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    let loaded = super::open(path)?;
    let mut sections = Vec::new();
    // A person sees each part as soon as it is known: a server that is away takes its time.
    let mut found = |section: Section| {
        if !arguments.json {
            tell(&section);
        }
        sections.push(section);
    };
    found(section("config", |report| {
        report.good(format!("{} can be read", path.display()));
        schedules(
            report,
            &loaded,
            &[(
                "reconcile.schedule".to_owned(),
                &loaded.config.reconcile.schedule,
            )],
        );
        if loaded.config.registry.receipts == ReceiptsMode::Off {
            report.warn(
                "receipts are off: what the registry refuses is not known here",
                "set receipts = \"required\" in [registry] if it sends receipts",
            );
        }
    }));
    found(outbox_section(&loaded).await);
    let ring = gateway::read_ring(&loaded);
    found(section("keys", |report| match &ring {
        Ok(ring) => ring
            .pseudonym_fingerprints()
            .iter()
            .for_each(|(epoch, fingerprint)| {
                report.good(format!(
                    "pseudonym key of epoch {epoch}, fingerprint {fingerprint}"
                ));
            }),
        Err(error) => bad_start(report, error),
    }));
    if !arguments.offline {
        found(queue_section(&loaded).await);
    }
    // A source can be looked at without the keys that its records will need.
    let ring = ring.unwrap_or_else(|_| KeyRing::generate());
    for (name, config) in &loaded.config.source {
        let mut report = CheckReport::default();
        source(
            &loaded,
            name,
            config,
            &ring,
            (!arguments.offline).then_some(clock),
            &mut report,
        )
        .await;
        found(Section {
            name: format!("source {name}"),
            report,
        });
    }
    if arguments.json {
        tell_json(&sections);
    }
    match sections.iter().map(|section| section.report.worst()).max() {
        Some(Level::Error) => Err(Failure::Change(
            "the check found errors; see above".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// `clock` is there when the source's system may be asked.
async fn source(
    loaded: &LoadedConfig,
    name: &str,
    config: &SourceConfig,
    ring: &KeyRing,
    clock: Option<&dyn Clock>,
    report: &mut CheckReport,
) {
    match (
        Source::new(
            name,
            config,
            &loaded.base,
            ring,
            loaded.config.keys.suite.into(),
        ),
        clock,
    ) {
        (Ok(source), Some(clock)) => *report = source.connector.check(clock.now()).await,
        (Ok(_), None) => report.good("the section can be read"),
        (Err(error), _) => bad_start(
            report,
            &StartError::Source {
                name: name.to_owned(),
                error,
            },
        ),
    }
    warn_of_arrivals(report, config);
    let key = format!("source.{name}");
    schedules(
        report,
        loaded,
        &[
            (format!("{key}.schedule"), &config.schedule),
            (format!("{key}.sweep.schedule"), &config.sweep.schedule),
        ],
    );
}

/// With `listen` the registry sees a fact when the clinic commits it (docs/privacy.md).
fn warn_of_arrivals(report: &mut CheckReport, config: &SourceConfig) {
    #[cfg(feature = "postgres")]
    if config
        .postgres
        .as_ref()
        .is_some_and(|postgres| postgres.listen.is_some())
    {
        report.warn(
            "listen is set: a fact reaches the registry within a second of its entry, often \
             alone, so that the moment of \
             its arrival may tell whose it is",
            "take listen out unless facts are needed at once; the schedule alone blurs the moment \
             to its interval \
             (docs/privacy.md)",
        );
    }
    #[cfg(not(feature = "postgres"))]
    let _: (&mut CheckReport, &SourceConfig) = (report, config);
}

fn schedules(report: &mut CheckReport, loaded: &LoadedConfig, all: &[(String, &Schedule)]) {
    for (key, schedule) in all {
        if let Err(error) = daemon::verify_schedule(key, schedule, loaded.config.time_zone.0) {
            report.error(
                error.to_string(),
                "or write { every-seconds = 60 }, or \"never\"",
            );
        }
    }
    if report.worst() < Level::Error {
        report.good(if all.len() == 1 {
            "the schedule can be read"
        } else {
            "the schedules can be read"
        });
    }
}

fn section(name: &str, fill: impl FnOnce(&mut CheckReport)) -> Section {
    let mut report = CheckReport::default();
    fill(&mut report);
    Section {
        name: name.to_owned(),
        report,
    }
}

/// An error whose own words say what to change.
fn bad(report: &mut CheckReport, error: &impl ToString) {
    report.findings.push(Finding {
        level: Level::Error,
        what: error.to_string(),
        help: None,
    });
}

fn bad_start(report: &mut CheckReport, error: &StartError) {
    match error {
        StartError::Source {
            error: SourceError::Misconfigured { what, help },
            ..
        } => report.error(what, help),
        error => bad(report, error),
    }
}

async fn outbox_section(loaded: &LoadedConfig) -> Section {
    let path = loaded.base.join(&loaded.config.outbox.path);
    let opened = OutboxReader::open(&path).await;
    let exists = opened.is_ok();
    section("outbox", |report| {
        match (opened.map(drop), unwritable(&path)) {
            (Err(error), _) if !matches!(error, OutboxError::Missing) => bad(report, &error),
            (_, Some((place, kind))) => report.error(
                format!(
                    "{} cannot be written: {}",
                    place.display(),
                    super::in_words(kind)
                ),
                "make the folder, mode 0700, owned by the account the gateway runs under; `check` \
             under that account",
            ),
            _ if exists => report.good(format!("{} can be read and written", path.display())),
            _ => report.good(format!(
                "{} will be made at the first start",
                path.display()
            )),
        }
    })
}

/// The first of the outbox's places that this account may not write to, and why.
fn unwritable(outbox: &Path) -> Option<(PathBuf, std::io::ErrorKind)> {
    let folder = match outbox.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let probe = folder.join(format!(".clinic-gateway-check-{}", std::process::id()));
    let made = OpenOptions::new().create_new(true).write(true).open(&probe);
    let refused = |place: &Path, error: std::io::Error| Some((place.to_owned(), error.kind()));
    if let Err(error) = made.and_then(|_| std::fs::remove_file(&probe)) {
        return refused(folder, error);
    }
    for suffix in ["", ".lock", ".generation"] {
        let mut file = outbox.as_os_str().to_owned();
        file.push(suffix);
        let file = PathBuf::from(file);
        match OpenOptions::new().append(true).open(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return refused(&file, error);
            }
            _ => {}
        }
    }
    None
}

async fn queue_section(loaded: &LoadedConfig) -> Section {
    let result = broker::check(&loaded.config.queue, &loaded.base).await;
    section("queue", |report| match result {
        Ok(findings) => findings
            .into_iter()
            .for_each(|finding| report.good(finding)),
        Err(broker::BrokerError::Misconfigured { what, help }) => report.error(what, help),
        Err(broker::BrokerError::Retry { what }) => {
            report.error(
                what,
                "start it, or mend the [queue] section; `run` would keep trying meanwhile",
            );
        }
    })
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::Good => "ok",
        Level::Warning => "warning",
        Level::Error => "ERROR",
    }
}

fn tell(section: &Section) {
    out::say(&section.name);
    for Finding { level, what, help } in &section.report.findings {
        out::say(format!("  {:<8} {what}", word(*level)));
        if let Some(help) = help {
            out::say(format!("  {:<8} → {help}", ""));
        }
    }
}

fn tell_json(sections: &[Section]) {
    let finding = |finding: &Finding| serde_json::json!({ "level": word(finding.level).to_lowercase(), "what": finding.what, "help": finding.help });
    let sections: Vec<_> = sections
        .iter()
        .map(|section| {
            let findings: Vec<_> = section.report.findings.iter().map(finding).collect();
            serde_json::json!({ "part": section.name, "findings": findings })
        })
        .collect();
    out::json(&sections.into());
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_listens_is_warned_of_what_arrivals_tell() {
        let warned = |listen: &str| {
            let text = format!(
                "[postgres]\nhost = \"db\"\ndatabase = \"mis\"\nuser = \"reader\"\n{listen}"
            );
            let config: SourceConfig = toml::from_str(&text).expect("a source's section");
            let mut report = CheckReport::default();
            warn_of_arrivals(&mut report, &config);
            report
                .findings
                .iter()
                .any(|it| it.level == Level::Warning && it.what.starts_with("listen is set"))
        };
        assert!(warned("listen = \"clinic_facts\"\n"));
        assert!(!warned(""));
    }
}
