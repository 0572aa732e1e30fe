//! What is on its way over one connection, who waits for it, and what was confirmed when nobody
//! waited any more.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use contract::BatchId;

use super::link::{Message, Reply, Request};
use crate::BrokerError;

/// No further message is handed over while this many bytes wait for their confirm, so at most one
/// message more is on the way. At the default confirm timeout of 30 s an uplink of 300 kbit/s
/// empties it in time; several times what a faster one needs to be kept busy.
const MAX_IN_FLIGHT_BYTES: usize = 1024 * 1024;
/// Confirms remembered for callers that gave up. Callers come again soon; an older one costs a
/// duplicate.
const MAX_LATE: usize = 4096;

/// A message by its id and content: an id alone may be anything on a dead letter.
type Key = (BatchId, u64);

/// Confirms nobody was told of. Lives as long as the publisher, whatever becomes of its
/// connections.
#[derive(Debug, Default)]
pub(super) struct Late {
    hasher: RandomState,
    known: HashSet<Key>,
    /// The same, the oldest first.
    order: VecDeque<Key>,
}

impl Late {
    fn key(&self, message: &Message) -> Key {
        (
            message.id,
            self.hasher.hash_one((&message.bytes, &message.reason)),
        )
    }

    fn put(&mut self, key: Key) {
        if self.known.insert(key) {
            self.order.push_back(key);
        }
        if self.order.len() > MAX_LATE
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Each confirm answers one caller; publishing the same again later is a wish to have it sent
    /// again.
    fn take(&mut self, key: Key) -> bool {
        let known = self.known.remove(&key);
        if known {
            self.order.retain(|other| *other != key);
        }
        known
    }
}

/// A message handed to the connection and not confirmed.
#[derive(Debug)]
struct Open {
    key: Key,
    bytes: usize,
    /// The broker gave it back: no queue took it.
    returned: bool,
    replies: Vec<Reply>,
}

/// What is on its way over one connection.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    late: &'a mut Late,
    open: HashMap<u64, Open>,
    bytes: usize,
    next: u64,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(late: &'a mut Late) -> Self {
        Self {
            late,
            open: HashMap::new(),
            bytes: 0,
            next: 0,
        }
    }

    pub(super) fn has_room(&self, window: usize) -> bool {
        self.open.len() < window && self.bytes < MAX_IN_FLIGHT_BYTES
    }

    /// A message to send now, under its number; `None` when nobody waits for it, when it was
    /// confirmed after its caller had given up, and when it is on its way already: its next confirm
    /// answers this caller too.
    pub(super) fn admit(&mut self, request: Request) -> Option<(u64, Message)> {
        let Request {
            message,
            handed,
            reply,
        } = request;
        if reply.is_closed() {
            return None;
        }
        // The caller's time for the confirm begins; it may be gone, which the reply will tell.
        handed.send(()).ok();
        let key = self.late.key(&message);
        if self.late.take(key) {
            if reply.send(Ok(())).is_err() {
                self.late.put(key);
            }
            return None;
        }
        if let Some(open) = self.open.values_mut().find(|open| open.key == key) {
            open.replies.retain(|reply| !reply.is_closed());
            open.replies.push(reply);
            return None;
        }
        let number = self.next;
        let bytes = message.bytes.len();
        self.next += 1;
        self.bytes += bytes;
        self.open.insert(
            number,
            Open {
                key,
                bytes,
                returned: false,
                replies: vec![reply],
            },
        );
        Some((number, message))
    }

    /// Notes that the broker gave a message back. One that was settled before is nobody's any more.
    pub(super) fn came_back(&mut self, id: BatchId) {
        for open in self.open.values_mut().filter(|open| open.key.0 == id) {
            open.returned = true;
        }
    }

    /// Notes that some message came back, and nobody knows which.
    pub(super) fn all_came_back(&mut self) {
        self.open.values_mut().for_each(|open| open.returned = true);
    }

    /// Whether this very message came back.
    pub(super) fn is_returned(&self, number: u64) -> bool {
        self.open.get(&number).is_some_and(|open| open.returned)
    }

    /// Tells everyone who waits; a success that nobody hears is kept for the next who asks.
    pub(super) fn settle(&mut self, number: u64, outcome: &Result<(), BrokerError>) {
        let Some(Open {
            key,
            bytes,
            replies,
            ..
        }) = self.open.remove(&number)
        else {
            return;
        };
        self.bytes -= bytes;
        let heard = replies
            .into_iter()
            .filter_map(|reply| reply.send(outcome.clone()).ok())
            .count();
        if heard == 0 && outcome.is_ok() {
            self.late.put(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    type Outcome = oneshot::Receiver<Result<(), BrokerError>>;

    fn request(id: u8, bytes: &[u8]) -> (Request, Outcome) {
        let (handed, _) = oneshot::channel();
        let (reply, outcome) = oneshot::channel();
        let message = Message {
            id: BatchId([id; 16]),
            bytes: bytes.to_vec(),
            reason: None,
        };
        (
            Request {
                message,
                handed,
                reply,
            },
            outcome,
        )
    }

    #[test]
    fn a_confirm_nobody_heard_answers_the_next_caller_once() {
        let mut late = Late::default();
        let mut ledger = Ledger::new(&mut late);
        let (asked, outcome) = request(1, b"one");
        let (number, _) = ledger.admit(asked).unwrap();
        drop(outcome);
        ledger.settle(number, &Ok(()));
        // Another connection since.
        let mut ledger = Ledger::new(&mut late);
        let (other, _outcome) = request(1, b"other bytes under the same id");
        assert!(ledger.admit(other).is_some(), "that was never sent");
        let (again, mut outcome) = request(1, b"one");
        assert!(ledger.admit(again).is_none());
        assert_eq!(outcome.try_recv().unwrap(), Ok(()));
        let (anew, _outcome) = request(1, b"one");
        assert!(ledger.admit(anew).is_some());
    }

    #[test]
    fn a_failure_nobody_heard_and_a_success_somebody_heard_are_not_kept() {
        let mut late = Late::default();
        let mut ledger = Ledger::new(&mut late);
        for outcome in [Err(BrokerError::retry("nack")), Ok(())] {
            let (asked, heard) = request(1, b"one");
            let (number, _) = ledger.admit(asked).unwrap();
            let heard = outcome.is_ok().then_some(heard);
            ledger.settle(number, &outcome);
            drop(heard);
        }
        let (abandoned, outcome) = request(1, b"one");
        drop(outcome);
        assert!(
            ledger.admit(abandoned).is_none(),
            "nobody waits for this one"
        );
        let (asked, _outcome) = request(1, b"one");
        assert!(ledger.admit(asked).is_some());
    }

    #[test]
    fn who_asks_for_what_is_on_its_way_waits_for_that() {
        let mut late = Late::default();
        let mut ledger = Ledger::new(&mut late);
        let (first, outcome) = request(1, b"one");
        let (number, _) = ledger.admit(first).unwrap();
        drop(outcome);
        let (second, mut outcome) = request(1, b"one");
        assert!(ledger.admit(second).is_none(), "no second copy");
        ledger.settle(number, &Ok(()));
        assert_eq!(outcome.try_recv().unwrap(), Ok(()));
        assert!(late.known.is_empty() && late.order.is_empty());
    }

    #[test]
    fn bytes_in_flight_are_bounded_and_a_large_message_still_goes() {
        let mut late = Late::default();
        let mut ledger = Ledger::new(&mut late);
        let large = vec![0; 2 * MAX_IN_FLIGHT_BYTES];
        let (asked, _outcome) = request(1, &large);
        let (number, _) = ledger.admit(asked).unwrap();
        assert!(!ledger.has_room(64));
        ledger.settle(number, &Ok(()));
        assert!(ledger.has_room(64) && !ledger.has_room(0));
    }

    #[test]
    fn late_confirms_are_bounded() {
        let mut late = Late::default();
        for number in 0..=MAX_LATE as u64 {
            late.put((BatchId([0; 16]), number));
        }
        assert_eq!((late.known.len(), late.order.len()), (MAX_LATE, MAX_LATE));
        assert!(!late.take((BatchId([0; 16]), 0)) && late.take((BatchId([0; 16]), 1)));
    }
}
