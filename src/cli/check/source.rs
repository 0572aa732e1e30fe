//! Check of a source: its configuration, and its system where that may be asked.

use clock::Clock;
use connector_kit::{CheckReport, ZoneOrigin};
use pseudonym::KeyRing;

use super::section::{Section, add_start_error};
use super::{sample, schedules};
use crate::config::{LoadedConfig, SourceConfig};
use crate::gateway::StartError;
use crate::sources::Source;

/// Checks a source; without a clock, its system is not asked.
pub(super) async fn section(
    loaded: &LoadedConfig,
    name: &str,
    config: &SourceConfig,
    ring: &KeyRing,
    clock: Option<&dyn Clock>,
) -> Section {
    let mut report = CheckReport::default();
    let suites = loaded.config.keys.suites();
    let release = loaded.config.release.facts();
    let source = Source::new(name, config, &loaded.base, ring, suites, &release);
    match &source {
        Ok(source) => {
            match clock {
                Some(clock) => report = source.connector.check(clock.now()).await,
                None => report.good("the section can be read"),
            }
            tell_zone(&mut report, config);
        }
        Err(error) => add_start_error(
            &mut report,
            &StartError::Source {
                name: name.to_owned(),
                error: error.clone(),
            },
        ),
    }
    let in_slots = matches!(loaded.config.release.slots(), Ok(Some(_)));
    warn_of_arrivals(&mut report, config, in_slots);
    let key = format!("source.{name}");
    schedules::check(
        &mut report,
        loaded,
        &[
            (format!("{key}.schedule"), &config.schedule),
            (format!("{key}.sweep.schedule"), &config.sweep.schedule),
        ],
    );
    // Last, so that the section ends with what a person is to judge.
    if let (Ok(source), Some(clock)) = (&source, clock) {
        let kind = config.sections().first().map_or("", |section| section.name);
        sample::check(&mut report, source, kind, clock.now()).await;
    }
    Section::new(format!("source {name}"), report)
}

/// Says which zone counts for the source, and why.
fn tell_zone(report: &mut CheckReport, config: &SourceConfig) {
    let zone = config.time_zone();
    let why = match zone.origin() {
        ZoneOrigin::Written => "time_zone of this source",
        ZoneOrigin::Inherited => "time_zone at the top of the file",
        ZoneOrigin::Assumed => "assumed, since no time_zone is written",
    };
    report.good(format!(
        "instants become dates in {} ({why})",
        zone.0.name()
    ));
}

/// Warns of `listen`: the registry then sees a fact when the clinic commits it (docs/privacy.md),
/// unless batches leave in slots.
fn warn_of_arrivals(report: &mut CheckReport, config: &SourceConfig, in_slots: bool) {
    let mut sections = config.sections().into_iter();
    if !sections.any(|section| section.config.listens()) {
        return;
    }
    if in_slots {
        report.good("listen is set: a fact is read at once, and leaves in the next slot");
    } else {
        report.warn(
            "listen is set: a fact reaches the registry within a second of its entry, often \
             alone, so that the moment of its arrival may tell whose it is",
            "take listen out unless facts are needed at once; the schedule alone blurs the moment \
             to its interval, and slots in [release] to theirs (docs/privacy.md)",
        );
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use connector_kit::Level;

    use super::*;

    #[test]
    fn a_source_that_listens_is_warned_of_what_arrivals_tell() {
        let warned = |listen: &str, in_slots| {
            let text = format!(
                "[postgres]\nhost = \"db\"\ndatabase = \"mis\"\nuser = \"reader\"\n{listen}"
            );
            let config: SourceConfig = toml::from_str(&text).expect("a source's section");
            let mut report = CheckReport::default();
            warn_of_arrivals(&mut report, &config, in_slots);
            report
                .findings
                .iter()
                .any(|it| it.level == Level::Warning && it.what.starts_with("listen is set"))
        };
        assert!(warned("listen = \"clinic_facts\"\n", false));
        assert!(!warned("listen = \"clinic_facts\"\n", true));
        assert!(!warned("", false));
    }
}
