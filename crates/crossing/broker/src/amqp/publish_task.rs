//! The publishing task: keeps one connection up, publishes on it, and settles every message by its
//! own confirm.

use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::Event;
use lapin::options::ConfirmSelectOptions;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::{info, warn};

use super::confirm::{Confirm, FinishedPublish, Returned, publish};
use super::error_text::{self, ChannelStep};
use super::ledger::{LateConfirms, Ledger};
use super::link_log::LinkLog;
use super::message::{Destination, LinkStatus, PublishRequest, Traffic};
use super::session::BrokerSession;
use super::settings::AmqpSettings;
use super::size_limit::SizeLimit;
use super::topology;
use crate::{BrokerError, MAX_MESSAGE_BYTES, QueueState};

type InFlight = FuturesUnordered<BoxFuture<'static, FinishedPublish>>;

/// Outcome of a publish, before it is known whether the message came back.
struct PublishOutcome {
    number: u64,
    result: Result<(), BrokerError>,
    /// True if its confirm brought the news that a message came back, this one or another.
    brought_return: bool,
}

/// Reason for the end of the work on a connection.
enum ConnectionEnd {
    /// The publisher was closed or dropped.
    Closed,
    Lost(BrokerError),
}

/// Connects, publishes, and connects anew after a loss, until the last sender of requests is gone.
pub(super) async fn publish_until_closed(
    settings: Arc<AmqpSettings>,
    destination: Destination,
    mut requests: mpsc::Receiver<PublishRequest>,
    status: Arc<watch::Sender<LinkStatus>>,
    limit: Arc<SizeLimit>,
) {
    let mut pauses = settings.pauses();
    let mut late = LateConfirms::default();
    let mut log = LinkLog::default();
    loop {
        let mut connection = PublishingConnection {
            settings: &settings,
            destination: &destination,
            status: &status,
            log: &mut log,
            limit: &limit,
            confirmed: false,
        };
        let end = connection.serve(&mut requests, &mut late).await;
        if connection.confirmed {
            pauses = settings.pauses();
        }
        let last_error = match end {
            ConnectionEnd::Closed => None,
            ConnectionEnd::Lost(error) => {
                log.lost(&error, "publishing is interrupted");
                Some(error)
            }
        };
        status.send_replace(LinkStatus {
            state: QueueState::Down,
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

async fn connect(
    settings: &AmqpSettings,
    destination: &Destination,
) -> Result<BrokerSession, BrokerError> {
    let (session, ()) = BrokerSession::prepare(settings, MAX_MESSAGE_BYTES, async |channel| {
        match destination.traffic {
            Traffic::Batches => topology::ensure(channel, settings).await.map(drop)?,
            Traffic::Receipts => topology::receipts(channel, settings).await?,
        }
        let step = ChannelStep::Publish(&destination.exchange);
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .map_err(|error| error_text::on_channel(&settings.address, step, &error))
    })
    .await?;
    Ok(session)
}

/// A publishing connection, from its making to its end.
struct PublishingConnection<'a> {
    settings: &'a AmqpSettings,
    destination: &'a Destination,
    status: &'a watch::Sender<LinkStatus>,
    log: &'a mut LinkLog,
    /// Longest message of the broker, for those who publish.
    limit: &'a SizeLimit,
    /// True once the broker has confirmed a message.
    confirmed: bool,
}

impl PublishingConnection<'_> {
    async fn serve(
        &mut self,
        requests: &mut mpsc::Receiver<PublishRequest>,
        late: &mut LateConfirms,
    ) -> ConnectionEnd {
        let session = match connect(self.settings, self.destination).await {
            Ok(session) => session,
            Err(error) => return ConnectionEnd::Lost(error.into_connection_failure()),
        };
        self.log
            .connected(&self.settings.address, "connected for publishing");
        let mut ledger = Ledger::new(late);
        let end = self.publish_all(&session, requests, &mut ledger).await;
        match &end {
            ConnectionEnd::Closed => session.close().await,
            ConnectionEnd::Lost(error) => {
                // Set before the unconfirmed are dropped: their callers look here for the reason.
                self.status.send_replace(LinkStatus {
                    state: QueueState::Down,
                    last_error: Some(error.clone()),
                });
                session.abort();
            }
        }
        end
    }

    async fn publish_all(
        &mut self,
        session: &BrokerSession,
        requests: &mut mpsc::Receiver<PublishRequest>,
        ledger: &mut Ledger<'_>,
    ) -> ConnectionEnd {
        use ConnectionEnd::{Closed, Lost};
        let mut in_flight = InFlight::new();
        let window = self.settings.config.window.get().into();
        let mut events = pin!(session.connection.events_listener());
        let patience = || sleep(self.settings.confirm_timeout());
        let mut stalled = pin!(patience());
        // An alarm may have been raised before anyone listened.
        let mut blocked = session.connection.status().blocked();
        self.set_blocked(blocked);
        loop {
            tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(_)) => {
                        blocked = true;
                        self.set_blocked(blocked);
                    }
                    Some(Event::ConnectionUnblocked) => {
                        blocked = false;
                        self.set_blocked(blocked);
                        stalled.set(patience());
                    }
                    Some(Event::Error(error)) => return Lost(self.channel_error(&error)),
                    Some(_) => {}
                    None => return Lost(self.connection_lost()),
                },
                Some(first) = in_flight.next(), if !in_flight.is_empty() => {
                    stalled.set(patience());
                    if let Err(error) = self.settle(first, &mut in_flight, ledger) {
                        return Lost(error);
                    }
                }
                () = &mut stalled, if !in_flight.is_empty() && !blocked => {
                    return Lost(self.silent());
                }
                request = requests.recv(), if ledger.has_room(window) && !blocked => {
                    let Some(request) = request else { return Closed };
                    let Some((number, message)) = ledger.admit(request) else { continue };
                    if in_flight.is_empty() {
                        stalled.set(patience());
                    }
                    let channel = session.channel.clone();
                    in_flight.push(publish(channel, self.destination, number, message));
                },
            }
        }
    }

    /// Settles `first` together with every other publish that has ended.
    ///
    /// lapin keeps returned messages in a line, and each confirm it completes takes the first of
    /// them along, be it the confirm's own or not. So the news of a message's return comes with an
    /// earlier confirm, its own, or, where its own brought the news of another, a later one. The
    /// ledger remembers the first; in the last case nobody can tell, and the message counts as
    /// failed: a duplicate does no harm, a false `Ok` loses it.
    ///
    /// # Errors
    /// The connection was lost.
    fn settle(
        &mut self,
        first: FinishedPublish,
        in_flight: &mut InFlight,
        ledger: &mut Ledger<'_>,
    ) -> Result<(), BrokerError> {
        let mut connection = Ok(());
        let mut outcomes = vec![self.outcome(first, ledger, &mut connection)];
        while let Some(Some(finished)) = in_flight.next().now_or_never() {
            outcomes.push(self.outcome(finished, ledger, &mut connection));
        }
        for outcome in outcomes {
            let result = match outcome.result {
                Ok(()) if ledger.is_returned(outcome.number) => Err(self.unroutable()),
                Ok(()) if outcome.brought_return => Err(self.doubtful()),
                result => result,
            };
            self.confirmed |= result.is_ok();
            ledger.settle(outcome.number, &result);
        }
        connection
    }

    /// Reads a confirm: notes a returned message in the ledger, and a lost connection in
    /// `connection`.
    fn outcome(
        &self,
        finished: FinishedPublish,
        ledger: &mut Ledger<'_>,
        connection: &mut Result<(), BrokerError>,
    ) -> PublishOutcome {
        let FinishedPublish { number, confirm } = finished;
        let (result, returned) = match confirm {
            Ok(Confirm { acked, returned }) if acked => (Ok(()), returned),
            Ok(Confirm { returned, .. }) => (Err(self.refused()), returned),
            Err(error) => {
                *connection = Err(self.channel_error(&error));
                (connection.clone(), Returned::None)
            }
        };
        match returned {
            Returned::Message(id) => ledger.mark_returned(id),
            Returned::Unknown => ledger.mark_all_returned(),
            Returned::None => {}
        }
        PublishOutcome {
            number,
            result,
            brought_return: !matches!(returned, Returned::None),
        }
    }

    /// Publishes the connection's state, and logs when it changes.
    fn set_blocked(&self, blocked: bool) {
        let state = if blocked {
            QueueState::Blocked
        } else {
            QueueState::Connected
        };
        let before = self.status.send_replace(LinkStatus {
            state,
            last_error: None,
        });
        let broker = &self.settings.address;
        match (before.state, state) {
            (QueueState::Blocked, QueueState::Blocked) => {}
            (_, QueueState::Blocked) => {
                warn!(place = %broker, "the broker's memory or disk alarm blocks publishing");
            }
            // Not at every connection: only what was told to be blocked is told to be so no more.
            (QueueState::Blocked, _) => info!(place = %broker, "the broker takes messages again"),
            _ => {}
        }
    }

    /// Explains an error that ends the connection. What is known of the broker's limit goes with
    /// it, unless the error tells it: the next connection may be to a broker with another.
    fn channel_error(&self, error: &lapin::Error) -> BrokerError {
        match error_text::told_limit(error) {
            Some(limit) => self.limit.note(limit),
            None => self.limit.forget(),
        }
        let step = ChannelStep::Publish(&self.destination.exchange);
        error_text::on_channel(&self.settings.address, step, error).into_connection_failure()
    }

    fn connection_lost(&self) -> BrokerError {
        error_text::connection_lost(&self.settings.address).into_connection_failure()
    }

    fn silent(&self) -> BrokerError {
        let seconds = self.settings.config.confirm_timeout_seconds;
        BrokerError::retry(format!(
            "{} confirmed nothing for {seconds} s",
            self.settings.address
        ))
        .into_connection_failure()
    }

    fn refused(&self) -> BrokerError {
        BrokerError::retry(format!(
            "{} could not store a message (nack)",
            self.settings.address
        ))
    }

    fn doubtful(&self) -> BrokerError {
        BrokerError::retry(format!(
            "{} gave batches back, and it cannot be told which",
            self.settings.address
        ))
    }

    fn unroutable(&self) -> BrokerError {
        let Destination {
            exchange,
            routing_key: key,
            ..
        } = self.destination;
        BrokerError::misconfigured(
            format!("the batch came back: no queue bound to the exchange {exchange} takes {key}"),
            format!("bind the queue to it with the routing key {key}, or set `declare = true`"),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use contract::BatchId;
    use futures_util::future::ready;
    use tokio::sync::oneshot;

    use super::super::message::OutgoingMessage;
    use super::*;
    use crate::AmqpConfig;

    type Outcome = oneshot::Receiver<Result<(), BrokerError>>;

    fn admit(ledger: &mut Ledger<'_>, id: u8) -> (u64, Outcome) {
        let (handed_over, _) = oneshot::channel();
        let (reply, outcome) = oneshot::channel();
        let message = OutgoingMessage {
            id: BatchId([id; 16]),
            bytes: vec![id],
            reason: None,
        };
        let request = PublishRequest {
            message,
            handed_over,
            reply,
        };
        let (number, _) = ledger.admit(request).unwrap();
        (number, outcome)
    }

    fn acked(number: u64, returned: Option<u8>) -> FinishedPublish {
        let returned = returned.map_or(Returned::None, |id| Returned::Message(BatchId([id; 16])));
        FinishedPublish {
            number,
            confirm: Ok(Confirm {
                acked: true,
                returned,
            }),
        }
    }

    /// Settles groups of confirms, as they become ready together, of the messages 0, 1, 2; their
    /// outcomes.
    fn settle(groups: Vec<Vec<FinishedPublish>>) -> Vec<Result<(), BrokerError>> {
        let settings = AmqpSettings::new(&AmqpConfig::default(), Path::new(".")).unwrap();
        let destination = Destination::batches(&AmqpConfig::default());
        let limit = SizeLimit::default();
        let status = watch::Sender::new(LinkStatus {
            state: QueueState::Connected,
            last_error: None,
        });
        let mut connection = PublishingConnection {
            settings: &settings,
            destination: &destination,
            status: &status,
            log: &mut LinkLog::default(),
            limit: &limit,
            confirmed: false,
        };
        let mut late = LateConfirms::default();
        let mut ledger = Ledger::new(&mut late);
        let outcomes: Vec<Outcome> = (0..3).map(|id| admit(&mut ledger, id).1).collect();
        for mut group in groups {
            let first = group.remove(0);
            let mut others: InFlight = group.into_iter().map(|sent| ready(sent).boxed()).collect();
            connection.settle(first, &mut others, &mut ledger).unwrap();
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
