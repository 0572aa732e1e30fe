//! The gateway's path from drafts to durable sealed batches, in the benchmark's process, with
//! tokens in hand and without.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use clock::Clock;
use contract::{PrivateKey, SealedTokens};
use oprf::{Request, TokenBlinding, TokenKey};
use outbox::{BatchTokens, FeedName, NoToken, Outbox, OutboxOptions, PageCommit, Prepared, Pulled};
use parking_lot::Mutex;
use pseudonym::KeyRing;

use crate::clinics::keys::{ClinicKeys, clinic_record};
use crate::clinics::people;
use crate::error::Error;

/// Records of a page: two thirds of them, the vaccinations, are about the gateway's default page.
const PAGE_RECORDS: u64 = 6000;
/// A day after all that the invented records name.
const TODAY: NaiveDate = NaiveDate::from_ymd_opt(2022, 1, 1).expect("January has a first day");
/// Tokens of one request to an issuer.
const REQUEST_TOKENS: usize = 256;
/// Records to which one token is made: no batch of whole pages holds fewer.
const RECORDS_A_TOKEN: u64 = 50;

/// Drafts of a clinic, page by page, and tokens for all of its batches.
pub(super) struct Drafts {
    ring: KeyRing,
    pages: Vec<Vec<Pulled>>,
    tokens: Vec<SealedTokens>,
}

impl Drafts {
    /// Makes the drafts of a clinic's first records, and tokens under a key of their own.
    pub(super) fn new(records: u64) -> Result<Self, Error> {
        let ring = KeyRing::generate();
        let clinic = ClinicKeys::new(&ring)?;
        let mut pages = Vec::new();
        for piece in people::pieces(records, PAGE_RECORDS) {
            for lines in [piece.vaccinations, piece.tests] {
                let page = lines.lines().map(|line| {
                    let record = clinic_record(line);
                    let record = record
                        .ok_or_else(|| Error::WrongResult("a line cannot be read back".into()))?;
                    let draft = clinic.draft(record, TODAY)?;
                    Ok(Pulled { draft, stamp: None })
                });
                pages.push(page.collect::<Result<_, Error>>()?);
            }
        }
        Ok(Self {
            ring,
            pages,
            tokens: issue(records.div_ceil(RECORDS_A_TOKEN))?,
        })
    }

    /// Compares, encodes, seals and commits all pages in an empty outbox; the next page is sealed
    /// while one is committed, as in the gateway. Returns the time that took.
    pub(super) async fn send(
        &self,
        folder: &Path,
        with_tokens: bool,
        clock: &dyn Clock,
    ) -> Result<Duration, Error> {
        let folder = tempfile::tempdir_in(folder).map_err(Error::io("make an outbox's folder"))?;
        let tokens = with_tokens.then(|| -> Arc<dyn BatchTokens> {
            Arc::new(TokensInHand(Mutex::new(self.tokens.clone())))
        });
        let registry = PrivateKey::generate().public();
        let options = OutboxOptions {
            tokens,
            ..OutboxOptions::new(registry, self.ring.record_secrets(), "benchmark")
        };
        let path = folder.path().join("outbox.db");
        let outbox = Outbox::open(&path, options, clock.now()).await;
        let outbox = outbox.map_err(Error::wrong("an outbox"))?;
        let pages: Vec<PageCommit> = self
            .pages
            .iter()
            .map(|page| commit_of(page, clock))
            .collect();
        let started = clock.elapsed();
        let mut sent = 0;
        let mut prepared: Option<Prepared> = None;
        for page in pages {
            let following = async { outbox.prepare(page).await };
            let (committed, following) = tokio::join!(commit(&outbox, prepared.take()), following);
            sent += committed?;
            prepared = Some(following.map_err(Error::wrong("sealing a page"))?);
        }
        sent += commit(&outbox, prepared).await?;
        let took = clock.elapsed().saturating_sub(started);
        let records: usize = self.pages.iter().map(Vec::len).sum();
        if sent == records as u64 {
            return Ok(took);
        }
        Err(Error::WrongResult(format!(
            "of {records} drafts {sent} were put into batches"
        )))
    }
}

fn commit_of(page: &[Pulled], clock: &dyn Clock) -> PageCommit {
    PageCommit {
        source: "clinic".into(),
        feed: "records".into(),
        drafts: page.to_vec(),
        refused: Vec::new(),
        accepted_record_ids: Vec::new(),
        names: Vec::new(),
        resume: Some("cursor".into()),
        generation_at_read: None,
        sweep: None,
        evaluator: None,
        now: clock.now(),
    }
}

/// Commits a page, and returns the number of its drafts that were put into batches.
async fn commit(outbox: &Outbox, prepared: Option<Prepared>) -> Result<u64, Error> {
    let Some(prepared) = prepared else {
        return Ok(0);
    };
    let committed = outbox.commit(prepared).await;
    committed
        .map(|committed| committed.sent)
        .map_err(|not_committed| Error::WrongResult(format!("a page: {}", not_committed.error)))
}

/// Has tokens issued, as a gateway does that fetches ahead.
fn issue(count: u64) -> Result<Vec<SealedTokens>, Error> {
    let key = TokenKey::generate();
    let mut all = Vec::new();
    while (all.len() as u64) < count {
        let blinding = TokenBlinding::for_batches(&key.public_key(), REQUEST_TOKENS)
            .map_err(Error::wrong("tokens"))?;
        let request = Request::parse(&blinding.request(1)).map_err(Error::wrong("a request"))?;
        let tokens = blinding
            .finalize(&key.evaluate(&request), 1)
            .map_err(Error::wrong("an issuer's answer"))?;
        all.extend(tokens.iter().map(|token| SealedTokens {
            batch: token.to_bytes(),
            day: None,
        }));
    }
    Ok(all)
}

/// Tokens that were fetched before.
#[derive(Debug)]
struct TokensInHand(Mutex<Vec<SealedTokens>>);

#[async_trait]
impl BatchTokens for TokensInHand {
    async fn ready(&self, count: usize, _: Option<FeedName<'_>>) -> Result<(), NoToken> {
        if self.0.lock().len() >= count {
            return Ok(());
        }
        Err(NoToken::Away("the benchmark has made too few".into()))
    }

    fn take(&self) -> Result<SealedTokens, NoToken> {
        let taken = self.0.lock().pop();
        taken.ok_or_else(|| NoToken::Away("the benchmark has made too few".into()))
    }

    fn take_spare(&self) -> Option<SealedTokens> {
        self.0.lock().pop()
    }

    fn give_back(&self, tokens: SealedTokens) {
        self.0.lock().push(tokens);
    }
}

#[cfg(test)]
mod tests {
    use clock::SystemClock;

    use super::*;

    #[tokio::test]
    async fn every_draft_is_sealed_with_tokens_and_without() {
        let folder = tempfile::tempdir().unwrap();
        let drafts = Drafts::new(9000).unwrap();
        assert_eq!(drafts.pages.len(), 4);
        let clock = SystemClock::default();
        for with_tokens in [true, false] {
            let took = drafts.send(folder.path(), with_tokens, &clock);
            assert!(took.await.unwrap() > Duration::ZERO);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
