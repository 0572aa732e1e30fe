//! `clinic-gateway check`: connects to everything and says what is wrong, in layers, without changing anything.

use std::path::Path;

use clap::Args;
use clock::Clock;
use connector_kit::{CheckReport, Finding, Level};
use outbox::{OutboxError, OutboxReader};

use super::{Failure, out};
use crate::config::{self, LoadedConfig};
use crate::{daemon, gateway};

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Look at the file, keys and schedules only; ask no server.
    #[arg(long)]
    offline: bool,
}

/// A part that was looked at, and what was found.
struct Section {
    name: String,
    report: CheckReport,
}

pub(super) async fn check(arguments: &CheckArguments, path: &Path, clock: &dyn Clock) -> Result<(), Failure> {
    let loaded = config::load(path)?;
    let mut sections =
        vec![section("config", |report| report.good(format!("{} can be read", path.display())))];
    sections.push(outbox_section(&loaded).await);
    let sources = match gateway::build_sources(&loaded) {
        Ok(sources) => {
            sections.push(section("keys", |report| report.good("the key ring can be read")));
            sources
        }
        Err(error) => {
            sections.push(section("keys and sources", |report| {
                report.error(error.to_string(), "change it and check again")
            }));
            Vec::new()
        }
    };
    if !arguments.offline {
        sections.push(queue_section(&loaded).await);
    }
    for source in &sources {
        let mut report = if arguments.offline {
            CheckReport::default()
        } else {
            source.connector.check(clock.now()).await
        };
        match daemon::verify_schedule(&source.name, &source.schedule, loaded.config.time_zone.0) {
            Ok(()) => report.good("the schedule can be read"),
            Err(error) => report.error(error.to_string(), "or write { every-seconds = 60 }"),
        }
        sections.push(Section { name: format!("source {}", source.name), report });
    }
    if arguments.json {
        tell_json(&sections)
    } else {
        tell(&sections)
    }
    match sections.iter().map(|section| section.report.worst()).max() {
        Some(Level::Error) => Err(Failure::Change("the check found errors; see above".to_owned())),
        _ => Ok(()),
    }
}

fn section(name: &str, fill: impl FnOnce(&mut CheckReport)) -> Section {
    let mut report = CheckReport::default();
    fill(&mut report);
    Section { name: name.to_owned(), report }
}

async fn outbox_section(loaded: &LoadedConfig) -> Section {
    let path = loaded.base.join(&loaded.config.outbox.path);
    let opened = OutboxReader::open(&path).await;
    section("outbox", |report| match opened {
        Ok(_) => report.good(format!("{} can be read", path.display())),
        Err(OutboxError::Missing) => match std::fs::metadata(path.parent().unwrap_or(Path::new("."))) {
            Ok(folder) if folder.is_dir() => {
                report.good(format!("{} will be made at the first start", path.display()))
            }
            _ => report.error(
                format!("the folder of {} does not exist", path.display()),
                "make it, owned by the account the gateway runs under, mode 0700",
            ),
        },
        Err(error) => report.error(error.to_string(), "see above"),
    })
}

async fn queue_section(loaded: &LoadedConfig) -> Section {
    let result = broker::check(&loaded.config.queue, &loaded.base).await;
    section("queue", |report| match result {
        Ok(findings) => findings.into_iter().for_each(|finding| report.good(finding)),
        Err(broker::BrokerError::Misconfigured { what, help }) => report.error(what, help),
        Err(broker::BrokerError::Retry { what }) => {
            report.error(what, "start the broker, or mend queue.amqp.url; `run` would keep trying meanwhile");
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

fn tell(sections: &[Section]) {
    for section in sections {
        out::say(&section.name);
        for Finding { level, what, help } in &section.report.findings {
            out::say(format!("  {:<8} {what}", word(*level)));
            if let Some(help) = help {
                out::say(format!("  {:<8} → {help}", ""));
            }
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
