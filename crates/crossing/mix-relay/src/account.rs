//! Receiver of one account: takes its batches, refuses what is none, acknowledges what has left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use broker::{Consumer, Delivery, Token};
use chrono::NaiveDate;
use contract::SealedBatch;
use telemetry::HealthPart;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::form::{Form, Refusal};
use crate::metrics;
use crate::mixer::{HeldBatch, Mixer};

/// Wait for messages in one go.
const WAIT: Duration = Duration::from_secs(1);
/// Number of messages that are taken at once.
const AT_ONCE: usize = 64;
/// Pause after an error, beside those that the connection makes itself.
const PAUSE: Duration = Duration::from_millis(200);

/// Receiver of one account.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) form: Arc<Form>,
    pub(crate) consumer: Box<dyn Consumer>,
    pub(crate) settled: UnboundedReceiver<Vec<Token>>,
    /// Messages that were refused. They are acknowledged at the end of a slot, so that an account
    /// is read no faster with junk than with batches.
    pub(crate) refused: Vec<Token>,
    /// Day on which a refusal of each kind was last logged: once a day is enough for any flood.
    pub(crate) logged: BTreeMap<Refusal, NaiveDate>,
    pub(crate) is_connected: bool,
    pub(crate) health: HealthPart,
}

/// Message that was read.
struct ReadMessage {
    outcome: Result<SealedBatch, Refusal>,
    /// Bytes of the message.
    length: u64,
    redelivered: bool,
    token: Token,
}

/// Event that woke the receiver.
enum Event {
    Settled(Vec<Token>),
    Received(Vec<Delivery>),
    Failed,
}

impl Receiver {
    /// Receives until `stop` is cancelled, then gives back what was not acknowledged.
    pub(crate) async fn run(mut self, mixer: Arc<Mixer>, stop: CancellationToken) {
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => break,
                event = self.event() => event,
            };
            // Not cut off by the stop: the messages of an acknowledgement that is given up come
            // again.
            self.handle(event, &mixer).await;
        }
        // What the last slot had confirmed meanwhile.
        while let Ok(tokens) = self.settled.try_recv() {
            self.acknowledge(tokens).await;
        }
        self.consumer.close().await;
    }

    /// Waits for messages or for the end of a slot. May be dropped while it waits.
    async fn event(&mut self) -> Event {
        tokio::select! {
            tokens = self.settled.recv() => Event::Settled(tokens.unwrap_or_default()),
            received = self.consumer.receive(AT_ONCE, WAIT) => match received {
                Ok(deliveries) => Event::Received(deliveries),
                Err(error) => {
                    debug!(account = self.name, error = %error, "an account cannot be read");
                    Event::Failed
                }
            },
        }
    }

    /// Does what an event asks for.
    async fn handle(&mut self, event: Event, mixer: &Mixer) {
        match event {
            Event::Settled(tokens) => {
                self.acknowledge(tokens).await;
                self.notice_link(mixer);
            }
            Event::Received(deliveries) => {
                self.notice_link(mixer);
                if self.is_connected {
                    self.take(deliveries, mixer).await;
                }
            }
            Event::Failed => {
                self.notice_link(mixer);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Drops what came over a connection that is lost: it comes again over the next one.
    fn notice_link(&mut self, mixer: &Mixer) {
        let was_connected = std::mem::replace(&mut self.is_connected, self.consumer.connected());
        if self.is_connected {
            self.health.set_ready();
            return;
        }
        let name = &self.name;
        self.health
            .set_unready(format!("the queue of the account {name} cannot be read"));
        if was_connected {
            mixer.pool.lock().forget(self.index);
            self.refused.clear();
            metrics::count_link_lost(name);
        }
    }

    async fn acknowledge(&mut self, mut tokens: Vec<Token>) {
        tokens.append(&mut self.refused);
        if tokens.is_empty() {
            return;
        }
        if let Err(error) = self.consumer.ack(tokens).await {
            warn!(
                event = "not-acknowledged",
                account = self.name,
                error = %error,
                "messages could not be acknowledged; they come again, which is harmless"
            );
        }
    }

    async fn take(&mut self, deliveries: Vec<Delivery>, mixer: &Mixer) {
        let today = mixer.clock.now().date_naive();
        let mut is_new = false;
        let mut surplus = Vec::new();
        for message in read(&self.form, deliveries).await {
            let token = message.token;
            let batch = match message.outcome {
                Ok(batch) => batch,
                Err(refusal) => {
                    self.refuse(refusal, message.length, today);
                    self.refused.push(token);
                    continue;
                }
            };
            // What comes again may have been sent days ago.
            is_new |= !message.redelivered;
            let held = HeldBatch {
                batch,
                token,
                is_laid_down: false,
            };
            let now = mixer.clock.elapsed();
            if let Err(held) = mixer.pool.lock().add(self.index, held, now) {
                surplus.push(held.token);
            }
        }
        if !surplus.is_empty() {
            // Only a broker that hands out more than it was told to gets here.
            self.consumer.requeue(surplus).await.ok();
        }
        if is_new && mixer.heard.note(&self.name, today) {
            mixer.save_days().await;
        }
    }

    fn refuse(&mut self, refusal: Refusal, bytes: u64, today: NaiveDate) {
        metrics::count_refused(&self.name, refusal);
        if self.logged.insert(refusal, today) == Some(today) {
            return;
        }
        warn!(
            event = "refused",
            account = self.name,
            reason = refusal.word(),
            bytes,
            "a message of this account is no batch that this relay takes, and is thrown away; more of \
             them today are counted only"
        );
    }
}

/// Reads messages on a thread for it: outer seals take milliseconds together, in which the runtime's
/// threads publish. Nothing where the runtime is going down: the messages come again.
async fn read(form: &Arc<Form>, deliveries: Vec<Delivery>) -> Vec<ReadMessage> {
    let form = Arc::clone(form);
    let read_one = move |mut delivery: Delivery| ReadMessage {
        length: delivery.cut_from.unwrap_or(delivery.bytes.len() as u64),
        outcome: form.read(&mut delivery.bytes, delivery.cut_from.is_none()),
        redelivered: delivery.redelivered,
        token: delivery.token,
    };
    let reading = spawn_blocking(move || deliveries.into_iter().map(read_one).collect());
    match reading.await {
        Ok(messages) => messages,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Vec::new(),
    }
}
