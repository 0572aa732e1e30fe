//! `clinic-gateway check`: connects to everything and prints what is wrong, part by part. It
//! changes nothing, but for making the queue where it is missing.

mod forecast;
mod keys;
mod listen;
mod outbox;
mod queue;
mod release;
mod sample;
mod schedules;
mod section;
mod services;
mod source;
mod tokens;

use std::path::Path;

use clap::Args;
use clock::Clock;
use connector_kit::{CheckReport, Finding, Level, ZoneOrigin};
use key_client::KeyClient;
use program::terminal::print_json;
use program::{CheckLayout, Failure, check_json, print_check};
use pseudonym::KeyRing;

use self::section::Section;
use super::{audit, config_file};
use crate::config::{LoadedConfig, ReceiptsMode};
use crate::gateway::{self, StartError};

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Look at the files, keys and schedules only; ask no server.
    #[arg(long)]
    offline: bool,
}

pub(super) async fn check(
    arguments: &CheckArguments,
    path: &Path,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    let loaded = config_file::open(path)?;
    let mut printer = Printer {
        json: arguments.json,
        sections: Vec::new(),
    };
    printer.add(config_section(&loaded).await);
    let ring = gateway::read_ring(&loaded);
    let services = gateway::key_services(&loaded);
    printer.add(outbox::section(&loaded, ring.as_ref().ok(), &services).await);
    printer.add(keys::section(&loaded, &ring, &services));
    printer.add(release::section(&loaded, ring.as_ref().ok()).await);
    let mut ceiling = None;
    if let Some(checked) = services::check(&services, arguments.offline).await {
        printer.add(checked.section);
        ceiling = checked.ceiling;
    }
    if let Some(section) = tokens::section(&loaded, arguments.offline).await {
        printer.add(section);
    }
    if !arguments.offline {
        printer.add(queue::section(&loaded).await);
    }
    // A source can be looked at without the keys that its records will need.
    let ring = ring.unwrap_or_else(|_| KeyRing::generate());
    let clock = (!arguments.offline).then_some(clock);
    for (name, config) in &loaded.config.source {
        printer.add(source::section(&loaded, name, config, &ring, clock).await);
    }
    if let (Some(ceiling), Some(clock)) = (ceiling, clock)
        && let Some(section) = forecast::section(&loaded, &ring, ceiling, clock).await
    {
        printer.add(section);
    }
    printer.finish()
}

/// Key services as the configuration names them; `None` where it names none.
type ConfiguredServices = Result<Option<KeyClient>, StartError>;

/// Printer of the sections: as text as soon as each is known, since a server that is away takes its
/// time; as JSON all at the end.
struct Printer {
    json: bool,
    sections: Vec<Section>,
}

impl Printer {
    fn add(&mut self, section: Section) {
        if !self.json {
            print_check(CheckLayout::Headings, &section.name, &section.rows());
        }
        self.sections.push(section);
    }

    fn finish(self) -> Result<(), Failure> {
        if self.json {
            let sections: Vec<_> = self
                .sections
                .iter()
                .map(|section| check_json(&section.name, &section.rows()))
                .collect();
            print_json(&sections.into());
        }
        outcome(&self.sections)
    }
}

/// Returns what is wrong, if anything is: something to be changed, or nothing but what may be over
/// later.
fn outcome(sections: &[Section]) -> Result<(), Failure> {
    let findings = sections.iter().flat_map(|section| &section.report.findings);
    let errors: Vec<&Finding> = findings
        .filter(|finding| finding.level == Level::Error)
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    let may_pass = errors.iter().all(|error| error.may_pass);
    let found = if may_pass {
        "something does not answer now; see above"
    } else {
        "the check found errors; see above"
    };
    Err(Failure::by(may_pass, found))
}

/// Says in which zone "today" is told, and warns where nobody has written one.
fn tell_zone(report: &mut CheckReport, loaded: &LoadedConfig) {
    let zone = loaded.config.time_zone;
    if zone.origin() == ZoneOrigin::Assumed {
        report.warn(
            format!(
                "no time_zone is written: {} is assumed. In another zone instants would become \
                 dates a day early or late",
                zone.0.name()
            ),
            "write the clinic's zone at the top of the file, such as time_zone = \
             \"Asia/Yekaterinburg\"",
        );
    } else {
        report.good(format!("the clinic's time zone is {}", zone.0.name()));
    }
}

async fn config_section(loaded: &LoadedConfig) -> Section {
    let mut report = CheckReport::default();
    report.good(format!("{} can be read", loaded.path.display()));
    schedules::check(
        &mut report,
        loaded,
        &[(
            "reconcile.schedule".to_owned(),
            &loaded.config.reconcile.schedule,
        )],
    );
    tell_zone(&mut report, loaded);
    audit::check(&mut report, loaded);
    if let Some(listen) = &loaded.config.listen {
        listen::check(&mut report, listen, outbox::daemon_runs(loaded)).await;
    }
    if loaded.config.registry.receipts == ReceiptsMode::Off {
        report.warn(
            "receipts are off: what the registry refuses is not known here, and nobody notices when \
             an old copy of the state comes back",
            "set receipts = \"required\" in [registry] if it sends receipts",
        );
    }
    Section::new("config", report)
}
