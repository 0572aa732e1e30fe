//! The worker of one source: one run at a time, and after a failure another try of its own with growing pauses.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::pull::{Counters, RunEnd};
use crate::run::run_source;
use crate::sources::Source;

/// First and longest pause between tries of a source that is away.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// Works until `stop`, or until the scheduler is gone.
pub async fn work(
    gateway: Arc<Gateway>,
    source: Arc<Source>,
    mut trigger: mpsc::Receiver<()>,
    stop: CancellationToken,
) {
    let mut pauses = pauses();
    let mut retry_in: Option<Duration> = None;
    loop {
        let again = async {
            match retry_in {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = again => {}
            tick = trigger.recv(), if retry_in.is_none() => if tick.is_none() { return },
        }
        let counters = Counters::default();
        match run_source(&gateway, &source, &stop, &counters).await {
            Ok(RunEnd::Stopped) => return,
            Ok(RunEnd::Complete) => {
                (pauses, retry_in) = (self::pauses(), None);
                metrics::gauge!("gateway_pull_last_success_timestamp_seconds", "source" => source.name.clone())
                    .set(seconds(gateway.clock.now()));
                report(&source, &counters);
            }
            Err(failure) => {
                // Something a person has to mend is looked at again as well: they may mend it at the clinic's side.
                let pause = pauses.next().unwrap_or(RETRY.1);
                retry_in = Some(failure.retry_after().unwrap_or_default().max(pause).min(RETRY.1));
            }
        }
    }
}

fn pauses() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(RETRY.0)
        .with_max_delay(RETRY.1)
        .with_jitter()
        .without_max_times()
        .build()
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; seconds since 1970 fit its 53 bits")]
fn seconds(moment: chrono::DateTime<chrono::Utc>) -> f64 {
    moment.timestamp() as f64
}

fn report(source: &Source, counters: &Counters) {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    let (new, corrected) = (count(&counters.new), count(&counters.corrected));
    let (withdrawn, refused) = (count(&counters.withdrawn), count(&counters.refused));
    if new + corrected + withdrawn + refused > 0 {
        tracing::info!(
            event = "pulled", source = %source.name, pulled = count(&counters.pulled), new, corrected, withdrawn, refused,
            "a source was pulled"
        );
    }
}
