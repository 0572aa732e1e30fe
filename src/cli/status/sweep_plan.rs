//! Schedule and pace of a source's sweeps, in words.

use chrono::{DateTime, Utc};
use outbox::Owner;
use program::terminal::counted;
use serde::Serialize;

use crate::config::{LoadedConfig, Schedule, SweepConfig};
use crate::daemon::next_due;

/// Schedule and pace of a source's sweeps, as configured.
#[derive(Debug, Serialize)]
pub(super) struct SweepPlan {
    /// Name of the source.
    pub(super) source: String,
    /// Time at which the next sweep is due; `None` if none is by schedule, or no daemon runs.
    pub(super) next_at: Option<DateTime<Utc>>,
    /// True if sweeps are due by a schedule.
    pub(super) scheduled: bool,
    /// Most rows a second; 0 for no limit.
    pub(super) rows_per_second: u32,
    /// Pause between two pages, in milliseconds.
    pub(super) pause_ms: u32,
    /// Zone in which `next_at` is shown.
    #[serde(skip)]
    pub(super) time_zone: chrono_tz::Tz,
}

impl SweepPlan {
    /// Plans of all sources that are configured. Without a running daemon no sweep is due.
    pub(super) fn of_all(
        loaded: &LoadedConfig,
        daemon: Option<&Owner>,
        now: DateTime<Utc>,
    ) -> Vec<Self> {
        let time_zone = loaded.config.time_zone.0;
        let began = daemon
            .filter(|owner| owner.command == "run")
            .map(|owner| owner.since.unwrap_or(now));
        let sources = loaded.config.source.iter();
        let plan = |(name, source): (&String, &crate::config::SourceConfig)| {
            let SweepConfig {
                schedule,
                rows_per_second,
                pause_ms,
                ..
            } = &source.sweep;
            Self {
                source: name.clone(),
                next_at: began.and_then(|began| next_due(schedule, time_zone, began, now)),
                scheduled: *schedule != Schedule::Never,
                rows_per_second: *rows_per_second,
                pause_ms: *pause_ms,
                time_zone,
            }
        };
        sources.map(plan).collect()
    }

    /// Words on when the next sweep is due.
    pub(super) fn next_text(&self) -> String {
        match self.next_at {
            Some(at) => {
                let at = at.with_timezone(&self.time_zone);
                format!("the next {} {}", at.format("%F %H:%M"), self.time_zone)
            }
            None if self.scheduled => "the next by schedule once the daemon runs".to_owned(),
            None => "none by schedule".to_owned(),
        }
    }

    /// Words on the pace; `None` where there is no limit.
    pub(super) fn pace_text(&self) -> Option<String> {
        let rate = (self.rows_per_second > 0).then(|| {
            format!(
                "at most {} a second",
                counted_rows(self.rows_per_second.into())
            )
        });
        let pause = (self.pause_ms > 0).then(|| format!("{} ms between two pages", self.pause_ms));
        let words: Vec<_> = rate.into_iter().chain(pause).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// Number of rows with its noun.
pub(super) fn counted_rows(rows: u64) -> String {
    counted(rows, "row", "rows")
}
