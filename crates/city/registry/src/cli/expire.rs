//! `city-registry expire`: facts that no pass can rest on any more expire; and the daily step of
//! `run` that does the same.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use clock::Clock;
use contract::FactKind;
use program::audit_log::Counts;
use program::terminal::{print_json, print_line};
use program::{Failure, Findings};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::config_file::LoadedConfig;
use crate::consume::count_expired;
use crate::{Expired, Keys, Reader, Retention, StoreError};

/// Pause between two looks whether a new day has begun, or whether a step that failed goes now.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

#[derive(Debug, Args)]
pub(super) struct ExpireArguments {
    /// Count what would expire, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

impl ExpireArguments {
    /// Words of the command in the audit log.
    pub(super) const fn audited(&self) -> &'static str {
        if self.dry_run {
            "expire --dry-run"
        } else {
            "expire"
        }
    }
}

pub(super) async fn expire(
    arguments: &ExpireArguments,
    loaded: &LoadedConfig,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let config = &loaded.config;
    let Some(retention) = &config.retention else {
        return Err(Failure::Change(
            "facts are kept for ever, as there is no [retention] in the configuration; \
             write the section to have them expire"
                .into(),
        ));
    };
    let retention = Retention::read(retention, config.passes.as_ref(), &loaded.base)?;
    let keys = Keys::read(&config.keys, &loaded.base)?;
    let mut reader = Reader::open(&config.store, keys, &loaded.base).await?;
    reader.store.set_rules(config.consume.link_rules());
    reader.keep_by(retention);
    let expired = reader.expire(arguments.dry_run, now).await;
    reader.close().await;
    let expired = expired?;
    counts.note_len("facts", expired.all());
    if arguments.json {
        print_json(&report_json(&expired, arguments.dry_run));
    } else {
        print_report(&expired, arguments.dry_run);
    }
    Ok(())
}

/// Reads the rules of the retention for `check`.
pub(super) fn check(loaded: &LoadedConfig, printer: &mut Findings) {
    let Some(retention) = &loaded.config.retention else {
        return printer.good(
            "retention",
            "facts are kept for ever, as there is no [retention]",
        );
    };
    match Retention::read(retention, loaded.config.passes.as_ref(), &loaded.base) {
        Ok(_) => printer.good(
            "retention",
            format!(
                "facts expire {} days after the last one on which a pass may rest on them",
                retention.extra_days
            ),
        ),
        Err(error) => printer.failed("retention", Failure::change(error)),
    }
}

fn print_report(expired: &Expired, is_dry_run: bool) {
    let done = if is_dry_run {
        "facts that would expire (nothing was changed)"
    } else {
        "facts that expired"
    };
    print_line(format!("{done}: {}", expired.all()));
    for kind in FactKind::ALL {
        let facts = expired.facts.get(&kind).copied().unwrap_or_default();
        print_line(format!("  {}: {facts}", kind.as_str()));
    }
    print_line(format!(
        "facts that no pass rests on, kept because their records link a person's names: {}",
        expired.kept_for_links
    ));
}

fn report_json(expired: &Expired, is_dry_run: bool) -> serde_json::Value {
    let facts = FactKind::ALL.map(|kind| {
        let facts = expired.facts.get(&kind).copied().unwrap_or_default();
        (kind.as_str().to_owned(), json!(facts))
    });
    json!({
        "dry_run": is_dry_run,
        "expired": facts.into_iter().collect::<serde_json::Map<_, _>>(),
        "kept_for_links": expired.kept_for_links,
    })
}

/// Expiry that is due once in each day of the city.
#[derive(Debug, Default)]
struct DailyExpiry {
    /// Last day on which everything that was due expired.
    done: Option<NaiveDate>,
}

impl DailyExpiry {
    /// Has facts expire where a day has begun since; returns what did, or `None` where nothing was
    /// due.
    async fn step(
        &mut self,
        reader: &Reader,
        now: DateTime<Utc>,
    ) -> Result<Option<Expired>, StoreError> {
        let today = reader.retention.as_ref().map(|one| one.today(now));
        if today.is_none() || self.done == today {
            return Ok(None);
        }
        let expired = reader.expire(false, now).await?;
        self.done = today;
        Ok(Some(expired))
    }
}

/// Has facts expire once a day until the program is asked to stop; a step that failed is repeated.
pub(super) async fn expiry_loop(reader: Reader, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let mut daily = DailyExpiry::default();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! { () = stop.cancelled() => return, _ = tick.tick() => {} }
        let stepped = tokio::select! {
            () = stop.cancelled() => return,
            stepped = daily.step(&reader, clock.now()) => stepped,
        };
        match stepped {
            Ok(None) => {}
            Ok(Some(expired)) => {
                count_expired(&expired);
                tracing::info!(
                    event = "facts-expired",
                    facts = expired.all(),
                    kept_for_links = expired.kept_for_links,
                    "facts that no pass can rest on any more have expired"
                );
            }
            Err(error) => tracing::warn!(
                event = "expiry-failed",
                %error,
                "facts that are due are kept until the next try"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use contract::PrivateKey;
    use eligibility::Rules;
    use linking::SecondLayerKey;

    use crate::{SqliteConfig, StoreConfig};

    #[tokio::test]
    async fn a_step_is_due_once_in_each_day_of_the_city() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::new(
            PrivateKey::generate(),
            Vec::new(),
            SecondLayerKey::generate(),
        );
        let store = StoreConfig::Sqlite(SqliteConfig {
            path: "r.sqlite".into(),
        });
        let mut reader = Reader::open(&store, keys, folder.path()).await.unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let mut daily = DailyExpiry::default();
        let step = daily.step(&reader, at("2022-03-01T12:00:00Z")).await;
        assert_eq!(step, Ok(None), "no retention is set");
        let rules = include_str!("../../../../../config/pass-rules.toml");
        let rules = Rules::parse(rules, Path::new("pass-rules.toml")).unwrap();
        reader.keep_by(Retention::new(rules, 0));
        let mut due = Vec::new();
        // The city's day begins at 21:00 of UTC.
        for moment in [
            "2022-03-01T20:58:00Z",
            "2022-03-01T20:59:00Z",
            "2022-03-01T21:00:00Z",
            "2022-03-02T12:00:00Z",
        ] {
            let step = daily.step(&reader, at(moment)).await.unwrap();
            due.push(step.is_some());
        }
        assert_eq!(due, [true, false, true, false]);
        reader.close().await;
    }
}
