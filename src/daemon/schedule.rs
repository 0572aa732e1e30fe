//! Schedules, with tokio-cron-scheduler as a trigger only: a tick notifies a worker, which does the
//! work. Several ticks during a run make one run after it, so runs never overlap, pile up or get
//! abandoned.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clock::{Clock, SystemClock};
use croner::parser::{CronParser, Seconds};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

use crate::config::Schedule;

/// A schedule that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScheduleError {
    /// The text is no cron expression.
    #[error(
        "{key}: not a cron expression of six fields (second minute hour day month weekday), for \
         instance \"0 */5 * * * *\""
    )]
    Cron {
        /// Place of the schedule in the configuration.
        key: String,
    },
    /// The cron expression names no moment that comes, such as the 31st of February.
    #[error("{key}: this schedule is never due; no day is like this")]
    NeverDue {
        /// Place of the schedule in the configuration.
        key: String,
    },
    /// The scheduler itself failed.
    #[error("the scheduler could not be started")]
    Scheduler,
}

/// Action of a schedule; must not block.
pub(super) type Due = Arc<dyn Fn() + Send + Sync>;

/// Action with its schedule.
pub(super) struct ScheduledAction {
    /// Place of the schedule in the configuration.
    pub key: String,
    /// The schedule.
    pub schedule: Schedule,
    /// True if the action is due at the program's start as well.
    pub at_start: bool,
    /// The action.
    pub due: Due,
}

/// Scheduler of all actions.
pub(super) struct Scheduler {
    actions: Vec<ScheduledAction>,
    time_zone: chrono_tz::Tz,
    clock: Arc<dyn Clock>,
}

/// Interval between two looks at the wall clock.
const LOOK: Duration = Duration::from_secs(5);

impl Scheduler {
    /// Reads every schedule.
    ///
    /// # Errors
    /// [`ScheduleError::Cron`], [`ScheduleError::NeverDue`].
    pub(super) fn new(
        actions: Vec<ScheduledAction>,
        time_zone: chrono_tz::Tz,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ScheduleError> {
        for action in &actions {
            verify(&action.key, &action.schedule, time_zone)?;
        }
        Ok(Self {
            actions,
            time_zone,
            clock,
        })
    }

    /// Ticks until `stop`. The scheduler remembers when it last fired by the wall clock and stands
    /// still for as long as that clock was set back, so it is begun anew when that happens.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            for action in &self.actions {
                if action.at_start && action.schedule != Schedule::Never {
                    (action.due)();
                }
            }
            let scheduler = match self.begin().await {
                Ok(scheduler) => Some(scheduler),
                Err(error) => {
                    tracing::error!(event = "scheduler-failed", %error, "trying again");
                    None
                }
            };
            let stopped = self.until_set_back(scheduler.is_none(), &stop).await;
            if let Some(mut scheduler) = scheduler
                && scheduler.shutdown().await.is_err()
            {
                tracing::debug!(event = "scheduler-end", "the scheduler had ended before");
            }
            if stopped {
                return;
            }
        }
    }

    async fn begin(&self) -> Result<JobScheduler, ScheduleError> {
        let scheduler = JobScheduler::new()
            .await
            .map_err(|_| ScheduleError::Scheduler)?;
        for action in &self.actions {
            let due = Arc::clone(&action.due);
            let job = job(&action.schedule, self.time_zone, due, &self.clock);
            let job = job.map_err(|_| ScheduleError::Cron {
                key: action.key.clone(),
            })?;
            let Some(job) = job else { continue };
            scheduler
                .add(job)
                .await
                .map_err(|_| ScheduleError::Scheduler)?;
        }
        scheduler
            .start()
            .await
            .map_err(|_| ScheduleError::Scheduler)?;
        Ok(scheduler)
    }

    /// Watches the wall clock. Returns true when stopped; false when the clock went back, or after
    /// one look when `once`.
    async fn until_set_back(&self, once: bool, stop: &CancellationToken) -> bool {
        let mut last = self.clock.now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return true,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = self.clock.now();
            if now < last {
                let seconds = (last - now).num_seconds();
                tracing::warn!(
                    event = "clock-set-back",
                    seconds,
                    "the machine's clock went back; schedules begin anew"
                );
                return false;
            }
            if once {
                return false;
            }
            last = now;
        }
    }
}

/// Timer of a repeated action, counted by the clock that never goes back: the scheduler's own
/// repeating job ends for ever after a stall longer than its period.
#[derive(Debug)]
struct RepeatTimer {
    every: Duration,
    last: Duration,
}

impl RepeatTimer {
    /// Returns whether the period has passed; if so it begins anew.
    fn has_passed(&mut self, elapsed: Duration) -> bool {
        // A tick comes some milliseconds early or late; half a second keeps "every second" from
        // skipping one.
        let passed = elapsed + Duration::from_millis(500) >= self.last + self.every;
        if passed {
            self.last = elapsed;
        }
        passed
    }
}

/// Checks that the scheduler can read a schedule, and that it is due some day unless it says
/// "never". `key` is its place in the configuration.
pub(crate) fn verify(
    key: &str,
    schedule: &Schedule,
    time_zone: chrono_tz::Tz,
) -> Result<(), ScheduleError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let made = job(schedule, time_zone, Arc::new(|| {}), &clock);
    let made = made.map_err(|_| ScheduleError::Cron {
        key: key.to_owned(),
    })?;
    // The scheduler writes 0 for "at no time", and drops such a job in silence.
    let is_due = |mut job: Job| job.job_data().is_ok_and(|data| data.next_tick != 0);
    if made.is_none_or(is_due) {
        Ok(())
    } else {
        Err(ScheduleError::NeverDue {
            key: key.to_owned(),
        })
    }
}

/// Next moment after `now` at which a daemon that runs since `since` finds the schedule due; `None`
/// for one that is never due, or cannot be read.
pub(crate) fn next_due(
    schedule: &Schedule,
    time_zone: chrono_tz::Tz,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    match schedule {
        Schedule::Never => None,
        Schedule::EverySeconds(seconds) => {
            let every = i64::try_from(*seconds).ok().filter(|every| *every > 0)?;
            let passed = (now - since).num_seconds().max(0);
            Some(since + TimeDelta::seconds((passed / every + 1) * every))
        }
        Schedule::Cron(expression) => {
            // As the scheduler reads it.
            let parser = CronParser::builder()
                .seconds(Seconds::Required)
                .dom_and_dow(true)
                .build();
            let cron = parser.parse(expression).ok()?;
            let next = cron.find_next_occurrence(&now.with_timezone(&time_zone), false);
            next.ok().map(|next| next.with_timezone(&Utc))
        }
    }
}

/// Makes the scheduler's job of a schedule; `None` for one that is never due.
fn job(
    schedule: &Schedule,
    time_zone: chrono_tz::Tz,
    due: Due,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Job>, JobSchedulerError> {
    match schedule {
        Schedule::Never => Ok(None),
        Schedule::EverySeconds(seconds) => {
            let clock = Arc::clone(clock);
            let mut period = RepeatTimer {
                every: Duration::from_secs(*seconds),
                last: clock.elapsed(),
            };
            let job = Job::new("* * * * * *", move |_, _| {
                if period.has_passed(clock.elapsed()) {
                    due();
                }
            });
            job.map(Some)
        }
        Schedule::Cron(expression) => {
            let job = Job::new_async_tz(expression.as_str(), time_zone, move |_, _| {
                due();
                Box::pin(std::future::ready(()))
            });
            job.map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_survives_a_stall_and_keeps_its_length() {
        let mut period = RepeatTimer {
            every: Duration::from_secs(60),
            last: Duration::ZERO,
        };
        assert!(!period.has_passed(Duration::from_secs(59)));
        assert!(period.has_passed(Duration::from_secs(60)));
        // The machine stood still for ten minutes: one run is due, and then one a minute again.
        assert!(period.has_passed(Duration::from_secs(660)));
        assert!(!period.has_passed(Duration::from_secs(661)));
        assert!(period.has_passed(Duration::from_secs(720)));
    }

    #[tokio::test]
    async fn a_wrong_cron_expression_is_reported_with_its_place() {
        let wrong = Schedule::Cron("every monday".to_owned());
        let error = verify("source.mis.schedule", &wrong, chrono_tz::UTC)
            .expect_err("this is no cron expression")
            .to_string();
        assert!(
            error.contains("source.mis.schedule") && error.contains("*/5"),
            "{error}"
        );
        for right in [Schedule::Cron("0 0 3 * * *".to_owned()), Schedule::Never] {
            assert!(verify("source.mis.schedule", &right, chrono_tz::Europe::Moscow).is_ok());
        }
    }

    #[test]
    fn the_next_moment_is_told_in_the_schedules_own_zone() {
        let at = |text: &str| -> DateTime<Utc> { text.parse().expect("a moment") };
        let moscow = chrono_tz::Europe::Moscow;
        let now = at("2021-07-01T12:00:00Z");
        let since = at("2021-07-01T11:59:10Z");
        let due = |schedule: &Schedule, now| next_due(schedule, moscow, since, now);
        let nightly = Schedule::Cron("0 30 2 * * *".to_owned());
        assert_eq!(due(&nightly, now), Some(at("2021-07-01T23:30:00Z")));
        let night = at("2021-07-01T23:30:00Z");
        assert_eq!(due(&nightly, night), Some(at("2021-07-02T23:30:00Z")));
        let every = Schedule::EverySeconds(60);
        assert_eq!(due(&every, now), Some(at("2021-07-01T12:00:10Z")));
        assert_eq!(due(&Schedule::Never, now), None);
    }

    #[tokio::test]
    async fn a_schedule_that_is_never_due_is_refused_unless_it_says_so() {
        for (expression, is_due) in [
            ("0 0 4 31 2 *", false),
            ("0 0 4 29 2 *", true),
            ("0 0 4 31 4,6,9,11 *", false),
            ("0 0 4 31 * *", true),
        ] {
            let schedule = Schedule::Cron(expression.to_owned());
            let verified = verify("reconcile.schedule", &schedule, chrono_tz::Europe::Moscow);
            assert_eq!(verified.is_ok(), is_due, "{expression}");
            if let Err(error) = verified {
                let words = "reconcile.schedule: this schedule is never due";
                assert!(error.to_string().contains(words), "{error}");
            }
        }
    }
}
