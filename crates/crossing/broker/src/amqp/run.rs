//! The publishing task: keeps one connection up, publishes on it, and settles every message by its
//! own confirm.

use std::pin::pin;
use std::sync::Arc;

use contract::BatchId;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Event};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::{info, warn};

use super::ledger::{Late, Ledger};
use super::link::{Condition, Message, Request, Target, Traffic};
use super::session::Session;
use super::settings::{Frames, Settings};
use super::topology;
use super::words::{self, Step};
use crate::{BrokerError, State};

const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;
const CONTENT_TYPE: &str = "application/octet-stream";

type InFlight = FuturesUnordered<BoxFuture<'static, Sent>>;

/// A publish that came to its end.
struct Sent {
    number: u64,
    answer: lapin::Result<Answer>,
}

/// What the broker said to a publish.
struct Answer {
    acked: bool,
    /// A message that came back, not always the one that was asked about; `None` in it where it
    /// bears no id of ours.
    returned: Option<Option<BatchId>>,
}

impl From<Confirmation> for Answer {
    fn from(confirmation: Confirmation) -> Self {
        let (acked, returned) = match confirmation {
            Confirmation::Ack(returned) => (true, returned),
            Confirmation::Nack(returned) => (false, returned),
            Confirmation::NotRequested => (false, None),
        };
        let id = |id: &ShortString| BatchId::from_hex(id.as_str());
        let returned = returned.map(|message| {
            message
                .delivery
                .properties
                .message_id()
                .as_ref()
                .and_then(id)
        });
        Self { acked, returned }
    }
}

/// A publish that came to its end, in terms of its own.
struct Settled {
    number: u64,
    outcome: Result<(), BrokerError>,
    /// It brought the news that a message came back, its own or another.
    carried: bool,
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
    let mut late = Late::default();
    loop {
        let mut work = Work {
            settings: &settings,
            target: &target,
            condition: &condition,
            confirmed: false,
        };
        let end = work.serve(&mut requests, &mut late).await;
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
        condition.send_replace(Condition {
            state: State::Down,
            last_error: last_error.clone(),
        });
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

async fn connect(settings: &Settings, target: &Target) -> Result<Session, BrokerError> {
    let (session, ()) = Session::prepare(settings, Frames::Small, async |channel| {
        match target.kind {
            Traffic::Batches => topology::ensure(channel, settings).await.map(drop)?,
            Traffic::Receipts => topology::receipts(channel, settings).await?,
        }
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .map_err(|error| {
                words::on_channel(&settings.place, Step::Publish(&target.exchange), &error)
            })
    })
    .await?;
    Ok(session)
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
    async fn serve(&mut self, requests: &mut mpsc::Receiver<Request>, late: &mut Late) -> End {
        let session = match connect(self.settings, self.target).await {
            Ok(session) => session,
            Err(error) => return End::Lost(error),
        };
        info!(place = %self.settings.place, "connected for publishing");
        let mut ledger = Ledger::new(late);
        let end = self.publish_all(&session, requests, &mut ledger).await;
        match &end {
            End::Closed => session.close().await,
            End::Lost(error) => {
                // Told before the unconfirmed are dropped: their callers look here for the reason.
                self.condition.send_replace(Condition {
                    state: State::Down,
                    last_error: Some(error.clone()),
                });
                session.abort();
            }
        }
        end
    }

    async fn publish_all(
        &mut self,
        session: &Session,
        requests: &mut mpsc::Receiver<Request>,
        ledger: &mut Ledger<'_>,
    ) -> End {
        let mut in_flight = InFlight::new();
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
                    if let Err(error) = self.settle(first, &mut in_flight, ledger) {
                        return End::Lost(error);
                    }
                }
                () = &mut stalled, if !in_flight.is_empty() && !blocked => return End::Lost(self.silent()),
                request = requests.recv(), if ledger.has_room(window) && !blocked => match request {
                    Some(request) => if let Some((number, message)) = ledger.admit(request) {
                        if in_flight.is_empty() {
                            stalled.set(sleep(self.settings.confirm_timeout()));
                        }
                        in_flight.push(send(session.channel.clone(), self.target, number, message));
                    }
                    None => return End::Closed,
                },
            }
        }
    }

    /// Settles `first` together with everything else that is ready.
    ///
    /// lapin keeps returned messages in a line, and each confirm it completes takes the first of
    /// them along, be it the confirm's own or not. So the news of a message's return comes with an
    /// earlier confirm, its own, or, where its own brought the news of another, a later one. The
    /// ledger remembers the first; in the last case nobody can tell, and the message counts as
    /// failed: a duplicate does no harm, a false `Ok` loses it.
    fn settle(
        &mut self,
        first: Sent,
        in_flight: &mut InFlight,
        ledger: &mut Ledger<'_>,
    ) -> Result<(), BrokerError> {
        let mut lost = Ok(());
        let mut done = vec![self.read(first, ledger, &mut lost)];
        while let Some(Some(sent)) = in_flight.next().now_or_never() {
            done.push(self.read(sent, ledger, &mut lost));
        }
        for Settled {
            number,
            outcome,
            carried,
        } in done
        {
            let outcome = match outcome {
                Ok(()) if ledger.is_returned(number) => Err(self.unroutable()),
                Ok(()) if carried => Err(self.doubtful()),
                outcome => outcome,
            };
            self.confirmed |= outcome.is_ok();
            ledger.settle(number, &outcome);
        }
        lost
    }

    /// Takes the news out of an outcome; `lost` tells where it is the connection's end.
    fn read(
        &self,
        sent: Sent,
        ledger: &mut Ledger<'_>,
        lost: &mut Result<(), BrokerError>,
    ) -> Settled {
        let Sent { number, answer } = sent;
        let (outcome, returned) = match answer {
            Ok(Answer {
                acked: true,
                returned,
            }) => (Ok(()), returned),
            Ok(Answer {
                acked: false,
                returned,
            }) => (Err(self.refused()), returned),
            Err(error) => {
                *lost = Err(self.words(&error));
                (lost.clone(), None)
            }
        };
        match returned {
            Some(Some(id)) => ledger.came_back(id),
            Some(None) => ledger.all_came_back(),
            None => {}
        }
        Settled {
            number,
            outcome,
            carried: returned.is_some(),
        }
    }

    fn tell(&self, blocked: bool) {
        let state = if blocked {
            State::Blocked
        } else {
            State::Connected
        };
        let changed = self
            .condition
            .send_replace(Condition {
                state,
                last_error: None,
            })
            .state
            != state;
        match (changed, blocked) {
            (true, true) => {
                warn!(place = %self.settings.place, "the broker's memory or disk alarm blocks \
                    publishing")
            }
            (true, false) => info!(place = %self.settings.place, "the broker takes messages again"),
            (false, _) => {}
        }
    }

    fn words(&self, error: &lapin::Error) -> BrokerError {
        words::on_channel(
            &self.settings.place,
            Step::Publish(&self.target.exchange),
            error,
        )
    }

    fn gone(&self) -> BrokerError {
        BrokerError::retry(format!(
            "the connection to {} was lost",
            self.settings.place
        ))
    }

    fn silent(&self) -> BrokerError {
        let seconds = self.settings.config.confirm_timeout_seconds;
        BrokerError::retry(format!(
            "{} confirmed nothing for {seconds} s",
            self.settings.place
        ))
    }

    fn refused(&self) -> BrokerError {
        BrokerError::retry(format!(
            "{} could not store a message (nack)",
            self.settings.place
        ))
    }

    fn doubtful(&self) -> BrokerError {
        BrokerError::retry(format!(
            "{} gave batches back, and it cannot be told which",
            self.settings.place
        ))
    }

    fn unroutable(&self) -> BrokerError {
        let Target {
            exchange,
            routing_key,
            ..
        } = self.target;
        BrokerError::misconfigured(
            format!(
                "the batch came back: no queue bound to the exchange {exchange} takes {routing_key}"
            ),
            format!(
                "bind the queue to it with the routing key {routing_key}, or set `declare = true`"
            ),
        )
    }
}

fn send(
    channel: Channel,
    target: &Target,
    number: u64,
    message: Message,
) -> BoxFuture<'static, Sent> {
    let Message { id, bytes, reason } = message;
    let exchange: ShortString = target.exchange.as_str().into();
    let key: ShortString = target.routing_key.as_str().into();
    let mandatory = target.kind == Traffic::Batches;
    let id = id.to_hex();
    let mut properties = BasicProperties::default()
        .with_delivery_mode(if mandatory { PERSISTENT } else { TRANSIENT })
        .with_content_type(CONTENT_TYPE.into())
        .with_message_id(id.as_str().into());
    if let Some(reason) = reason {
        let mut headers = FieldTable::default();
        headers.insert(
            "x-reason".into(),
            AMQPValue::LongString(reason.as_bytes().into()),
        );
        properties = properties.with_headers(headers);
    }
    let options = BasicPublishOptions {
        mandatory,
        ..BasicPublishOptions::default()
    };
    async move {
        let answer = match channel
            .basic_publish(exchange, key, options, &bytes, properties)
            .await
        {
            Ok(confirm) => confirm.await.map(Answer::from),
            Err(error) => Err(error),
        };
        Sent { number, answer }
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use futures_util::future::ready;
    use tokio::sync::oneshot;

    use super::*;
    use crate::AmqpConfig;

    type Outcome = oneshot::Receiver<Result<(), BrokerError>>;

    fn admit(ledger: &mut Ledger<'_>, id: u8) -> (u64, Outcome) {
        let (handed, _) = oneshot::channel();
        let (reply, outcome) = oneshot::channel();
        let message = Message {
            id: BatchId([id; 16]),
            bytes: vec![id],
            reason: None,
        };
        (
            ledger
                .admit(Request {
                    message,
                    handed,
                    reply,
                })
                .unwrap()
                .0,
            outcome,
        )
    }

    fn acked(number: u64, returned: Option<u8>) -> Sent {
        let returned = returned.map(|id| Some(BatchId([id; 16])));
        Sent {
            number,
            answer: Ok(Answer {
                acked: true,
                returned,
            }),
        }
    }

    /// Settles groups of confirms, as they become ready together, of the messages 0, 1, 2; their
    /// outcomes.
    fn settle(groups: Vec<Vec<Sent>>) -> Vec<Result<(), BrokerError>> {
        let settings = Settings::new(&AmqpConfig::default(), Path::new(".")).unwrap();
        let target = Target::batches(&AmqpConfig::default());
        let condition = watch::Sender::new(Condition {
            state: State::Connected,
            last_error: None,
        });
        let mut work = Work {
            settings: &settings,
            target: &target,
            condition: &condition,
            confirmed: false,
        };
        let mut late = Late::default();
        let mut ledger = Ledger::new(&mut late);
        let outcomes: Vec<Outcome> = (0..3).map(|id| admit(&mut ledger, id).1).collect();
        for mut group in groups {
            let first = group.remove(0);
            let mut others: InFlight = group.into_iter().map(|sent| ready(sent).boxed()).collect();
            work.settle(first, &mut others, &mut ledger).unwrap();
        }
        outcomes
            .into_iter()
            .map(|mut outcome| outcome.try_recv().unwrap())
            .collect()
    }

    #[test]
    fn a_return_told_by_an_earlier_confirm_is_remembered() {
        // 0 was routed, and its confirm told that 2 was not; 2 is confirmed later, 1 in between.
        let outcomes = settle(vec![
            vec![acked(0, Some(2))],
            vec![acked(1, None)],
            vec![acked(2, None)],
        ]);
        assert!(
            outcomes[0].as_ref().is_err_and(BrokerError::is_retry),
            "it may have come back as well"
        );
        assert_eq!(outcomes[1], Ok(()));
        assert!(
            matches!(outcomes[2], Err(BrokerError::Misconfigured { .. })),
            "{outcomes:?}"
        );
    }

    #[test]
    fn a_return_told_by_a_later_confirm_was_never_an_ok() {
        // 2 and 0 came back; 0 is confirmed first and takes the news of 2 along, 2 that of 0.
        let outcomes = settle(vec![
            vec![acked(0, Some(2))],
            vec![acked(2, Some(0))],
            vec![acked(1, None)],
        ]);
        assert!(outcomes[0].is_err() && outcomes[2].is_err(), "{outcomes:?}");
        assert_eq!(outcomes[1], Ok(()));
    }

    #[test]
    fn returns_told_together_go_to_their_own() {
        let outcomes = settle(vec![vec![
            acked(2, Some(1)),
            acked(1, Some(2)),
            acked(0, None),
        ]]);
        assert_eq!(outcomes[0], Ok(()));
        for outcome in &outcomes[1..] {
            assert!(
                matches!(outcome, Err(BrokerError::Misconfigured { .. })),
                "{outcomes:?}"
            );
        }
    }
}
