//! The publishing task: keeps one connection up, publishes on it, and settles every message by its own confirm.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Event};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use tracing::{info, warn};

use super::link::{Condition, Message, Request, Target};
use super::session::Session;
use super::settings::Settings;
use super::topology;
use super::words::{self, Step};
use crate::{BrokerError, State};

const PERSISTENT: u8 = 2;
const CONTENT_TYPE: &str = "application/octet-stream";

type Reply = oneshot::Sender<Result<(), BrokerError>>;
type InFlight = FuturesUnordered<BoxFuture<'static, Sent>>;

/// A publish that came to its end.
struct Sent {
    id: String,
    reply: Reply,
    outcome: lapin::Result<Confirmation>,
}

/// Why work on a connection ended.
enum End {
    /// The publisher was closed or dropped.
    Closed,
    Lost(BrokerError),
}

/// Connects, publishes, and connects anew after a loss, until the last sender of requests is gone.
pub(super) async fn supervise(
    settings: Arc<Settings>,
    target: Target,
    mut requests: mpsc::Receiver<Request>,
    condition: Arc<watch::Sender<Condition>>,
) {
    let mut pauses = settings.pauses();
    loop {
        let mut work = Work { settings: &settings, target: &target, condition: &condition, confirmed: false };
        let end = work.serve(&mut requests).await;
        if work.confirmed {
            pauses = settings.pauses();
        }
        let last_error = match end {
            End::Closed => None,
            End::Lost(error) => {
                warn!(%error, "publishing is interrupted");
                Some(error)
            }
        };
        condition.send_replace(Condition { state: State::Down, last_error: last_error.clone() });
        let Some(error) = last_error else { return };
        while let Ok(request) = requests.try_recv() {
            drop(request.reply.send(Err(error.clone())));
        }
        if requests.is_closed() {
            return;
        }
        sleep(pauses.next().unwrap_or_default()).await;
    }
}

async fn connect(settings: &Settings) -> Result<Session, BrokerError> {
    let session = Session::open(settings).await?;
    let preparing = async {
        topology::ensure(&session.channel, settings).await?;
        session.channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(|error| {
            words::on_channel(&settings.place, Step::Publish(&settings.config.exchange), &error)
        })
    };
    match tokio::time::timeout(settings.connect_timeout(), preparing).await {
        Ok(Ok(())) => Ok(session),
        Ok(Err(error)) => {
            session.close().await;
            Err(error)
        }
        Err(_) => {
            session.abort();
            Err(BrokerError::retry(format!("{} fell silent", settings.place)))
        }
    }
}

/// The work on one connection.
struct Work<'a> {
    settings: &'a Settings,
    target: &'a Target,
    condition: &'a watch::Sender<Condition>,
    confirmed: bool,
}

impl Work<'_> {
    /// One connection, from its making to its end.
    async fn serve(&mut self, requests: &mut mpsc::Receiver<Request>) -> End {
        let session = match connect(self.settings).await {
            Ok(session) => session,
            Err(error) => return End::Lost(error),
        };
        info!(place = %self.settings.place, "connected for publishing");
        let mut in_flight = InFlight::new();
        let end = self.publish_all(&session, requests, &mut in_flight).await;
        match &end {
            End::Closed => session.close().await,
            End::Lost(error) => {
                // Told before the unconfirmed are dropped: their callers look here for the reason.
                self.condition
                    .send_replace(Condition { state: State::Down, last_error: Some(error.clone()) });
                session.abort();
            }
        }
        end
    }

    async fn publish_all(
        &mut self,
        session: &Session,
        requests: &mut mpsc::Receiver<Request>,
        in_flight: &mut InFlight,
    ) -> End {
        let window = self.settings.config.window.get().into();
        let mut events = pin!(session.connection.events_listener());
        let mut stalled = pin!(sleep(self.settings.confirm_timeout()));
        // An alarm may have been told before anyone listened.
        let mut blocked = session.connection.status().blocked();
        self.tell(blocked);
        loop {
            tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(_)) => {
                        blocked = true;
                        self.tell(blocked);
                    }
                    Some(Event::ConnectionUnblocked) => {
                        blocked = false;
                        self.tell(blocked);
                        stalled.set(sleep(self.settings.confirm_timeout()));
                    }
                    Some(Event::Error(error)) => return End::Lost(self.words(&error)),
                    Some(_) => {}
                    None => return End::Lost(self.gone()),
                },
                Some(first) = in_flight.next(), if !in_flight.is_empty() => {
                    stalled.set(sleep(self.settings.confirm_timeout()));
                    if let Err(error) = self.settle(first, in_flight) {
                        return End::Lost(error);
                    }
                }
                () = &mut stalled, if !in_flight.is_empty() && !blocked => return End::Lost(self.silent()),
                request = requests.recv(), if in_flight.len() < window && !blocked => match request {
                    Some(request) if request.reply.is_closed() => {}
                    Some(request) => {
                        if in_flight.is_empty() {
                            stalled.set(sleep(self.settings.confirm_timeout()));
                        }
                        in_flight.push(send(session.channel.clone(), self.target, request));
                    }
                    None => return End::Closed,
                },
            }
        }
    }

    /// Settles `first` together with everything else that is ready.
    ///
    /// lapin attaches a returned message to whichever confirm it completes next, not to the message's own. That
    /// confirm is completed no later than the own one, so it is among the ready ones, and ids tell which is which.
    fn settle(&mut self, first: Sent, in_flight: &mut InFlight) -> Result<(), BrokerError> {
        let mut done = vec![first];
        while let Some(Some(sent)) = in_flight.next().now_or_never() {
            done.push(sent);
        }
        let mut returned = HashSet::new();
        let mut unknown = false;
        for sent in &mut done {
            if let Ok(Confirmation::Ack(message) | Confirmation::Nack(message)) = &mut sent.outcome
                && let Some(message) = message.take()
            {
                match message.delivery.properties.message_id() {
                    Some(id) => drop(returned.insert(id.to_string())),
                    None => unknown = true,
                }
            }
        }
        let mut lost = Ok(());
        for sent in done {
            let outcome = match sent.outcome {
                Ok(Confirmation::Ack(_)) if unknown || returned.contains(&sent.id) => Err(self.unroutable()),
                Ok(Confirmation::Ack(_)) => {
                    self.confirmed = true;
                    Ok(())
                }
                Ok(_) => Err(self.refused()),
                Err(error) => {
                    lost = Err(self.words(&error));
                    lost.clone()
                }
            };
            // The caller may have stopped waiting.
            drop(sent.reply.send(outcome));
        }
        lost
    }

    fn tell(&self, blocked: bool) {
        let state = if blocked { State::Blocked } else { State::Connected };
        let changed = self.condition.send_replace(Condition { state, last_error: None }).state != state;
        match (changed, blocked) {
            (true, true) => {
                warn!(place = %self.settings.place, "the broker's memory or disk alarm blocks publishing")
            }
            (true, false) => info!(place = %self.settings.place, "the broker takes messages again"),
            (false, _) => {}
        }
    }

    fn words(&self, error: &lapin::Error) -> BrokerError {
        words::on_channel(&self.settings.place, Step::Publish(&self.target.exchange), error)
    }

    fn gone(&self) -> BrokerError {
        BrokerError::retry(format!("the connection to {} was lost", self.settings.place))
    }

    fn silent(&self) -> BrokerError {
        let seconds = self.settings.config.confirm_timeout_seconds;
        BrokerError::retry(format!("{} confirmed nothing for {seconds} s", self.settings.place))
    }

    fn refused(&self) -> BrokerError {
        BrokerError::retry(format!("{} could not store a batch (nack)", self.settings.place))
    }

    fn unroutable(&self) -> BrokerError {
        let Target { exchange, routing_key } = self.target;
        BrokerError::misconfigured(
            format!("the batch came back: no queue bound to the exchange {exchange} takes {routing_key}"),
            format!("bind the queue to it with the routing key {routing_key}, or set `declare = true`"),
        )
    }
}

fn send(channel: Channel, target: &Target, request: Request) -> BoxFuture<'static, Sent> {
    let Request { message: Message { id, bytes, reason }, reply } = request;
    let (exchange, key): (ShortString, ShortString) =
        (target.exchange.as_str().into(), target.routing_key.as_str().into());
    let id = id.to_hex();
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type(CONTENT_TYPE.into())
        .with_message_id(id.as_str().into());
    if let Some(reason) = reason {
        let mut headers = FieldTable::default();
        headers.insert("x-reason".into(), AMQPValue::LongString(reason.into()));
        properties = properties.with_headers(headers);
    }
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    async move {
        let outcome = match channel.basic_publish(exchange, key, options, &bytes, properties).await {
            Ok(confirm) => confirm.await,
            Err(error) => Err(error),
        };
        Sent { id, reply, outcome }
    }
    .boxed()
}
