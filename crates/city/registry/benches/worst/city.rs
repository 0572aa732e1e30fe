//! Registry under the benchmark, and the batches that it is given.

use std::sync::Arc;
use std::time::Duration;

use broker::{DirectoryConfig, Publisher, QueueConfig};
use clock::{Clock, SystemClock};
use contract::{
    Body, ContentDigest, Event, Fact, OwnerToken, PrivateKey, Pseudonym, PublicKey, ReceiptSigner,
    RecordDigest, Scheme, Subject, Suite, TestCode, TestResult, Version, wire,
};
use registry::{ConsumeConfig, ConsumeStep, Keys, Reader, Registry, SecondLayerKey, StoreConfig};

use crate::BenchResult;

/// Registry with its queue, one consumer.
pub(crate) struct City {
    _folder: tempfile::TempDir,
    publisher: Arc<dyn Publisher>,
    pub(crate) public: PublicKey,
    registry: Registry,
    clock: Arc<dyn Clock>,
    /// Seconds that an ordinary full batch takes.
    ordinary: f64,
    /// Beginning of the names of the cases to run; all of them where empty.
    only: String,
}

/// Name of a person: a class (scheme, suite, epoch) and a number in it.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    pub(crate) class: usize,
    pub(crate) number: u64,
}

/// SNILS of this number.
pub(crate) const fn snils(number: u64) -> Name {
    Name { class: 0, number }
}

/// Number of classes of names that may stand twice in an event.
pub(crate) const WEAK_CLASSES: usize = 24;

/// Name of one of the classes that may stand twice in an event, from 0.
pub(crate) const fn weak(class: usize, number: u64) -> Name {
    Name {
        class: class + 1,
        number,
    }
}

impl City {
    pub(crate) async fn open(store: &StoreConfig, only: String) -> BenchResult<Self> {
        let folder = tempfile::tempdir()?;
        let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
        let private = PrivateKey::generate();
        let public = private.public();
        let keys = Keys::new(private, Vec::new(), SecondLayerKey::generate())
            .with_open_epochs(vec![1, 2])
            .with_receipt_key(ReceiptSigner::generate());
        let reader = Reader::open(store, keys, folder.path()).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let settings = ConsumeConfig::default();
        let registry = Registry::new(reader, &queue, settings, folder.path(), Arc::clone(&clock))?;
        Ok(Self {
            publisher: broker::publisher(&queue, folder.path())?,
            _folder: folder,
            public,
            registry,
            clock,
            ordinary: f64::NAN,
            only,
        })
    }

    /// Returns whether a case is to be run.
    pub(crate) fn runs(&self, case: &str) -> bool {
        case.starts_with(&self.only)
    }

    /// Publishes the encoded body of a batch.
    pub(crate) async fn publish(&self, encoded: &[u8]) -> BenchResult<()> {
        let (batch, _) = self.public.seal(encoded)?;
        Ok(self.publisher.publish(&batch).await?)
    }

    /// Stores events of any number, in full batches.
    pub(crate) async fn store(&mut self, events: impl Iterator<Item = Event>) -> BenchResult<()> {
        let events: Vec<Event> = events.collect();
        for chunk in events.chunks(32 * wire::MAX_EVENTS) {
            for batch in chunk.chunks(wire::MAX_EVENTS) {
                self.publish(&wire::encode(batch)).await?;
            }
            self.registry.drain().await?;
        }
        Ok(())
    }

    /// Time from the first look into the queue until what is in it, one batch, is acknowledged.
    pub(crate) async fn time(&mut self, encoded: &[u8]) -> BenchResult<Duration> {
        self.publish(encoded).await?;
        let begun = self.clock.elapsed();
        loop {
            let step = self.registry.consume_once(self.clock.now()).await?;
            if let ConsumeStep::Done {
                batches,
                probes,
                dead,
                ..
            } = step
                && batches + probes + dead > 0
            {
                return Ok(self.clock.elapsed().saturating_sub(begun));
            }
        }
    }

    /// Times ordinary full batches, 1,000 facts of 500 new persons with three names, and takes the
    /// median.
    pub(crate) async fn time_ordinary(&mut self) -> BenchResult<()> {
        let mut times = Vec::new();
        for batch in 0..9 {
            let event = |place: u64| {
                let number = batch * 1000 + place;
                let person = number / 2;
                let names = [snils(person), weak(0, person), weak(1, person)];
                event(1_000_000_000 + number, 1, &names)
            };
            let events = (0..1000).map(event).collect::<BenchResult<Vec<_>>>()?;
            times.push(self.time(&wire::encode(&events)).await?);
        }
        times.sort_unstable();
        self.ordinary = times[times.len() / 2].as_secs_f64();
        println!("  {:<58} {:>7.3} s", "ordinary full batch", self.ordinary);
        Ok(())
    }

    /// Times a batch and prints what came out.
    pub(crate) async fn report(&mut self, case: &str, encoded: &[u8]) -> BenchResult<()> {
        let seconds = self.time(encoded).await?.as_secs_f64();
        let ratio = seconds / self.ordinary;
        let mark = if seconds > 1.0 { "  ABOVE 1 s" } else { "" };
        println!("  {case:<58} {seconds:>7.3} s {ratio:>7.1} times{mark}");
        Ok(())
    }

    pub(crate) async fn close(mut self) {
        self.registry.close().await;
        self.registry.reader().close().await;
    }
}

/// Test of a person with these names.
pub(crate) fn event(record: u64, version: u64, names: &[Name]) -> BenchResult<Event> {
    let subject = Subject::new(names.iter().map(|name| pseudonym(*name)).collect());
    let fact = Fact::Test {
        test: TestCode::RnaRespiratory,
        result: TestResult::NotDetected,
        occurred_on: "2021-05-05".parse()?,
    };
    let mut content = [0; 16];
    content.copy_from_slice(&digest(record, 4 + version)[..16]);
    let mut owner = [0; 16];
    owner.copy_from_slice(&digest(record, 3)[..16]);
    Ok(Event {
        record: RecordDigest(digest(record, 2)),
        version: Version::new(version).ok_or("it is a version")?,
        content: ContentDigest(content),
        owner: OwnerToken(owner),
        body: Body::Asserted {
            subject: subject.ok_or("the names are a subject")?,
            fact,
        },
    })
}

fn pseudonym(Name { class, number }: Name) -> Pseudonym {
    let weak = [
        Scheme::Oms,
        Scheme::PassportRu,
        Scheme::PassportForeign,
        Scheme::BirthCertificate,
        Scheme::ALL[5],
        Scheme::ALL[6],
    ];
    let (scheme, suite, epoch) = match class.checked_sub(1) {
        None => (Scheme::Snils, Suite::Hmac, 1),
        Some(class) => (
            weak[class % 6],
            [Suite::Hmac, Suite::HmacStreebog][class / 6 % 2],
            if class / 12 % 2 == 0 { 1 } else { 2 },
        ),
    };
    let value = digest(number, 1 << 32 | u64::try_from(class).unwrap_or(0));
    Pseudonym {
        scheme,
        suite,
        epoch,
        value,
    }
}

/// 32 bytes that look random (splitmix64).
pub(crate) fn digest(number: u64, salt: u64) -> [u8; 32] {
    let mut state = number
        .wrapping_mul(0xd134_2543_de82_ef95)
        .wrapping_add(salt)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    bytes
}
