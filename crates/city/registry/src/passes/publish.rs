//! Publication: passes that have ended by consequence, and what verifiers fetch.

use chrono::{DateTime, TimeDelta, Utc};
use eligibility::evaluate;
use pass::Product;
use pass::keys::{PublicKey, SigningKey, jwk_set};
use pass::revocation::{Delta, Edition, EndedPass, RevocationList, RevocationPayload, Tag};
use pass::trust::{TrustBundle, sign_revocations};
use pass::window::{Coverage, Window};

use super::person::Person;
use super::settings::MOST_PER_WINDOW;
use super::{PassError, Passes};
use crate::store::{NameValue, PassCount, PassKey, StoreError};

/// Number of counts that are looked at between two writes.
const CHUNK: u32 = 1000;

/// Time that counts are kept after their window has ended: verifiers' clocks differ.
const KEPT_AFTER_END: TimeDelta = TimeDelta::days(1);

/// What verifiers fetch, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Number of the publication: it rises with every one.
    pub sequence: u64,
    /// Signed trust bundle.
    pub trust: Vec<u8>,
    /// Signed list of the passes that have ended.
    pub revocations: Vec<u8>,
    /// Keys of the bundle that sign passes, as a JWK set.
    pub jwk_set: String,
    /// Number of passes that ended since the last publication.
    pub newly_ended: u64,
    /// Number of passes on the list.
    pub ended: u64,
    /// The list itself.
    pub list: RevocationList,
}

/// Passes that have ended, as a look at all of them found.
pub(crate) struct Sweep {
    ended: Vec<EndedPass>,
    newly_ended: u64,
}

impl Sweep {
    /// Returns whether a pass has ended that the list does not have and that still holds elsewhere.
    #[cfg_attr(not(feature = "portal"), expect(dead_code, reason = "portals ask"))]
    pub(crate) fn adds_to(&self, list: &RevocationList, now: DateTime<Utc>) -> bool {
        let mut open = self.ended.iter().filter(|pass| pass.expiry > now);
        open.any(|pass| !list.tags().contains(pass.tag))
    }
}

impl Passes {
    /// Judges every window anew that passes were issued for and that is not over, ends the passes
    /// that are not carried any more, and signs what verifiers fetch.
    ///
    /// # Errors
    /// [`PassError`].
    pub async fn publish(&self, now: DateTime<Utc>) -> Result<Publication, PassError> {
        let sweep = self.sweep(now).await?;
        self.sign(sweep, now).await
    }

    /// Judges every window anew that passes were issued for and that is not over, and ends the
    /// passes that are not carried any more.
    pub(crate) async fn sweep(&self, now: DateTime<Utc>) -> Result<Sweep, PassError> {
        self.reader.store.prune_passes(now - KEPT_AFTER_END).await?;
        let store = &self.reader.store;
        store.prune_issue_counts(now - KEPT_AFTER_END).await?;
        let mut after = PassKey::FIRST;
        let mut ended = Vec::new();
        let mut newly_ended = 0;
        loop {
            let store = &self.reader.store;
            let mut counts = store.open_passes(&after, CHUNK, now).await?;
            let Some(last) = counts.last() else {
                break;
            };
            after = last.key;
            newly_ended += self.end_uncarried(&mut counts, now).await?;
            ended.extend(counts.iter().flat_map(|count| self.ended(count)));
        }
        let certificates = self.end_certificates(now).await?;
        ended.extend(certificates.ended);
        newly_ended += certificates.newly_ended;
        Ok(Sweep { ended, newly_ended })
    }

    /// Ends the passes of the windows that are not carried any more; returns their number.
    async fn end_uncarried(
        &self,
        counts: &mut [PassCount],
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let mut changed = Vec::new();
        let mut newly_ended = 0;
        let mut judged: Option<(NameValue, Coverage)> = None;
        for count in counts {
            if count.ended == count.issued {
                continue;
            }
            // The windows of one name come one after another.
            let name = count.key.name;
            let coverage = match judged.take() {
                Some((before, coverage)) if before == name => coverage,
                _ => self.coverage_of(name, now).await?,
            };
            let is_carried = self.is_carried(&count.key, &coverage, now);
            judged = Some((name, coverage));
            if is_carried {
                continue;
            }
            newly_ended += u64::from(count.issued - count.ended);
            count.ended = count.issued;
            changed.push(*count);
        }
        self.reader.store.end_passes(&changed).await?;
        Ok(newly_ended)
    }

    /// Time that the facts of the person behind a name cover, from the beginning of today on.
    async fn coverage_of(
        &self,
        name: NameValue,
        now: DateTime<Utc>,
    ) -> Result<Coverage, StoreError> {
        let person = Person::by_name(&self.reader, name).await?;
        let eligibility = evaluate(&self.rules, person.evidence(), now);
        Ok(self.coverage(&eligibility))
    }

    /// Returns whether what is left of the window is covered.
    fn is_carried(&self, key: &PassKey, coverage: &Coverage, now: DateTime<Utc>) -> bool {
        let today = self.rules.day_start(self.rules.date_at(now));
        let left = window_of(key)
            .zip(today)
            .and_then(|(window, today)| Window::new(window.start().max(today), window.end()).ok());
        left.is_some_and(|left| coverage.covers(left))
    }

    fn ended(&self, count: &PassCount) -> impl Iterator<Item = EndedPass> {
        let window = window_of(&count.key);
        let numbers = 0..count.ended.min(MOST_PER_WINDOW.into());
        numbers.filter_map(move |number| {
            let window = window?;
            let id = self.keys.ids.pass_id(&count.key.name, window, number);
            Some(EndedPass {
                tag: Tag::of_pass(id.0),
                expiry: window.end(),
            })
        })
    }

    /// Signs what verifiers fetch.
    pub(crate) async fn sign(
        &self,
        sweep: Sweep,
        now: DateTime<Utc>,
    ) -> Result<Publication, PassError> {
        // Not below the seconds of the clock, so that a database that was restored does not repeat
        // a sequence that verifiers have seen.
        let sequence = self.reader.store.next_publication(now.timestamp()).await?;
        let sequence = sequence.unsigned_abs();
        let edition = Edition::new(sequence, now)?;
        let list = RevocationList::of_unexpired(edition, sweep.ended)?;
        let bundle = TrustBundle {
            sequence,
            issued_at: edition.issued_at(),
            keys: self.keys.trusted(now),
            lowest_revocations: sequence,
            issuer: self.settings.issuer.clone(),
        };
        let signs_lists = self.key_of_lists(now)?;
        let of_passes = bundle
            .keys
            .iter()
            .filter(|key| key.is_for(Product::City) || key.is_for(Product::Hcert));
        let of_passes: Vec<PublicKey> = of_passes.map(|key| key.key).collect();
        Ok(Publication {
            sequence,
            trust: bundle.sign(&self.keys.root)?,
            jwk_set: jwk_set(&of_passes),
            newly_ended: sweep.newly_ended,
            ended: list.tags().len() as u64,
            revocations: sign_revocations(&RevocationPayload::Whole(list.clone()), signs_lists),
            list,
        })
    }

    /// Signs the difference from an older list to a newer one, where there can be one.
    #[cfg_attr(not(feature = "portal"), expect(dead_code, reason = "portals ask"))]
    pub(crate) fn sign_delta(
        &self,
        older: &RevocationList,
        newer: &RevocationList,
        now: DateTime<Utc>,
    ) -> Option<Vec<u8>> {
        let delta = Delta::between(older, newer).ok()?;
        let key = self.key_of_lists(now).ok()?;
        Some(sign_revocations(&RevocationPayload::Delta(delta), key))
    }

    fn key_of_lists(&self, now: DateTime<Utc>) -> Result<&SigningKey, PassError> {
        let key = self.keys.signing(Product::Revocations, now, now);
        key.ok_or(PassError::NoKey {
            product: Product::Revocations.as_str(),
        })
    }
}

fn window_of(key: &PassKey) -> Option<Window> {
    let at = |seconds| DateTime::from_timestamp(seconds, 0);
    Window::new(at(key.begins_at)?, at(key.ends_at)?).ok()
}
