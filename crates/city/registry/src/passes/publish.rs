//! Publication: passes that have ended by consequence, and what verifiers fetch.

use chrono::{DateTime, TimeDelta, Utc};
use pass::Product;
use pass::keys::{PublicKey, SigningKey, jwk_set};
use pass::revocation::{Delta, Edition, EndedPass, RevocationList, RevocationPayload, Tag};
use pass::trust::{TrustBundle, sign_revocations};
use pass::window::{Coverage, Window};

use super::certificates::certificates_of;
use super::person::Person;
use super::settings::MOST_PER_WINDOW;
use super::{PassError, Passes};
use crate::store::{NameValue, PassCount, PassKey, StoreError};

/// Number of names, marks or counts that are read at once.
const CHUNK: u32 = 1000;

/// Time after which everything is looked at once more, whether it is marked or not.
pub const WHOLE_LOOK_EVERY: TimeDelta = TimeDelta::hours(1);

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

/// Passes that have ended, and how many of them by this look.
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
    /// Judges what was issued to persons whose facts may have changed, ends the passes that are not
    /// carried any more, and signs what verifiers fetch.
    ///
    /// # Errors
    /// [`PassError`].
    pub async fn publish(&self, now: DateTime<Utc>) -> Result<Publication, PassError> {
        let sweep = self.sweep(now).await?;
        self.sign(sweep, now).await
    }

    /// Judges what was issued to persons whose facts may have changed, or everything where that is
    /// due, ends the passes that are not carried any more, and reads all that have ended.
    pub(crate) async fn sweep(&self, now: DateTime<Utc>) -> Result<Sweep, PassError> {
        let store = &self.reader.store;
        store.prune_passes(now - KEPT_AFTER_END).await?;
        store.prune_issue_counts(now - KEPT_AFTER_END).await?;
        store.prune_former_names(now).await?;
        let is_watched = store.is_watched().await?;
        let mut newly_ended = 0;
        if !is_watched || self.is_whole_look_due(now) {
            // Due until it has come to its end.
            *self.looked_at_all.lock() = None;
            if !is_watched {
                // Before the first name is read: what changes meanwhile is marked.
                store.watch().await?;
            }
            newly_ended += self.look_at_all(now).await?;
            *self.looked_at_all.lock() = Some(now);
        }
        newly_ended += self.look_at_marked(now).await?;
        let mut ended = self.all_ended(now).await?;
        ended.extend(self.all_ended_certificates(now).await?);
        Ok(Sweep { ended, newly_ended })
    }

    /// Returns whether everything has to be looked at: for the first time, on a new day in the
    /// city, on which other rules may be in force and facts of later days begin to count, and once
    /// in a while, also after a clock that was set back.
    fn is_whole_look_due(&self, now: DateTime<Utc>) -> bool {
        let Some(last) = *self.looked_at_all.lock() else {
            return true;
        };
        let age = now - last;
        let is_recent = age >= TimeDelta::zero() && age < WHOLE_LOOK_EVERY;
        !is_recent || self.rules.date_at(now) != self.rules.date_at(last)
    }

    /// Judges everything that was issued and is not over; returns how many passes it has ended.
    async fn look_at_all(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut newly_ended = 0;
        let mut after = None;
        loop {
            let names = self.reader.store.open_names(after, CHUNK, now).await?;
            let Some(last) = names.last() else {
                return Ok(newly_ended);
            };
            after = Some(*last);
            newly_ended += self.look_at(&names, now).await?;
        }
    }

    /// Judges what was issued to marked persons, and removes the marks; returns how many passes it
    /// has ended.
    async fn look_at_marked(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let store = &self.reader.store;
        let mut newly_ended = 0;
        loop {
            let marks = store.marks(CHUNK).await?;
            let names = store.marked_names(&marks, now).await?;
            newly_ended += self.look_at(&names, now).await?;
            store.remove_marks(&marks).await?;
            // What comes while these are judged is for the next look.
            if u32::try_from(marks.len()).is_ok_and(|read| read < CHUNK) {
                return Ok(newly_ended);
            }
        }
    }

    /// Judges everything that was issued for these names; returns how many passes it has ended.
    async fn look_at(&self, names: &[NameValue], now: DateTime<Utc>) -> Result<u64, StoreError> {
        if names.is_empty() {
            return Ok(0);
        }
        let store = &self.reader.store;
        let open = store.open_passes(names, now).await?;
        let open_certificates = store.open_certificates(names, now).await?;
        let mut uncarried = Vec::new();
        let mut uncarried_certificates = Vec::new();
        for name in names {
            let person = Person::by_name(&self.reader, *name).await?;
            // Sorted by name.
            let begin = open.partition_point(|count| count.key.name < *name);
            let end = open.partition_point(|count| count.key.name <= *name);
            uncarried.extend(self.uncarried(&person, &open[begin..end], now));
            let certificates = certificates_of(&open_certificates, name);
            let uncarried = self.uncarried_certificates(&person, certificates, now);
            uncarried_certificates.extend(uncarried);
        }
        let ended_certificates = self.end_certificates(uncarried_certificates).await?;
        if uncarried.is_empty() {
            return Ok(ended_certificates);
        }
        let newly_ended = uncarried.iter().map(|count| count.issued - count.ended);
        let newly_ended: u64 = newly_ended.map(u64::from).sum();
        for count in &mut uncarried {
            count.ended = count.issued;
        }
        store.end_passes(&uncarried).await?;
        Ok(newly_ended + ended_certificates)
    }

    /// Judges the passes of one name; returns those of its counts that are not carried any more.
    fn uncarried(&self, person: &Person, open: &[PassCount], now: DateTime<Utc>) -> Vec<PassCount> {
        let eligibility = person.judged(&self.rules, now);
        // Time that is covered, from the beginning of today on.
        let coverage = self.coverage(&eligibility);
        let uncarried = open
            .iter()
            .filter(|count| !self.is_carried(&count.key, &coverage, now));
        uncarried.copied().collect()
    }

    /// Reads all passes that have ended and whose window is not over.
    async fn all_ended(&self, now: DateTime<Utc>) -> Result<Vec<EndedPass>, StoreError> {
        let mut ended = Vec::new();
        let mut after = PassKey::FIRST;
        loop {
            let counts = self.reader.store.ended_passes(&after, CHUNK, now).await?;
            let Some(last) = counts.last() else {
                return Ok(ended);
            };
            after = last.key;
            ended.extend(counts.iter().flat_map(|count| self.ended(count)));
        }
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
