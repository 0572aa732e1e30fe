//! Check of the release policy: what leaves, when, and what a change of it sends again.

use connector_kit::CheckReport;
use contract::{FactKind, PaddedSizes};
use outbox::OutboxReader;
use pseudonym::{DatePrecision, FactRelease, KeyRing};

use super::section::Section;
use crate::cli::outbox_file;
use crate::cli::release_text::{fields_text, precision_word};
use crate::cli::slots_text::{DummiesCost, forecast_text, rules_text};
use crate::config::LoadedConfig;
use crate::{cursor, gateway};

/// Says what leaves of each kind of fact, in which sizes and when, and which feeds are read again
/// since what leaves of them was decided by other settings.
pub(super) async fn section(loaded: &LoadedConfig, ring: Option<&KeyRing>) -> Section {
    let mut report = CheckReport::default();
    let release = &loaded.config.release;
    let facts = release.facts();
    report.good(format!("the preset is \"{}\"", release.preset.as_str()));
    for kind in FactKind::ALL {
        report.good(kind_text(&facts, kind));
    }
    tell_classes(&mut report, &facts);
    if facts.test != DatePrecision::Day {
        report.warn(
            "dates of tests do not leave to the day: hardly any pass can be made from a test",
            "write dates = \"day\" in [release.test], unless the city gives no pass for tests",
        );
    }
    if facts.vaccination.dates != DatePrecision::Day {
        report.warn(
            "dates of vaccinations do not leave to the day: a series of two doses entitles nobody, \
             since nobody can tell how many days lie between them",
            "write dates = \"day\" in [release.vaccination], unless the city knows better \
             (docs/privacy.md)",
        );
    }
    let sizes = release.padded_sizes();
    if let Ok(sizes) = sizes
        && sizes != PaddedSizes::ALL
    {
        report.good(format!("batches are padded to {} KiB", sizes_text(sizes)));
    }
    let reader = OutboxReader::open(&outbox_file::path(loaded)).await.ok();
    match release.slots() {
        Ok(Some(slots)) => {
            let waiting = match &reader {
                Some(reader) => reader.status().await.ok(),
                None => None,
            };
            let waiting = waiting.map_or(0, |status| status.backlog.batches);
            let forecast = forecast_text(slots, waiting);
            report.good(format!("{}; {forecast}", rules_text(slots)));
            if let (Some(cost), Ok(sizes)) = (DummiesCost::of(&loaded.config), sizes) {
                tell_dummies(&mut report, &cost, sizes);
            }
        }
        Ok(None) => report.good("batches leave at once"),
        // Refused with the file.
        Err(_) => {}
    }
    if let (Some(reader), Some(ring)) = (&reader, ring) {
        tell_changed(&mut report, loaded, reader, ring).await;
    }
    Section::new("release", report)
}

/// Says what leaves of a kind of fact.
fn kind_text(facts: &FactRelease, kind: FactKind) -> String {
    format!(
        "{}: dates leave to the {}, or coarser where a source says so{}",
        kind.as_str(),
        precision_word(facts.precision(kind)),
        fields_text(&facts.optional_fields(kind))
    )
}

/// Says which facts are withheld because they say what facts of few others say, and what that costs.
fn tell_classes(report: &mut CheckReport, facts: &FactRelease) {
    for kind in FactKind::ALL {
        let Some(persons) = facts.smallest_class(kind) else {
            continue;
        };
        report.good(format!(
            "{}: facts that leave alike are withheld as long as they are of fewer than {persons} \
             persons{}; `clinic-gateway preview SOURCE --release 10000` counts how many, \
             `clinic-gateway withheld` lists them",
            kind.as_str(),
            facts
                .coarsen_after_days(kind)
                .map_or_else(String::new, |days| format!(
                    ", and leave with a coarser date after {days} days if that makes them so many"
                ))
        ));
    }
    if facts.smallest_class(FactKind::Test).is_some() {
        report.warn(
            "tests are withheld by day, test and result: what waits three days for its class gives \
             no pass any more",
            "take smallest_class out of [release.test], unless many persons are tested here each \
             day",
        );
    }
}

/// Says what dummies cost, and what the sizes of batches tell all the same.
fn tell_dummies(report: &mut CheckReport, cost: &DummiesCost, sizes: PaddedSizes) {
    report.good(cost.text());
    if sizes.iter().nth(1).is_some() {
        report.warn(
            format!(
                "batches are padded to {} KiB, and dummies to the smallest size only: a larger \
                 batch shows that it is none",
                sizes_text(sizes)
            ),
            "write padding_kib = [256], and fewer batches_per_slot for the same cost",
        );
    }
}

fn sizes_text(sizes: PaddedSizes) -> String {
    let kib = sizes.iter().map(|bytes| (bytes >> 10).to_string());
    kib.collect::<Vec<_>>().join(" or ")
}

/// Tells feeds whose cursor was made under other settings. A cursor that cannot be read is told
/// with the outbox.
async fn tell_changed(
    report: &mut CheckReport,
    loaded: &LoadedConfig,
    reader: &OutboxReader,
    ring: &KeyRing,
) {
    let Ok(sources) = gateway::build_sources(loaded, ring) else {
        return;
    };
    for source in sources {
        for feed in source.connector.feeds() {
            let stored = reader.cursor(&source.name, feed.as_str()).await;
            let Ok(Some(stored)) = stored else { continue };
            if cursor::read(&source.settings(feed), Some(&stored)).is_none() {
                report.warn(
                    format!(
                        "source {}, {feed}: the settings that decide what leaves have changed \
                         since it was last read. It is read from its beginning, and every record \
                         of which something else leaves now is sent again, as a new version",
                        source.name
                    ),
                    "see with `clinic-gateway preview` what leaves now, before you start the \
                     gateway",
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use connector_kit::Level;

    use super::*;
    use crate::config::ReleaseConfig;
    use crate::testing::World;

    #[test]
    fn what_leaves_is_told_in_words() {
        let release: ReleaseConfig = serde_json::from_value(serde_json::json!({
            "preset": "strict"
        }))
        .expect("a section");
        let facts = release.facts();
        assert_eq!(
            FactKind::ALL.map(|kind| kind_text(&facts, kind)),
            [
                "vaccination: dates leave to the day, or coarser where a source says so; \
                 dose-number, series-doses stay",
                "test: dates leave to the day, or coarser where a source says so",
                "recovery: dates leave to the month, or coarser where a source says so; began-on \
                 stays",
            ]
        );
        let sizes = release.padded_sizes().expect("sizes");
        assert_eq!(sizes_text(sizes), "64 or 256");
    }

    #[tokio::test]
    async fn dummies_tell_their_cost_and_what_several_sizes_show() {
        let told = async |settings: &str| {
            let extra = format!("[release]\nslot_seconds = 900\n{settings}\n");
            let world = World::new(&extra, 0..0).await;
            let section = section(&world.loaded, None).await;
            let about_dummies = section
                .report
                .findings
                .into_iter()
                .filter(|finding| finding.what.contains("dummies"));
            about_dummies
                .map(|finding| (finding.level, finding.what))
                .collect::<Vec<_>>()
        };
        assert!(told("").await.is_empty());
        let one_size = told("dummies = true\nbatches_per_slot = 2\npadding_kib = [256]").await;
        let [(Level::Good, cost)] = &one_size[..] else {
            panic!("{one_size:?}")
        };
        assert!(cost.contains("192 dummies, 48 MiB"), "{cost}");
        let several = told("dummies = true\npadding_kib = [64, 256]").await;
        let [_, (Level::Warning, warned)] = &several[..] else {
            panic!("{several:?}")
        };
        assert!(warned.contains("padded to 64 or 256 KiB"), "{warned}");
    }

    #[tokio::test]
    async fn a_policy_that_was_changed_says_what_it_sends_again() {
        let mut world = World::new("", 0..3).await;
        // The source as the configuration has it: its settings are those of the tests' rows.
        world.pull().await;
        let ring = gateway::read_ring(&world.loaded).expect("a ring");
        let warned = async |world: &World| {
            let section = section(&world.loaded, Some(&ring)).await;
            let findings = section.report.findings.into_iter();
            findings.filter(|it| it.what.contains("sent again")).count()
        };
        assert_eq!(warned(&world).await, 0);
        world.loaded.config.release.recovery.fields = Some(Vec::new());
        assert_eq!(warned(&world).await, 0, "it has no recoveries");
        world.loaded.config.release.vaccination.dates = Some(DatePrecision::Month);
        assert_eq!(warned(&world).await, 1);
    }
}
