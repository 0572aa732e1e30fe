//! A clinic, its gateway, the registry and the servers of one history, and how each operation is
//! done to them.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clinic_gateway::gateway::{Gateway, StartError};
use clock::{Clock, SystemClock};
use outbox::OutboxError;
use registry::{Config, Registry, StoreConfig};
use testbed::postgres::Postgres;
use testbed::proxy::TcpProxy;
use testbed::rabbitmq::RabbitMq;

use super::operation::{Network, Operation};
use super::site::{Kind, Site, Stamp};
use super::strong::Strong;
use crate::support::{City, Clinic, amqp_address, copy_files, directory_queue, eventually, let_go};

/// What one history, or many, came to.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub histories: u64,
    pub operations: u64,
    pub kills: u64,
    pub restored: u64,
    pub replayed: u64,
    pub rounds: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.operations += other.operations;
        self.kills += other.kills;
        self.restored += other.restored;
        self.replayed += other.replayed;
        self.rounds += other.rounds;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} histories of {} operations: {} kills, {} states restored or lost, {} batches \
             replayed; 0 facts lost, \
             0 applied wrongly",
            self.histories, self.operations, self.kills, self.restored, self.replayed
        )
    }
}

/// Real time, shifted: operations move it, and nobody waits for hours.
#[derive(Debug, Default)]
pub(super) struct ShiftedClock {
    system: SystemClock,
    shift: Mutex<TimeDelta>,
}

impl ShiftedClock {
    pub(super) fn shift(&self, by: TimeDelta) {
        *self.shift.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> DateTime<Utc> {
        self.system.now() + *self.shift.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed(&self) -> Duration {
        self.system.elapsed()
    }
}

/// Settings of every gateway beside its source.
const SETTINGS: &str = "[source.mis.sweep]\nschedule = \"never\"\nmax_withdrawn_percent = \
                        40\nalways_allowed = 3\n[outbox]\nbatch_events = 4\n";

/// The servers that histories share, one history at a time.
pub(super) struct Servers {
    pub postgres: Postgres,
    pub broker: Option<(RabbitMq, TcpProxy)>,
    pub strong: Option<Strong>,
}

/// One history's own.
pub(super) struct World {
    pub city: City,
    pub clinic: Clinic,
    pub registry_config: Config,
    pub store: StoreConfig,
    pub clock: Arc<ShiftedClock>,
    pub site: Site,
    /// The gateway's `[queue.…]` section.
    gateway_queue: String,
    /// Rows the gateway has certainly read with its present state, and those in the saved copy.
    read: BTreeSet<u32>,
    saved: Option<BTreeSet<u32>>,
    /// Rows that were deleted and that no sweep has certainly seen yet, and those whose withdrawal
    /// waits in the outbox, perhaps.
    deleted: BTreeSet<u32>,
    swept: BTreeSet<u32>,
    captured: Vec<(PathBuf, Vec<u8>)>,
    pub tally: Tally,
}

impl World {
    pub(super) async fn new(servers: &Servers, kind: Kind, schema: String) -> Self {
        let city = City::new();
        let sqlite = || "[store.sqlite]\npath = \"registry.db\"\n".to_owned();
        let (gateway_queue, registry_queue, store_toml) = match (&servers.broker, &servers.strong) {
            (_, Some(strong)) => (strong.gateway_queue(), strong.registry_sections(), sqlite()),
            (Some((broker, proxy)), None) => {
                let names = format!(
                    "exchange = \"{schema}\"\nqueue = \"{schema}.intake\"\ndead_letters \
                     = \"{schema}.dead\"\ndead_letters_exchange = \"{schema}.refused\"\n\
                     receipts = \"{schema}.receipts\"\nconfirm_timeout_seconds = \
                     3\nconnect_timeout_seconds = 3\n\
                     max_backoff_seconds = 1\n"
                );
                let url = servers
                    .postgres
                    .create_database(&schema)
                    .await
                    .expect("a registry's database");
                let store = format!("[store.postgres]\nurl = \"{url}\"\ntls = \"off\"\n");
                (
                    amqp_address(proxy.port()) + &names,
                    amqp_address(broker.port()) + &names,
                    store,
                )
            }
            (None, None) => {
                let queue = directory_queue(&city.folder.path().join("queue"));
                (queue.clone(), queue, sqlite())
            }
        };
        let site = Site::new(kind, &servers.postgres, schema.clone()).await;
        let path = city.configure(
            &store_toml,
            &format!("{registry_queue}\n[consume]\nmax_wait_ms = 100\n"),
        );
        let registry_config: Config =
            settings::load(&path).expect("the registry's configuration is one");
        let store = registry_config.store.clone();
        let clinic = Clinic::new(
            &city,
            &gateway_queue,
            &site.source(&servers.postgres),
            SETTINGS,
        );
        if let Some(strong) = &servers.strong {
            strong.equip(&clinic);
            // The registry makes its queues itself, and the relay finds them.
            let checked = broker::check(&registry_config.queue, city.folder.path()).await;
            checked.expect("the registry's queues are made");
        }
        Self {
            city,
            clinic,
            registry_config,
            store,
            clock: Arc::default(),
            site,
            gateway_queue,
            read: BTreeSet::new(),
            saved: None,
            deleted: BTreeSet::new(),
            swept: BTreeSet::new(),
            captured: Vec::new(),
            tally: Tally {
                histories: 1,
                ..Tally::default()
            },
        }
    }

    /// The gateway as it is opened by a start of the program.
    pub(super) async fn gateway(&self) -> Gateway {
        let clock: Arc<dyn Clock> = Arc::<ShiftedClock>::clone(&self.clock);
        let loaded = self.clinic.load();
        match Gateway::open(&loaded, Arc::clone(&clock), "sync").await {
            // A copy from after a raise came back, after an older one had come back and risen above
            // it: nobody can tell that from a second gateway, but the operator can.
            Err(StartError::Outbox(OutboxError::OtherGateway)) => {
                let path = self.state().join("outbox.db");
                let accepted = outbox::accept_state(&path, "histories").await;
                assert!(accepted.expect("the state is accepted"), "it was marked");
                Gateway::open(&loaded, clock, "sync").await
            }
            opened => opened,
        }
        .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Puts the gateway away, tidily or as a killed process leaves it, and waits until nothing of
    /// it is left: the process of a killed one is gone, too, before anybody copies its files.
    pub(super) async fn end(&self, gateway: Gateway, tidily: bool) {
        if tidily {
            gateway.close().await;
        } else {
            drop(gateway);
        }
        let_go(&self.state()).await;
    }

    /// A registry. Its store may be slower to answer than it waits.
    pub(super) async fn registry(&self) -> Registry {
        eventually("the registry opens", 60, async || {
            let clock: Arc<dyn Clock> = Arc::<ShiftedClock>::clone(&self.clock);
            let folder = self.city.folder.path();
            let opened = Registry::open(&self.registry_config, folder, clock).await;
            opened.inspect_err(|error| println!("{error}")).ok()
        })
        .await
    }

    /// Does one thing.
    pub(super) async fn apply(&mut self, servers: &mut Servers, operation: &Operation) {
        self.tally.operations += 1;
        match operation {
            Operation::Insert(count) => self.site.insert(&servers.postgres, *count).await,
            Operation::Correct(number) => self.correct(servers, *number, Stamp::Now).await,
            Operation::CorrectSilently(number) => {
                self.correct(servers, *number, Stamp::Little).await;
            }
            Operation::CorrectInThePast(number) => {
                self.correct(servers, *number, Stamp::Back).await;
            }
            Operation::CorrectAhead(number) => self.correct(servers, *number, Stamp::Ahead).await,
            Operation::Refuse(number, trouble) => {
                self.site
                    .trouble(&servers.postgres, *number, *trouble)
                    .await;
            }
            Operation::Map(mapped) => self.map(servers, *mapped),
            Operation::Break(feeds) => self.site.set_broken(&servers.postgres, *feeds).await,
            Operation::Failing(every) => self.site.set_failing(*every),
            Operation::Unlist(number) => self.site.unlist(*number),
            Operation::Toggle(number) => self.site.toggle(&servers.postgres, *number).await,
            Operation::Delete(number) => self.delete(servers, *number).await,
            Operation::Reuse(number) => self.site.reuse(&servers.postgres, *number).await,
            Operation::Sync(limit_ms) => self.sync(*limit_ms).await,
            Operation::Sweep(limit_ms) => self.sweep(*limit_ms).await,
            Operation::Registry(limit_ms) => self.consume(*limit_ms, 1).await,
            Operation::TwoRegistries(limit_ms) => {
                let consumers = if servers.broker.is_some() { 2 } else { 1 };
                self.consume(*limit_ms, consumers).await;
            }
            Operation::Network(network) => set_network(servers, *network),
            Operation::KillBroker => self.kill_broker(servers).await,
            Operation::Service(..)
            | Operation::Relay(_)
            | Operation::Broker(..)
            | Operation::Empty(_)
            | Operation::LoseQueues(_)
            | Operation::Wire(..) => {
                if let Some(strong) = &mut servers.strong {
                    self.tally.kills += u64::from(strong.apply(operation).await);
                }
            }
            Operation::KillPostgres => {
                self.tally.kills += 1;
                servers.postgres.kill();
                servers
                    .postgres
                    .restart()
                    .await
                    .expect("PostgreSQL starts again");
            }
            Operation::Advance(minutes) => self.clock.shift(TimeDelta::minutes((*minutes).into())),
            Operation::SetBack(minutes) => self.clock.shift(-TimeDelta::minutes((*minutes).into())),
            Operation::Save => self.save(),
            Operation::Restore { with_mark, rows } => {
                let restored = self.restore(*with_mark);
                if restored && *rows {
                    self.site.put_back(&servers.postgres).await;
                }
            }
            Operation::Lose => self.lose(),
            Operation::Replay(number) => self.replay(*number),
        }
    }

    async fn correct(&mut self, servers: &Servers, number: u16, stamp: Stamp) {
        self.site.correct(&servers.postgres, number, stamp).await;
    }

    /// Writes the gateway's configuration anew.
    pub(super) fn map(&mut self, servers: &Servers, mapped: bool) {
        self.site.map(mapped);
        self.configure(servers, true);
    }

    fn configure(&self, servers: &Servers, is_impatient: bool) {
        let source = self.site.source(&servers.postgres);
        self.clinic
            .configure(&self.city, &self.gateway_queue, &source, SETTINGS);
        if let Some(strong) = &servers.strong {
            strong.complete(&self.clinic, is_impatient);
        }
    }

    /// Mends what is broken at the clinic; rows that cannot be sent stay so.
    pub(super) async fn mend(&mut self, servers: &mut Servers) {
        if let Some(strong) = &mut servers.strong {
            strong.mend().await;
        }
        self.site.map(true);
        self.configure(servers, false);
        self.site.set_failing(0);
        self.site.list_all();
        self.site
            .set_broken(&servers.postgres, [false, false])
            .await;
    }

    /// Records that a lost state had sent, and that were deleted before they were read again, are
    /// known to nobody any more; the documentation says so. Histories leave it out: only rows that
    /// the present state has read are deleted.
    async fn delete(&mut self, servers: &Servers, number: u16) {
        let picked = self.site.pick(number);
        let Some(id) = picked.filter(|id| self.read.contains(id)) else {
            return;
        };
        self.site.delete(&servers.postgres, id).await;
        self.deleted.insert(id);
    }

    async fn sync(&mut self, limit_ms: u16) {
        let gateway = self.gateway().await;
        let whole = super::within(limit_ms, super::sync(&gateway, Duration::ZERO)).await;
        match whole {
            Some(pulled) if pulled => {
                self.read = self.site.listed_ids().collect();
                let backlog = gateway.outbox.backlog().await;
                if backlog.expect("the state can be read").batches == 0 {
                    self.swept.clear();
                }
            }
            Some(_) => {}
            None => self.tally.kills += 1,
        }
        self.end(gateway, whole.is_some()).await;
        self.capture();
    }

    async fn sweep(&mut self, limit_ms: u16) {
        let gateway = self.gateway().await;
        let swept = super::within(limit_ms, super::sweep(&gateway)).await;
        if swept == Some(true) {
            self.swept.append(&mut self.deleted);
        }
        self.tally.kills += u64::from(swept.is_none());
        self.end(gateway, swept.is_some()).await;
    }

    async fn consume(&mut self, limit_ms: u16, consumers: usize) {
        let first = self.registry().await;
        let mut registries = vec![first];
        while registries.len() < consumers {
            let another = registries[0]
                .additional_consumer()
                .expect("a second consumer");
            registries.push(another);
        }
        // A queue that is away must not hold the history up.
        let limit_ms = limit_ms.min(5000);
        let drained = futures_util::future::join_all(
            registries
                .iter_mut()
                .map(|registry| super::within(limit_ms, async { drop(registry.drain().await) })),
        );
        if drained.await.iter().any(Option::is_none) {
            // Dropped as it is, like a process that is killed.
            self.tally.kills += 1;
            return;
        }
        for registry in &mut registries {
            registry.close().await;
        }
    }

    async fn kill_broker(&mut self, servers: &mut Servers) {
        let Some((broker, _)) = &mut servers.broker else {
            return;
        };
        self.tally.kills += 1;
        // This version loses a quorum queue that is killed within seconds of its declaration: not
        // what is tried here.
        broker.settle().await.expect("the broker has settled");
        broker.kill();
        broker.restart().await.expect("the broker starts again");
    }

    fn state(&self) -> PathBuf {
        self.clinic.folder.path().join("state")
    }

    fn copy(&self) -> PathBuf {
        self.clinic.folder.path().join("copy")
    }

    fn save(&mut self) {
        if self.copy().exists() {
            std::fs::remove_dir_all(self.copy()).expect("the older copy goes");
        }
        if self.state().join("outbox.db").exists() {
            copy_files(&self.state(), &self.copy());
            self.saved = Some(self.read.clone());
            self.site.save();
        }
    }

    /// Puts the copy back; false where there is none that may come back.
    fn restore(&mut self, with_mark: bool) -> bool {
        let Some(saved) = self
            .saved
            .clone()
            .filter(|saved| self.deleted.is_subset(saved) && self.swept.is_subset(saved))
        else {
            return false;
        };
        self.tally.restored += 1;
        for entry in std::fs::read_dir(self.state())
            .expect("the state folder")
            .flatten()
        {
            let is_mark = entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "generation");
            if with_mark || !is_mark {
                std::fs::remove_file(entry.path()).expect("an old state file goes");
            }
        }
        for entry in std::fs::read_dir(self.copy()).expect("the copy").flatten() {
            let is_mark = entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "generation");
            if with_mark || !is_mark {
                std::fs::copy(entry.path(), self.state().join(entry.file_name()))
                    .expect("a copy comes back");
            }
        }
        self.read = saved;
        true
    }

    fn lose(&mut self) {
        if !self.deleted.is_empty() || !self.swept.is_empty() {
            return;
        }
        self.tally.restored += 1;
        for entry in std::fs::read_dir(self.state())
            .expect("the state folder")
            .flatten()
        {
            if entry
                .path()
                .extension()
                .is_none_or(|ending| ending != "generation")
            {
                std::fs::remove_file(entry.path()).expect("a state file goes");
            }
        }
        self.read.clear();
        self.saved = None;
    }

    fn incoming(&self) -> PathBuf {
        self.city.folder.path().join("queue/incoming")
    }

    fn capture(&mut self) {
        let Ok(files) = std::fs::read_dir(self.incoming()) else {
            return;
        };
        for file in files.flatten() {
            if self.captured.len() < 200
                && let Ok(bytes) = std::fs::read(file.path())
            {
                self.captured.push((file.path(), bytes));
            }
        }
    }

    fn replay(&mut self, number: u16) {
        let count = self.captured.len();
        if count == 0 {
            return;
        }
        self.captured.rotate_left(usize::from(number) % count);
        for (path, bytes) in self
            .captured
            .iter()
            .rev()
            .take(1 + usize::from(number) % 20)
        {
            let aside = path.with_extension("tmp");
            std::fs::write(&aside, bytes)
                .and_then(|()| std::fs::rename(&aside, path))
                .expect("a batch comes again");
            self.tally.replayed += 1;
        }
    }
}

pub(super) fn set_network(servers: &Servers, network: Network) {
    if let Some((_, proxy)) = &servers.broker {
        set_line(proxy, network);
    }
}

/// Cuts a way, makes it silent or slow, or mends it.
pub(super) fn set_line(proxy: &TcpProxy, network: Network) {
    match network {
        Network::Cut => proxy.cut(),
        Network::Stalled => {
            proxy.restore();
            proxy.stall();
        }
        Network::Slow => {
            proxy.restore();
            proxy.delay(50);
        }
        Network::Whole => {
            proxy.restore();
            proxy.delay(0);
        }
    }
}
