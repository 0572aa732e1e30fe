//! `clinic-gateway preview`: shows the next records as they would leave, without sending anything.

use chrono::{DateTime, Utc};
use clap::Args;
use clock::Clock;
use connector_kit::{Cursor, Feed, PageRequest, SourceError};
use outbox::OutboxReader;
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{counted, print_json, print_line, visible};
use pseudonym::{OptionalFields, Preview, PreviewVerdict, Pseudonymiser, fact_kind};
use serde::Serialize;

use super::arguments::{FeedArgument, require_source, unknown_name};
use super::classes::{ClassSummary, Classes};
use super::failure::of_source;
use super::outbox_file;
use super::release_text::{fields_text, precision_word};
use super::unknown::{Place, Tally, Values};
use crate::config::{LoadedConfig, OnRefusedCorrection};
use crate::gateway::StartError;
use crate::sources::Source;
use crate::{cursor, gateway};

/// Most pages that are read of a feed to count classes, whatever is in them.
const MAX_PAGES: u32 = 10_000;

#[derive(Debug, Args)]
pub(super) struct PreviewArguments {
    /// The source, as the configuration names it.
    source: String,
    /// Only this kind of fact.
    #[arg(long)]
    feed: Option<FeedArgument>,
    /// How many records of each kind.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    records: u32,
    /// From the oldest record on, not from where the last run ended.
    #[arg(long)]
    from_start: bool,
    /// Instead of records, show what the release policy makes of so many records of each kind, the
    /// oldest ones: what leaves, and in how large classes of facts that leave alike.
    #[arg(
        long,
        value_name = "RECORDS",
        conflicts_with_all = ["records", "from_start"],
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    release: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Previews of one feed's records.
pub(super) struct PreviewedFeed {
    pub feed: Feed,
    pub records: Vec<PreviewedRecord>,
    /// Values of these records that nobody has mapped.
    pub values: Values,
    /// Classes of the facts that leave of them.
    pub classes: Classes,
    /// Least number of persons of a class whose facts leave; `None` where one is enough.
    pub smallest_class: Option<u8>,
}

/// Effect of the release policy on one feed.
#[derive(Debug, Serialize)]
struct ReleaseEffect {
    feed: &'static str,
    /// Most exact form of its dates that leaves, the source's own policy included.
    dates: &'static str,
    optional_fields: OptionalFields,
    /// Least number of persons of a class whose facts leave; `None` where one is enough.
    smallest_class: Option<u8>,
    classes: ClassSummary,
}

impl ReleaseEffect {
    fn of(pseudonymiser: &Pseudonymiser, feed: Feed, classes: &Classes) -> Self {
        let kind = fact_kind(feed);
        let smallest_class = pseudonymiser.release().smallest_class(kind);
        Self {
            feed: feed.as_str(),
            dates: precision_word(pseudonymiser.precision(kind)),
            optional_fields: pseudonymiser.release().optional_fields(kind),
            smallest_class,
            classes: classes.summary(smallest_class),
        }
    }

    fn text(&self) -> String {
        format!(
            "{}: dates leave to the {}{}; {}",
            self.feed,
            self.dates,
            fields_text(&self.optional_fields),
            self.classes.text()
        )
    }
}

/// Record with its preview. Its id is shown so that a person here can find the row; it does not
/// leave.
pub(super) struct PreviewedRecord {
    pub record_id: String,
    pub preview: Preview,
}

pub(super) async fn preview(
    arguments: &PreviewArguments,
    loaded: &LoadedConfig,
    clock: &dyn Clock,
    counts: &mut Counts,
) -> Result<(), Failure> {
    require_source(loaded, &arguments.source)?;
    let sources = gateway::build_sources(loaded, &gateway::read_ring(loaded)?)?;
    let source = sources
        .iter()
        .find(|source| source.name == arguments.source)
        .expect("a source was built for every name in the configuration");
    let wanted = arguments.feed.map(Feed::from);
    let known = source.connector.feeds();
    if let Some(wanted) = wanted.filter(|wanted| !known.contains(wanted)) {
        let known = known.iter().map(|feed| feed.as_str());
        return Err(unknown_name("feed of this source", wanted.as_str(), known));
    }
    if let Some(most) = arguments.release {
        let feeds = known.into_iter();
        let feeds = feeds.filter(|feed| wanted.is_none_or(|wanted| wanted == *feed));
        return release_effect(source, feeds, most, arguments.json, clock.now()).await;
    }
    let mut feeds = Vec::new();
    for feed in known {
        if wanted.is_none_or(|wanted| wanted == feed) {
            feeds.push(preview_feed(arguments, loaded, source, feed, clock.now()).await?);
        }
    }
    let shown = feeds.iter().map(|previewed| previewed.records.len());
    counts.note_len("records", shown.sum());
    if arguments.json {
        let records: Vec<_> = feeds
            .iter()
            .flat_map(|previewed| &previewed.records)
            .map(|PreviewedRecord { record_id, preview }| {
                serde_json::json!({ "record_id_here": record_id, "outgoing": preview })
            })
            .collect();
        print_json(&records.into());
    } else {
        print_feeds(&feeds, source.on_refused_correction);
        for previewed in &feeds {
            let pseudonymiser = source.pseudonymiser();
            print_line(
                ReleaseEffect::of(&pseudonymiser, previewed.feed, &previewed.classes).text(),
            );
        }
        let sections = loaded.config.source[&source.name].sections();
        let place = Place {
            source: &source.name,
            kind: sections.first().map_or("", |section| section.name),
        };
        feeds
            .iter()
            .for_each(|previewed| print_values(&previewed.values, place));
    }
    Ok(())
}

async fn preview_feed(
    arguments: &PreviewArguments,
    loaded: &LoadedConfig,
    source: &Source,
    feed: Feed,
    now: DateTime<Utc>,
) -> Result<PreviewedFeed, Failure> {
    let after = if arguments.from_start {
        None
    } else {
        stored_cursor(loaded, source, feed).await?
    };
    let request = PageRequest {
        feed,
        // No look back: what the overlap window would bring again was shown, and sent, before.
        first_of_run: false,
        hinted: false,
        after,
        limit: arguments.records,
        now,
    };
    let page = source
        .connector
        .page(request)
        .await
        .map_err(|error| of_source(&error, format!("source {}: {error}", source.name)))?;
    let today = now.with_timezone(&source.time_zone).date_naive();
    let pseudonymiser = source.pseudonymiser();
    let mut tally = Tally::default();
    let seen = |record| pseudonymiser.unknown_value(record, today);
    let all_seen = page.records.iter().filter_map(seen);
    all_seen.for_each(|seen| tally.add(feed.as_str(), seen));
    let mut classes = Classes::default();
    for record in &page.records {
        classes.add(pseudonymiser.leaving(record, today));
    }
    let previewed = page.records.iter().map(|record| PreviewedRecord {
        record_id: record.record_id.clone(),
        preview: pseudonymiser.preview(record, today),
    });
    Ok(PreviewedFeed {
        feed,
        records: previewed.collect(),
        values: tally.values(),
        classes,
        smallest_class: pseudonymiser.release().smallest_class(fact_kind(feed)),
    })
}

/// Shows what leaves of each feed under the release policy, and the classes of as many of its
/// oldest records. No record is shown.
async fn release_effect(
    source: &Source,
    feeds: impl Iterator<Item = Feed>,
    most: u32,
    json: bool,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let pseudonymiser = source.pseudonymiser();
    let mut effects = Vec::new();
    for feed in feeds {
        let classes = count_classes(source, feed, most, now).await;
        let classes = classes
            .map_err(|error| of_source(&error, format!("source {}: {error}", source.name)))?;
        effects.push(ReleaseEffect::of(&pseudonymiser, feed, &classes));
    }
    if json {
        print_json(&serde_json::json!(effects));
    } else {
        effects.iter().for_each(|effect| print_line(effect.text()));
    }
    Ok(())
}

/// Counts the classes of the oldest records of a feed.
async fn count_classes(
    source: &Source,
    feed: Feed,
    most: u32,
    now: DateTime<Utc>,
) -> Result<Classes, SourceError> {
    let pseudonymiser = source.pseudonymiser();
    let today = now.with_timezone(&source.time_zone).date_naive();
    let mut classes = Classes::default();
    let mut after = None;
    let mut left = most;
    for _ in 0..MAX_PAGES {
        let request = PageRequest {
            after,
            ..PageRequest::first_records(feed, left.min(source.page_records), now)
        };
        let page = source.connector.page(request).await?;
        for record in &page.records {
            classes.add(pseudonymiser.leaving(record, today));
        }
        left = left.saturating_sub(u32::try_from(page.records.len()).unwrap_or(u32::MAX));
        after = page.next;
        if after.is_none() || left == 0 {
            break;
        }
    }
    Ok(classes)
}

/// Reads the position where the last run ended; `None` before the first run.
async fn stored_cursor(
    loaded: &LoadedConfig,
    source: &Source,
    feed: Feed,
) -> Result<Option<Cursor>, StartError> {
    match OutboxReader::open(&outbox_file::path(loaded)).await {
        Ok(reader) => {
            let stored = reader.cursor(&source.name, feed.as_str()).await?;
            Ok(cursor::read(&source.settings(feed), stored.as_deref()))
        }
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn print_feeds(feeds: &[PreviewedFeed], rule: OnRefusedCorrection) {
    if feeds.iter().any(|previewed| !previewed.records.is_empty()) {
        print_line("Ids are shown so that you find the records here; no id leaves.");
    }
    for PreviewedFeed {
        feed,
        records,
        smallest_class,
        ..
    } in feeds
    {
        if records.is_empty() {
            print_line(format!(
                "{feed}: nothing is waiting at the source; --from-start shows records that were \
                 read before"
            ));
        }
        for record in records {
            print_record(record, rule, *smallest_class);
        }
    }
}

/// Prints the values that nobody has mapped, with what to write for each.
fn print_values(values: &Values, place: Place<'_>) {
    values
        .shown
        .iter()
        .for_each(|shown| print_line(place.line(shown)));
    if !values.hidden.is_empty() {
        print_line(format!(
            "not known: {} long or rare, not shown; `clinic-gateway codes {} --read` \
             looks at more records",
            counted(values.hidden_values(), "value that is", "values that are"),
            place.source
        ));
    }
}

fn print_record(record: &PreviewedRecord, rule: OnRefusedCorrection, smallest_class: Option<u8>) {
    let PreviewedRecord { record_id, preview } = record;
    print_line(format!(
        "{} {}: {}",
        preview.kind,
        visible(record_id),
        verdict_text(&preview.verdict, rule, smallest_class)
    ));
    let stays = matches!(preview.verdict, PreviewVerdict::Refused(_));
    for field in &preview.fields {
        // Of a refused record nothing leaves, however well the rest of it could.
        let value = field.outgoing.as_deref().filter(|_| !stays).unwrap_or("—");
        let reason = field.reason.map(|reason| format!(" ({reason})"));
        print_line(format!(
            "    {:<24} {:<14} {value}{}",
            field.field,
            if stays {
                "stays"
            } else {
                field.treatment.as_str()
            },
            reason.unwrap_or_default()
        ));
    }
}

fn verdict_text(
    verdict: &PreviewVerdict,
    rule: OnRefusedCorrection,
    smallest_class: Option<u8>,
) -> String {
    match verdict {
        PreviewVerdict::Leaves => match smallest_class {
            None => "leaves".to_owned(),
            Some(persons) => {
                format!("leaves where facts of {persons} persons say the same, else is withheld")
            }
        },
        PreviewVerdict::Withdraws {
            only_if_sent: false,
        } => "is cancelled: its withdrawal leaves".to_owned(),
        PreviewVerdict::Withdraws { only_if_sent: true } => {
            "is no fact: stays here, or is withdrawn if it had been sent".to_owned()
        }
        PreviewVerdict::OutOfScope => {
            "does not leave: not about COVID-19; is withdrawn if it had been sent".to_owned()
        }
        PreviewVerdict::Refused(reason) => {
            let older = match rule {
                OnRefusedCorrection::Withdraw => "is withdrawn",
                OnRefusedCorrection::Keep => "is kept at the registry",
            };
            format!(
                "stays here, is refused: {} ({}) An older version, if it had been sent, {older}",
                reason.as_str(),
                reason.help()
            )
        }
    }
}
