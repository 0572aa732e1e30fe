//! tokio-cron-scheduler as a trigger only: a tick puts a token into its source's queue of one, and is dropped when one
//! lies there already. So runs never overlap, pile up or get abandoned; the worker behind the queue does the work.

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, SystemClock};
use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

use crate::config::Schedule;
use crate::sources::Source;

/// A schedule that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// Not a cron expression.
    #[error(
        "source.{name}.schedule: not a cron expression of six fields (second minute hour day month weekday), for instance \"0 */5 * * * *\""
    )]
    Cron {
        /// The source.
        name: String,
    },
    /// The scheduler itself.
    #[error("the scheduler could not be started")]
    Scheduler,
}

/// A source's schedule and the near end of its queue.
struct Plan {
    name: String,
    schedule: Schedule,
    trigger: mpsc::Sender<()>,
}

/// The ticking of every source.
pub struct Ticking {
    plans: Vec<Plan>,
    time_zone: chrono_tz::Tz,
    clock: Arc<dyn Clock>,
}

/// How often the wall clock is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Reads every schedule; gives the ticking and, in the order of the sources, the far ends of their queues of one. Each
/// source is due at once.
pub fn plan(
    sources: &[Arc<Source>],
    time_zone: chrono_tz::Tz,
    clock: Arc<dyn Clock>,
) -> Result<(Ticking, Vec<mpsc::Receiver<()>>), ScheduleError> {
    let (mut plans, mut queues) = (Vec::new(), Vec::new());
    for source in sources {
        verify(&source.name, &source.schedule, time_zone)?;
        let (trigger, queue) = mpsc::channel(1);
        plans.push(Plan { name: source.name.clone(), schedule: source.schedule.clone(), trigger });
        queues.push(queue);
    }
    Ok((Ticking { plans, time_zone, clock }, queues))
}

impl Ticking {
    /// Ticks until `stop`. The scheduler remembers when it last fired by the wall clock and stands still for as long as
    /// that clock was set back, so it is begun anew when that happens.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            for plan in &self.plans {
                due(&plan.trigger);
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
        let scheduler = JobScheduler::new().await.map_err(|_| ScheduleError::Scheduler)?;
        for plan in &self.plans {
            let cron = || ScheduleError::Cron { name: plan.name.clone() };
            let job =
                job(&plan.schedule, self.time_zone, plan.trigger.clone(), &self.clock).map_err(|_| cron())?;
            scheduler.add(job).await.map_err(|_| ScheduleError::Scheduler)?;
        }
        scheduler.start().await.map_err(|_| ScheduleError::Scheduler)?;
        Ok(scheduler)
    }

    /// True when stopped; false when the wall clock went back, or after one look when `once`.
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

/// A period counted by the clock that never goes back, since the scheduler's own repeating job ends for ever after a
/// stall longer than its period.
#[derive(Debug)]
struct Period {
    every: Duration,
    last: Duration,
}

impl Period {
    /// Whether the period has passed; if so it begins anew.
    fn has_passed(&mut self, elapsed: Duration) -> bool {
        // A tick comes some milliseconds early or late; half a second keeps "every second" from skipping one.
        let passed = elapsed + Duration::from_millis(500) >= self.last + self.every;
        if passed {
            self.last = elapsed;
        }
        passed
    }
}

/// Full means a run is due already; closed means the worker has gone.
fn due(trigger: &mpsc::Sender<()>) {
    let _dropped_tick = trigger.try_send(());
}

/// Whether the scheduler can read it.
pub fn verify(name: &str, schedule: &Schedule, time_zone: chrono_tz::Tz) -> Result<(), ScheduleError> {
    let (trigger, _queue) = mpsc::channel(1);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    job(schedule, time_zone, trigger, &clock)
        .map(drop)
        .map_err(|_| ScheduleError::Cron { name: name.to_owned() })
}

fn job(
    schedule: &Schedule,
    time_zone: chrono_tz::Tz,
    trigger: mpsc::Sender<()>,
    clock: &Arc<dyn Clock>,
) -> Result<Job, JobSchedulerError> {
    match schedule {
        Schedule::EverySeconds(seconds) => {
            let clock = Arc::clone(clock);
            let mut period = Period { every: Duration::from_secs(*seconds), last: clock.elapsed() };
            Job::new("* * * * * *", move |_, _| {
                if period.has_passed(clock.elapsed()) {
                    due(&trigger);
                }
            })
        }
        Schedule::Cron(expression) => Job::new_async_tz(expression.as_str(), time_zone, move |_, _| {
            due(&trigger);
            Box::pin(std::future::ready(()))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_survives_a_stall_and_keeps_its_length() {
        let mut period = Period { every: Duration::from_secs(60), last: Duration::ZERO };
        assert!(!period.has_passed(Duration::from_secs(59)));
        assert!(period.has_passed(Duration::from_secs(60)));
        // The machine stood still for ten minutes: one run is due, and then one a minute again.
        assert!(period.has_passed(Duration::from_secs(660)));
        assert!(!period.has_passed(Duration::from_secs(661)));
        assert!(period.has_passed(Duration::from_secs(720)));
    }

    #[tokio::test]
    async fn what_is_no_cron_expression_is_told_with_the_source() {
        let wrong = Schedule::Cron("every monday".to_owned());
        let told = verify("mis", &wrong, chrono_tz::UTC).expect_err("this is no cron expression").to_string();
        assert!(told.contains("source.mis.schedule") && told.contains("*/5"), "{told}");
        assert!(verify("mis", &Schedule::Cron("0 0 3 * * *".to_owned()), chrono_tz::Europe::Moscow).is_ok());
    }
}
