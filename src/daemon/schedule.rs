//! tokio-cron-scheduler as a trigger only: a tick puts a token into its source's queue of one, and is dropped when one
//! lies there already. So runs never overlap, pile up or get abandoned; the worker behind the queue does the work.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

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

/// The running scheduler, and one queue a source, in the order of the sources.
pub struct Triggers {
    /// Where the ticks arrive.
    pub queues: Vec<mpsc::Receiver<()>>,
    /// Ends the ticking.
    pub end: Scheduler,
}

/// The running scheduler.
pub struct Scheduler(JobScheduler);

impl Scheduler {
    /// No tick comes after this.
    pub async fn end(mut self) {
        if self.0.shutdown().await.is_err() {
            tracing::debug!(event = "scheduler-end", "the scheduler had ended before");
        }
    }
}

/// Starts the ticking; every source is also triggered once at the start.
pub async fn start(sources: &[Arc<Source>], time_zone: chrono_tz::Tz) -> Result<Triggers, ScheduleError> {
    let scheduler = JobScheduler::new().await.map_err(|_| ScheduleError::Scheduler)?;
    let mut queues = Vec::with_capacity(sources.len());
    for source in sources {
        let (trigger, queue) = mpsc::channel(1);
        let first = trigger.try_send(());
        debug_assert!(first.is_ok(), "a new queue of one has room for one");
        let job = job(&source.schedule, time_zone, trigger).map_err(|error| match error {
            JobSchedulerError::ParseSchedule => ScheduleError::Cron { name: source.name.clone() },
            _ => ScheduleError::Scheduler,
        })?;
        scheduler.add(job).await.map_err(|_| ScheduleError::Scheduler)?;
        queues.push(queue);
    }
    scheduler.start().await.map_err(|_| ScheduleError::Scheduler)?;
    Ok(Triggers { queues, end: Scheduler(scheduler) })
}

/// Whether the scheduler can read it; for `check`.
pub fn verify(name: &str, schedule: &Schedule, time_zone: chrono_tz::Tz) -> Result<(), ScheduleError> {
    let (trigger, _queue) = mpsc::channel(1);
    job(schedule, time_zone, trigger).map(drop).map_err(|_| ScheduleError::Cron { name: name.to_owned() })
}

fn job(
    schedule: &Schedule,
    time_zone: chrono_tz::Tz,
    trigger: mpsc::Sender<()>,
) -> Result<Job, JobSchedulerError> {
    let tick = move || {
        // Full means a run is due already; closed means the worker has gone.
        let _dropped_tick = trigger.try_send(());
    };
    match schedule {
        Schedule::EverySeconds(seconds) => {
            Job::new_repeated(Duration::from_secs(*seconds), move |_, _| tick())
        }
        Schedule::Cron(expression) => Job::new_async_tz(expression.as_str(), time_zone, move |_, _| {
            tick();
            Box::pin(std::future::ready(()))
        }),
    }
}
