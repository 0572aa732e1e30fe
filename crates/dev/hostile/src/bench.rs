//! Honest throughput beside hostile messages, as a share of what it is beside as many honest ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker::Publisher;
use clock::{Clock, SystemClock};
use contract::{PublicKey, Scheme, SealedBatch, wire};
use registry::{ConsumeStep, Registry};
use testbed::rabbitmq::raw::{RawClient, RawMessage, Refusal};
use tokio::task::JoinSet;

use crate::clinic::Clinic;
use crate::flood::{Flood, amqp};
use crate::people::{fact, name};
use crate::{City, Outcome, PASSWORD, Servers, now};

/// Events in an honest batch.
const EVENTS: u32 = 100;

/// Account of the honest clinics, and of the one whose messages are measured beside theirs.
const ACCOUNTS: [&str; 2] = ["gateway-1", "gateway-2"];

/// Parts of a second in which messages are sent.
const TICKS: u32 = 20;

/// Line of the report.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Kind of hostile message.
    pub flood: Flood,
    /// Hostile messages a second that were to be sent.
    pub a_second: u32,
    /// Beside as many honest messages.
    pub honest: Rate,
    /// Beside the hostile messages.
    pub hostile: Rate,
}

/// Rates of one measurement.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rate {
    /// Honest facts stored in a second.
    pub facts: f64,
    /// Messages beside them that were sent in a second.
    pub messages: f64,
}

impl Measured {
    /// Share of the honest throughput that is left.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.hostile.facts / self.honest.facts.max(1.0)
    }
}

/// Measures all floods, each over so many honest facts, and hands every line over.
///
/// # Errors
/// A server that does not start, or an account that is refused.
pub async fn measure(facts: u32, mut line: impl FnMut(Measured)) -> Outcome<()> {
    let servers = Servers::documented(&ACCOUNTS).await?;
    for (number, flood) in Flood::ALL.into_iter().enumerate() {
        let a_second = if flood == Flood::Small { 5000 } else { 1 };
        let run = async |is_hostile: bool| {
            let database = format!("bench{number}{is_hostile}");
            let city = City::documented(&servers, &database).await?;
            let run = Run {
                servers: &servers,
                flood: is_hostile.then_some(flood),
                a_second,
                facts,
            };
            run.measure(city).await
        };
        line(Measured {
            flood,
            a_second,
            honest: run(false).await?,
            hostile: run(true).await?,
        });
    }
    Ok(())
}

/// Measurement of one kind of messages.
struct Run<'a> {
    servers: &'a Servers,
    /// Kind of the messages beside; honest ones where there is none.
    flood: Option<Flood>,
    a_second: u32,
    facts: u32,
}

impl Run<'_> {
    async fn measure(&self, mut city: City) -> Outcome<Rate> {
        let queue = amqp(&city.queue)?.clone();
        let seen = batches(&city.public, 2, 1)?.remove(0);
        let message = match self.flood {
            Some(flood) => flood.message(&queue, &city.public, &seen)?,
            None => RawMessage::new(&queue.exchange, &queue.queue, &seen.bytes),
        };
        let honest = batches(&city.public, 1, self.facts)?;
        let account = self.servers.documented_queue(ACCOUNTS[0]);
        let publisher = broker::publisher(&account, city.folder())?;
        let clock = SystemClock::default();
        let begun = clock.elapsed();
        let has_ended = Arc::new(AtomicBool::new(false));
        let port = self.servers.rabbit.port();
        let other = beside(port, message, self.a_second, Arc::clone(&has_ended));
        let other = tokio::spawn(other);
        let sending = publish(&publisher, &honest);
        store(&mut city.registry, self.facts as usize).await?;
        let seconds = (clock.elapsed() - begun).as_secs_f64();
        has_ended.store(true, Ordering::Release);
        let messages = other.await??;
        sending
            .join_all()
            .await
            .into_iter()
            .collect::<Outcome<()>>()?;
        publisher.close().await;
        city.work().await?;
        city.registry.close().await;
        Ok(Rate {
            facts: f64::from(self.facts) / seconds,
            messages: f64::from(messages) / seconds,
        })
    }
}

/// Sealed batches of new facts, each of a person of its own.
fn batches(public: &PublicKey, clinic: u64, facts: u32) -> Outcome<Vec<SealedBatch>> {
    let mut clinic = Clinic::new(clinic);
    let numbers: Vec<u32> = (0..facts).collect();
    let mut sealed = Vec::new();
    for numbers in numbers.chunks(EVENTS as usize) {
        let events = numbers.iter().map(|number| {
            let names = [Scheme::Snils, Scheme::PassportRu].map(|scheme| name(scheme, *number));
            clinic.state(*number, &names, fact(*number))
        });
        let events: Vec<_> = events.collect();
        sealed.push(public.seal(&wire::encode(&events))?.0);
    }
    Ok(sealed)
}

/// Publishes batches, as many at once as is useful.
fn publish(publisher: &Arc<dyn Publisher>, batches: &[SealedBatch]) -> JoinSet<Outcome<()>> {
    let window = publisher.window().clamp(1, 16);
    let mut sending = JoinSet::new();
    for part in batches.chunks(batches.len().div_ceil(window).max(1)) {
        let part = part.to_vec();
        let publisher = Arc::clone(publisher);
        sending.spawn(async move {
            for batch in &part {
                publisher.publish(batch).await?;
            }
            Ok(())
        });
    }
    sending
}

/// Lets the registry work until so many facts are stored.
async fn store(registry: &mut Registry, facts: usize) -> Outcome<()> {
    let mut stored = 0;
    while stored < facts {
        if let ConsumeStep::Done { outcome, .. } = registry.consume_ahead(now()).await? {
            stored += outcome.applied;
        }
    }
    Ok(())
}

/// Sends messages at an even pace until told to end, and returns their number.
async fn beside(
    port: u16,
    message: RawMessage,
    a_second: u32,
    has_ended: Arc<AtomicBool>,
) -> Outcome<u32> {
    let refused = |refusal: Refusal| format!("the broker refuses: {refusal:?}");
    let client = RawClient::connect(port, ACCOUNTS[1], PASSWORD).await;
    let mut client = client.map_err(refused)?;
    let ticks = a_second.min(TICKS);
    let mut tick = tokio::time::interval(Duration::from_secs(1) / ticks);
    let mut sent = 0;
    while !has_ended.load(Ordering::Acquire) {
        tick.tick().await;
        for _ in 0..a_second / ticks {
            client.send(&message).await.map_err(refused)?;
            sent += 1;
        }
        client.flush().await.map_err(refused)?;
    }
    Ok(sent)
}
