//! Evaluation of the persons of events that are sent: their identifiers are blinded, the key
//! services asked, and what they answered is remembered in memory for a while.

mod error;
mod remembered;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use connector_kit::Feed;
use contract::{Epoch, Pseudonym, Subject, Suite};
use draft::{EvaluationError, Evaluator, LocalName, LocalSubject};
use futures_util::{StreamExt as _, future::ready, stream};
use key_client::KeyClient;
use outbox::FeedName;
use parking_lot::Mutex;
use pseudonym::{HeldIdentifiers, MAX_BLINDED};
use tokio::task::spawn_blocking;

use error::{not_held, told};
use remembered::Remembered;

use crate::waits::{ServiceKind, WaitGuard, Waits};

/// Requests that are under way at once: while one is evaluated, the next is blinded.
const REQUESTS_AT_ONCE: usize = 2;

/// Key services of the gateway, with what they answered lately.
pub(crate) struct Evaluation {
    client: KeyClient,
    /// Names of the services, as sentences name them.
    services: String,
    waits: Arc<Waits>,
    remembered: Mutex<Remembered>,
}

impl Evaluation {
    pub(crate) fn new(client: KeyClient, waits: Arc<Waits>) -> Self {
        Self {
            services: client.names(),
            client,
            waits,
            remembered: Mutex::default(),
        }
    }

    /// Client of the key services.
    pub(crate) const fn client(&self) -> &KeyClient {
        &self.client
    }

    /// Evaluator of the persons of one page of the feed, whose identifiers it holds.
    pub(crate) fn of_page(
        self: &Arc<Self>,
        held: HeldIdentifiers,
        source: &str,
        feed: Feed,
    ) -> Arc<dyn Evaluator> {
        Arc::new(PageEvaluator {
            evaluation: Arc::clone(self),
            source: source.to_owned(),
            feed,
            held: Arc::new(held),
        })
    }
}

/// Evaluator of the persons of one page.
struct PageEvaluator {
    evaluation: Arc<Evaluation>,
    source: String,
    feed: Feed,
    held: Arc<HeldIdentifiers>,
}

impl fmt::Debug for PageEvaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageEvaluator")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

/// Elements of names, as key services have evaluated them under one epoch.
type Elements = HashMap<LocalName, [u8; 32]>;

impl PageEvaluator {
    /// Elements of the names under an epoch: remembered ones, and those asked for now.
    async fn elements(
        &self,
        names: &[LocalName],
        epoch: Epoch,
    ) -> Result<Elements, EvaluationError> {
        let mut elements = Elements::with_capacity(names.len());
        let mut unknown = Vec::new();
        {
            let mut remembered = self.evaluation.remembered.lock();
            for name in names {
                match remembered.get(name, epoch) {
                    Some(element) => drop(elements.insert(*name, element)),
                    None => unknown.push(*name),
                }
            }
        }
        let _waits = (!unknown.is_empty()).then(|| self.begin_wait());
        let chunks = unknown.chunks(MAX_BLINDED).map(<[LocalName]>::to_vec);
        let failed = AtomicBool::new(false);
        // After a failure no further request begins, but those under way are waited for: what they
        // cost of a ceiling is not to be lost.
        let chunks = stream::iter(chunks).take_while(|_| ready(!failed.load(Ordering::Relaxed)));
        let mut asked = chunks
            .map(|chunk| self.ask(chunk, epoch))
            .buffer_unordered(REQUESTS_AT_ONCE);
        let mut failure = None;
        while let Some(answered) = asked.next().await {
            match answered {
                Ok(answered) => {
                    let mut remembered = self.evaluation.remembered.lock();
                    for (name, element) in answered {
                        remembered.insert(name, epoch, element);
                        elements.insert(name, element);
                    }
                }
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    failure = failure.or(Some(error));
                }
            }
        }
        failure.map_or(Ok(elements), Err)
    }

    /// Notes that the page waits for the key services, until the result is dropped.
    fn begin_wait(&self) -> WaitGuard {
        let feed = FeedName {
            source: &self.source,
            feed: self.feed.as_str(),
        };
        let services = self.evaluation.services.clone();
        let waits = &self.evaluation.waits;
        waits.begin(ServiceKind::KeyServices, services, feed)
    }

    /// Has one blinding's worth of names evaluated by every key service in turn.
    async fn ask(
        &self,
        names: Vec<LocalName>,
        epoch: Epoch,
    ) -> Result<Vec<(LocalName, [u8; 32])>, EvaluationError> {
        let held = Arc::clone(&self.held);
        let blind = move || held.blind(&names).map(|blinding| (names, blinding));
        let blinded = spawn_blocking(blind).await.ok().flatten();
        let (names, blinding) = blinded.ok_or_else(not_held)?;
        let client = &self.evaluation.client;
        let elements = client.evaluate(blinding, epoch).await.map_err(told)?;
        Ok(names
            .into_iter()
            .zip(elements.iter().map(|element| element.to_bytes()))
            .collect())
    }
}

#[async_trait]
impl Evaluator for PageEvaluator {
    async fn evaluate(&self, persons: &[LocalSubject]) -> Result<Vec<Subject>, EvaluationError> {
        let mut names: Vec<LocalName> = persons
            .iter()
            .flat_map(|person| person.names().iter().copied())
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut pseudonyms: HashMap<LocalName, Vec<Pseudonym>> = HashMap::new();
        for epoch in self.evaluation.client.epochs().iter().copied() {
            for (name, value) in self.elements(&names, epoch).await? {
                pseudonyms.entry(name).or_default().push(Pseudonym {
                    scheme: name.scheme,
                    suite: Suite::Voprf,
                    epoch,
                    value,
                });
            }
        }
        let subject = |person: &LocalSubject| {
            let of_name = |name| pseudonyms.get(name).into_iter().flatten().copied();
            let all = person.names().iter().flat_map(of_name).collect();
            Subject::new(all).ok_or_else(not_held)
        };
        persons.iter().map(subject).collect()
    }
}
