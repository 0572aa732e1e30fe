//! Two virtual hosts of the broker with the queues of some accounts, the batches that gateways
//! would send, and the mix relay between the two.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use broker::{AmqpConfig, QueueConfig};
use clock::Clock;
use contract::{PrivateKey, RelayPrivateKey, RelaySealer, SealedBatch};
use futures_util::{StreamExt, TryStreamExt, stream};
use mix_relay::{Config, Mixer, Relay};
use secrecy::ExposeSecret as _;
use telemetry::Health;
use testbed::rabbitmq::RabbitMq;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::Error;
use crate::limits::forwarding::Forwarding;
use crate::limits::outer_seal;

/// Virtual host that is the registry's broker; the clinics' is `/`.
const INSIDE: &str = "inside";
/// Accounts, each with a queue of its own.
const ACCOUNTS: usize = 4;
/// Batches of an account that may be in hand, in the relay and in the bare loop.
const HELD: u16 = 512;
/// Batches that may wait for their confirm at once, the gateway's and the relay's default.
const WINDOW: usize = 64;
/// Pause before the next look whether the relay holds a batch.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Time after which a relay that passes nothing on is taken to hang.
const LIMIT: Duration = Duration::from_secs(60);

/// Both virtual hosts, the accounts' queues, and the relay's key.
pub(super) struct Crossing<'a> {
    server: &'a RabbitMq,
    folder: PathBuf,
    forwarding: Forwarding,
    key: RelayPrivateKey,
}

impl<'a> Crossing<'a> {
    /// Makes the second virtual host and the relay's key.
    pub(super) async fn new(server: &'a RabbitMq, folder: &Path) -> Result<Self, Error> {
        server.ctl(&["add_vhost", INSIDE]).await?;
        let rights = ["set_permissions", "-p", INSIDE, "guest", ".*", ".*", ".*"];
        server.ctl(&rights).await?;
        let folder = folder.join("mix-relay");
        fs::create_dir(&folder).map_err(Error::io("make the relay's folder"))?;
        let key = RelayPrivateKey::generate();
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(folder.join("relay.key"))
            .map_err(Error::io("make the relay's key"))?;
        file.write_all(key.to_text().expose_secret().as_bytes())
            .map_err(Error::io("write the relay's key"))?;
        let usual = AmqpConfig::default();
        let accounts = (1..=ACCOUNTS).map(|number| format!("clinic.relay.clinic-{number}.intake"));
        let forwarding = Forwarding {
            outside: format!("amqp://127.0.0.1:{}/%2f", server.port()),
            queues: accounts.collect(),
            inside: format!("amqp://127.0.0.1:{}/{INSIDE}", server.port()),
            exchange: usual.exchange,
            intake: usual.queue,
            held: HELD,
            window: WINDOW,
        };
        let crossing = Self {
            server,
            folder,
            forwarding,
            key,
        };
        let inside = crossing.config()?.inside;
        broker::check(&inside, &crossing.folder)
            .await
            .map_err(Error::wrong("the registry's virtual host"))?;
        Ok(crossing)
    }

    /// Seals so many batches of random bytes, twice as gateways do: to a registry and to the relay.
    pub(super) fn seal(&self, batches: usize, bytes: usize) -> Result<Vec<SealedBatch>, Error> {
        let registry = PrivateKey::generate().public();
        let sealer = RelaySealer::new(self.key.public());
        let mut content = vec![0; bytes];
        let seal = |_| {
            getrandom::fill(&mut content).expect("the operating system gives random bytes");
            let (batch, _) = registry.seal(&content).map_err(Error::wrong("a seal"))?;
            sealer.seal(&batch).map_err(Error::wrong("an outer seal"))
        };
        (0..batches).map(seal).collect()
    }

    /// Puts the batches into the accounts' queues, as their gateways do, the accounts in turn.
    pub(super) async fn send(&self, batches: &[SealedBatch]) -> Result<(), Error> {
        let config = self.config()?;
        let QueueConfig::Amqp(outside) = config.outside else {
            return Err(Error::WrongResult(
                "the relay's queues lie elsewhere".into(),
            ));
        };
        let gateway = |number: usize| {
            let account = QueueConfig::Amqp(AmqpConfig {
                exchange: format!("clinic.relay.clinic-{number}"),
                queue: format!("clinic.relay.clinic-{number}.intake"),
                ..outside.clone()
            });
            broker::publisher(&account, &self.folder).map_err(Error::wrong("a gateway's queue"))
        };
        let gateways: Vec<_> = (1..=ACCOUNTS).map(gateway).collect::<Result<_, _>>()?;
        let sending = batches.iter().zip(gateways.iter().cycle());
        let sending = sending.map(|(batch, gateway)| gateway.publish(batch));
        stream::iter(sending)
            .buffer_unordered(ACCOUNTS * WINDOW)
            .try_collect::<()>()
            .await
            .map_err(Error::wrong("sending batches to the relay's queues"))?;
        for gateway in gateways {
            gateway.close().await;
        }
        Ok(())
    }

    /// Takes the outer seal off the batches and does nothing else.
    pub(super) fn take_seals_off(
        &self,
        batches: &[SealedBatch],
        clock: &dyn Clock,
    ) -> Result<Duration, Error> {
        outer_seal::take_off_all(batches, &self.key, clock)
    }

    /// Takes the batches out of the queues by a bare loop.
    pub(super) async fn forward(
        &self,
        batches: usize,
        clock: &dyn Clock,
    ) -> Result<Duration, Error> {
        let took = self.forwarding.forward(batches, clock).await?;
        self.expect_forwarded(batches).await?;
        Ok(took)
    }

    /// Has the relay pass the batches on, in slots that follow one another without a pause.
    /// Returns the time from the first slot that had a batch to the last confirm.
    pub(super) async fn relay(
        &self,
        batches: usize,
        clock: &Arc<dyn Clock>,
    ) -> Result<Duration, Error> {
        let config = self.config()?;
        let relay = Relay::open(&config, &self.folder, Arc::clone(clock), &Health::default())
            .map_err(Error::wrong("the relay"))?;
        let tasks = TaskTracker::new();
        let ending = CancellationToken::new();
        let mixer = relay.begin(&tasks, &ending);
        let mut took = pass_on(&mixer, batches, &**clock).await;
        if took.is_ok() {
            // What is not acknowledged when the relay ends would come again.
            for queue in &self.forwarding.queues {
                let acknowledged = self.server.until_depth(queue, 0).await;
                took = took.and_then(|took| Ok(acknowledged.map(|()| took)?));
            }
        }
        ending.cancel();
        tasks.close();
        tasks.wait().await;
        let took = took?;
        self.expect_forwarded(batches).await?;
        Ok(took)
    }

    /// Fails unless every batch went inside once and none is left outside, and empties the inside.
    async fn expect_forwarded(&self, batches: usize) -> Result<(), Error> {
        let (outside, inside) = self.forwarding.depths().await?;
        self.forwarding.empty().await?;
        if (outside, inside) == (0, batches as u64) {
            return Ok(());
        }
        Err(Error::WrongResult(format!(
            "of {batches} batches {inside} went inside, and {outside} are left outside"
        )))
    }

    /// Configuration of the relay: as many batches a slot, and as many in hand, as may be.
    fn config(&self) -> Result<Config, Error> {
        let Forwarding {
            outside, inside, ..
        } = &self.forwarding;
        let accounts: String = (1..=ACCOUNTS)
            .map(|number| format!("[[accounts]]\nname = \"clinic-{number}\"\n"))
            .collect();
        let text = format!(
            r#"[relay]
private_keys = [{{ file = "relay.key" }}]
[mix]
slot_seconds = 1
batches_per_slot = 10000
minimum_pool = 1
minimum_accounts = 1
held_batches = {HELD}
memory_bytes = 8589934592
{accounts}[outside.amqp]
url = "{outside}"
[inside.amqp]
url = "{inside}"
"#
        );
        toml::from_str(&text).map_err(Error::wrong("the relay's configuration"))
    }
}

/// Runs slots until so many batches were passed on.
async fn pass_on(mixer: &Mixer, batches: usize, clock: &dyn Clock) -> Result<Duration, Error> {
    let mut first = None;
    let mut last_at = clock.elapsed();
    let mut passed_on = 0;
    while passed_on < batches {
        let began = clock.elapsed();
        let report = mixer.slot().await;
        passed_on += report.published;
        if report.failed > 0 {
            return Err(Error::WrongResult(format!(
                "the relay has passed on {passed_on} batches, and failed at {} more",
                report.failed
            )));
        }
        if report.published > 0 {
            first.get_or_insert(began);
            last_at = clock.elapsed();
            continue;
        }
        if clock.elapsed().saturating_sub(last_at) > LIMIT {
            return Err(Error::WrongResult(format!(
                "the relay stopped after {passed_on} of {batches} batches"
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(last_at.saturating_sub(first.unwrap_or(last_at)))
}

#[cfg(test)]
mod tests {
    use clock::SystemClock;

    use super::*;

    #[tokio::test]
    async fn relay_and_bare_loop_pass_on_every_batch() {
        let server = RabbitMq::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let crossing = Crossing::new(&server, folder.path()).await.unwrap();
        let batches = crossing.seal(50, 5000).unwrap();
        let took = crossing.take_seals_off(&batches, &*clock).unwrap();
        assert!(took > Duration::ZERO);
        for _ in 0..2 {
            crossing.send(&batches).await.unwrap();
            let took = crossing.forward(50, &*clock).await.unwrap();
            assert!(took > Duration::ZERO);
            crossing.send(&batches).await.unwrap();
            let took = crossing.relay(50, &clock).await.unwrap();
            assert!(took > Duration::ZERO);
        }
    }
}
