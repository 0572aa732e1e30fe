//! Steps of the two gateways, each checked: send, receive the registry's receipts, sweep, compare.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clinic_gateway::config::LoadedConfig;
use clinic_gateway::gateway::Gateway;
use clinic_gateway::publish::publish_once;
use clinic_gateway::pull::{Counters, FeedFailure};
use clinic_gateway::receipts::{ReceiptCounts, ReceiptReceiver};
use clinic_gateway::requests::{Answer, perform};
use clinic_gateway::run::SourceRun;
use clinic_gateway::sync::{SyncOptions, sync};
use clinic_gateway::tokens::token_step;
use clock::{Clock, ManualClock};
use outbox::Request;
use tokio_util::sync::CancellationToken;

use crate::print;
use crate::stage::Stage;

/// Longest wait for the registry's answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gateway of one clinic, stopped: each step opens it and closes it again, as commands do.
pub(crate) struct Clinic {
    /// Short name of the clinic.
    pub name: &'static str,
    /// Name of its only source in the configuration.
    pub source: &'static str,
    /// Configuration of the gateway.
    pub loaded: LoadedConfig,
}

/// Counts of what one pass sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sent {
    /// Events: facts that are new or corrected, and withdrawals.
    pub events: u64,
    /// Batches they are in.
    pub batches: usize,
}

impl Clinic {
    async fn open(&self, stage: &Stage) -> Result<Gateway, String> {
        Gateway::open(&self.loaded, Arc::clone(&stage.clock), "sync")
            .await
            .map_err(|error| error.to_string())
    }

    /// Makes one pass: sends what is new or changed to the queue.
    pub(crate) async fn send(&self, stage: &Stage) -> Result<Sent, String> {
        let gateway = self.open(stage).await?;
        let counters = Counters::default();
        let report = sync(
            &gateway,
            &SyncOptions::default(),
            &CancellationToken::new(),
            &counters,
        )
        .await;
        gateway.close().await;
        let report = report.map_err(|error| error.to_string())?;
        if let Some((source, failure)) = report.failed.first() {
            return Err(format!("{}: source {source}: {}", self.name, failure.error));
        }
        if !report.is_complete() {
            let why = report.queue_error.unwrap_or_default();
            return Err(format!(
                "{}: {} batches wait: {why}",
                self.name, report.waiting
            ));
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let new = count(&counters.new);
        let corrected = count(&counters.corrected);
        // A cancelled row of which nothing was ever sent crosses as a withdrawal too.
        let withdrawn =
            count(&counters.withdrawn) + count(&counters.withdrawn_unsent) + count(&counters.swept);
        let resent = count(&counters.resent);
        print::line(format!(
            "  {}: {} read, {new} new, {corrected} corrected, {withdrawn} withdrawn, {resent} sent \
             again, {} unchanged, {} newly refused → {} sealed batches",
            self.name,
            count(&counters.read),
            count(&counters.unchanged),
            count(&counters.refused),
            report.delivered
        ));
        Ok(Sent {
            events: new + corrected + withdrawn + resent,
            batches: report.delivered,
        })
    }

    /// Makes one pass that ends with this code, at a key service or the token issuer: nothing may
    /// be sent, and nothing may wait in the outbox.
    pub(crate) async fn fail_to_send(&self, stage: &Stage, code: &str) -> Result<(), String> {
        let gateway = self.open(stage).await?;
        let counters = Counters::default();
        let pulled = pull_once(&gateway, &counters).await;
        let backlog = gateway.outbox.backlog().await;
        gateway.close().await;
        let Err(failure) = pulled else {
            return Err(format!(
                "{}: a pass ended, and {code} was expected",
                self.name
            ));
        };
        print::line(format!(
            "  {}: {}: {}",
            self.name,
            failure.code(),
            failure.error
        ));
        let waiting = backlog.map_err(|error| error.to_string())?.batches;
        if (failure.code(), counters.sent(), waiting) != (code, 0, 0) {
            return Err(format!(
                "{}: {code} was expected, and nothing sent",
                self.name
            ));
        }
        Ok(())
    }

    /// Lets the day pass at the gateway, which asks for its token of the day at a random moment,
    /// and sends a beacon that takes it along.
    pub(crate) async fn show_alive(&self, stage: &Stage) -> Result<Sent, String> {
        let clock = Arc::new(ManualClock::at(stage.clock.now()));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let gateway = Gateway::open(&self.loaded, shared, "sync").await;
        let gateway = gateway.map_err(|error| error.to_string())?;
        token_step(&gateway).await;
        let evening = clock.now().date_naive().and_hms_milli_opt(23, 59, 59, 999);
        clock.set(evening.ok_or("a day without an end")?.and_utc());
        let has_to_leave = token_step(&gateway).await;
        let published = publish_once(&gateway).await;
        gateway.close().await;
        let published = published.map_err(|error| error.to_string())?;
        if !has_to_leave || published.beacons == 0 {
            return Err(format!("{}: the gateway did not show itself", self.name));
        }
        print::line(format!(
            "  {}: the beacon took the token of the day along",
            self.name
        ));
        Ok(Sent {
            events: 0,
            batches: published.delivered + published.beacons,
        })
    }

    /// Hears the registry's receipts; all that was sent must be accepted, and nothing may be left
    /// waiting.
    pub(crate) async fn settle(&self, stage: &Stage, sent: Sent) -> Result<(), String> {
        let gateway = self.open(stage).await?;
        let heard = hear(&gateway).await;
        gateway.close().await;
        let ReceiptCounts {
            batches,
            accepted,
            refused,
            ..
        } = heard?;
        print::line(format!(
            "  {}: {batches} receipts, {accepted} events accepted, {refused} refused: no batch \
             waits any more",
            self.name
        ));
        if (batches, accepted, refused) != (sent.batches as u64, sent.events, 0) {
            return Err(format!(
                "{}: the receipts do not tell of what was sent: {sent:?}",
                self.name
            ));
        }
        Ok(())
    }

    /// Reads all keys of the clinic; what is gone there is withdrawn.
    pub(crate) async fn sweep(&self, stage: &Stage) -> Result<Sent, String> {
        let gateway = self.open(stage).await?;
        let request = Request::Sweep {
            source: self.source.to_owned(),
            contents: false,
        };
        let swept = perform(&gateway, request, PATIENCE, &CancellationToken::new()).await;
        let published = publish_once(&gateway).await;
        gateway.close().await;
        let swept = swept.map_err(|error| error.to_string())?;
        let published = published.map_err(|error| error.to_string())?;
        let Answer::Swept { feeds, .. } = swept else {
            return Err("a sweep was asked for".to_owned());
        };
        let withdrawn = feeds.iter().map(|feed| feed.withdrawn).sum();
        print::line(format!(
            "  {}: all keys read; looked for twice, {withdrawn} record is gone and withdrawn → {} \
             sealed batch",
            self.name, published.delivered
        ));
        Ok(Sent {
            events: withdrawn,
            batches: published.delivered,
        })
    }

    /// Asks the registry what it holds, without telling whose it is; it must hold what was sent.
    pub(crate) async fn reconcile(&self, stage: &mut Stage) -> Result<(), String> {
        let gateway = self.open(stage).await?;
        let report = compare(&gateway, stage).await;
        gateway.close().await;
        let Answer::Reconciled { report, .. } = report? else {
            return Err("a comparison was asked for".to_owned());
        };
        print::line(format!(
            "  {}: {} equal, {} missing, {} stale, {} extra, {} conflicting",
            self.name, report.equal, report.missing, report.stale, report.extra, report.conflicting
        ));
        if !report.finished || report.differing() > 0 || report.equal == 0 {
            return Err(format!(
                "{}: the registry does not hold what was sent",
                self.name
            ));
        }
        Ok(())
    }
}

/// Pulls every source once, without the retries that a command makes.
async fn pull_once(gateway: &Gateway, counters: &Counters) -> Result<(), FeedFailure> {
    let stop = CancellationToken::new();
    for source in &gateway.sources {
        let run = SourceRun {
            gateway,
            source,
            stop: &stop,
            counters,
        };
        run.scheduled().await?;
    }
    Ok(())
}

/// Hears receipts until no batch waits for one.
async fn hear(gateway: &Gateway) -> Result<ReceiptCounts, String> {
    let receipts = ReceiptReceiver::subscribe(gateway).map_err(|error| error.to_string())?;
    let mut receipts = receipts.ok_or("receipts are switched off")?;
    let mut heard = ReceiptCounts::default();
    let until = gateway.clock.elapsed() + PATIENCE;
    while gateway
        .outbox
        .backlog()
        .await
        .map_err(|error| error.to_string())?
        .awaiting_receipt_batches
        > 0
    {
        if gateway.clock.elapsed() > until {
            return Err("the registry's receipts did not come".to_owned());
        }
        let look = receipts
            .settle_once(gateway, Duration::from_millis(500))
            .await;
        heard.add(look.map_err(|error| error.to_string())?);
    }
    receipts.close().await;
    Ok(heard)
}

/// The gateway asks while the registry answers: here they share a process.
async fn compare(gateway: &Gateway, stage: &mut Stage) -> Result<Answer, String> {
    let relay = stage.relay.as_ref();
    let receipts = ReceiptReceiver::subscribe(gateway).map_err(|error| error.to_string())?;
    let mut receipts = receipts.ok_or("receipts are switched off")?;
    let stop = CancellationToken::new();
    let clock = Arc::clone(&stage.clock);
    let asking = perform(
        gateway,
        Request::Reconcile {
            source: None,
            repair: false,
        },
        PATIENCE,
        &stop,
    );
    let answering = async {
        loop {
            let published = publish_once(gateway).await;
            let published = published.map_err(|error| error.to_string())?;
            if let Some(relay) = relay {
                relay.note(published.delivered);
                relay.pass_on().await?;
            }
            stage
                .registry
                .consume_once(clock.now())
                .await
                .map_err(|error| error.to_string())?;
            let look = receipts
                .settle_once(gateway, Duration::from_millis(200))
                .await;
            look.map_err(|error| error.to_string())?;
        }
    };
    tokio::select! {
        answer = asking => answer.map_err(|error| error.to_string()),
        failed = answering => failed,
    }
}
