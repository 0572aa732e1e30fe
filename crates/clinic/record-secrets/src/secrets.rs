//! The keyed state that all values of a record are derived from.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use contract::{ContentDigest, FactKind, OWNER_TOKEN_BYTES, OwnerToken, RecordDigest, Version};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::classes::ClassSecrets;
use crate::revision::{MAX_COUNT, Revision};
use crate::values::ValueSecrets;

/// Number of low bits of a version that are pseudo-random for each revision.
const STEP_BITS: u32 = 12;

/// Number of bits of a count.
const COUNT_BITS: u32 = MAX_COUNT.count_ones();

/// First place at which the versions of a record may begin: above every version of the contract's
/// first form, `generation << 32 | count`, of up to
/// [`MAX_FIRST_FORM_GENERATION`](crate::MAX_FIRST_FORM_GENERATION) generations.
const FIRST_BEGINNING: u64 = 1 << 48;

/// End of the places at which the versions of a record may begin. The largest revision takes 2^61
/// more, so that every version fits an SQL `BIGINT`.
const LAST_BEGINNING: u64 = 1 << 62;

/// Keyed states under the clinic's record key, each with its purpose taken in.
#[derive(Clone)]
pub struct RecordSecrets {
    record: Hmac<Sha256>,
    content: Hmac<Sha256>,
    withdrawal: Hmac<Sha256>,
    beacon: Hmac<Sha256>,
    names: XChaCha20Poly1305,
    values: ValueSecrets,
    classes: ClassSecrets,
}

/// Values of one record.
struct Derived {
    owner: OwnerToken,
    /// Place at which the versions of the record begin.
    beginning: u64,
    /// Secret number that the low bits of its versions come from.
    steps: u64,
}

impl RecordSecrets {
    /// Prepares the keyed states.
    #[must_use]
    pub fn new(record_key: &[u8; 32]) -> Self {
        let keyed = Hmac::<Sha256>::new_from_slice(record_key);
        let keyed = keyed.expect("HMAC takes keys of any length");
        let purpose = |name: &[u8]| keyed.clone().chain_update(name).chain_update([0]);
        let names = purpose(b"clinic-gateway/record-name/v1").finalize();
        Self {
            names: XChaCha20Poly1305::new(&names.into_bytes()),
            values: ValueSecrets::new(&keyed),
            classes: ClassSecrets::new(&keyed),
            record: purpose(b"clinic-gateway/record-secrets/v1"),
            content: purpose(b"clinic-gateway/content/v2"),
            withdrawal: purpose(b"clinic-gateway/withdrawal/v2"),
            beacon: purpose(b"clinic-gateway/beacon/v2"),
        }
    }

    /// Token that proves to the registry that a record is this clinic's.
    #[must_use]
    pub fn owner(&self, record: &RecordDigest) -> OwnerToken {
        self.derive(record).owner
    }

    /// Version that stands for a revision; `None` where it is not within the limits.
    ///
    /// Versions of one record rise with its revisions. Each record begins somewhere else, and the
    /// low bits differ for each revision, so that neither generation nor count can be read from a
    /// version.
    #[must_use]
    pub fn version(&self, record: &RecordDigest, revision: Revision) -> Option<Version> {
        self.derive(record).version(revision)
    }

    /// Token and version of a revision, for less than both would cost one by one.
    #[must_use]
    pub fn owner_and_version(
        &self,
        record: &RecordDigest,
        revision: Revision,
    ) -> Option<(OwnerToken, Version)> {
        let derived = self.derive(record);
        Some((derived.owner, derived.version(revision)?))
    }

    /// Revision that a version stands for; `None` where this clinic cannot have given it out.
    #[must_use]
    pub fn revision(&self, record: &RecordDigest, version: Version) -> Option<Revision> {
        let derived = self.derive(record);
        let place = version.to_u64().checked_sub(derived.beginning)? >> STEP_BITS;
        let revision = Revision {
            generation: u32::try_from(place >> COUNT_BITS).ok()?,
            count: u32::try_from(place & u64::from(MAX_COUNT)).ok()?,
        };
        (derived.version(revision) == Some(version)).then_some(revision)
    }

    /// Digest of what a record says, of the canonical bytes of its body.
    #[must_use]
    pub fn content(&self, record: &RecordDigest, canonical: &[u8]) -> ContentDigest {
        digest_of(&self.content, record, canonical)
    }

    /// Digest of the content of a record's withdrawal.
    #[must_use]
    pub fn withdrawal_content(&self, record: &RecordDigest, kind: FactKind) -> ContentDigest {
        digest_of(&self.withdrawal, record, kind.as_str().as_bytes())
    }

    /// Record of a gateway's own, its beacon: no row stands behind it. It is the same for every
    /// state of a gateway, one that was made anew included, for all of them give out versions of
    /// the same records. `sources` are the names of the gateway's sources, in any order: gateways
    /// of one clinic that read different sources have no record in common, and so two beacons.
    #[must_use]
    pub fn beacon(&self, sources: &[String]) -> RecordDigest {
        let mut names: Vec<&[u8]> = sources.iter().map(String::as_bytes).collect();
        names.sort_unstable();
        let mut keyed = self.beacon.clone();
        for name in names {
            // With its length before it, no two lists come to the same bytes.
            keyed.update(&(name.len() as u64).to_be_bytes());
            keyed.update(name);
        }
        RecordDigest(keyed.finalize().into_bytes().into())
    }

    /// Seals the clinic's own id of a record, so that it can rest on the gateway's disk.
    ///
    /// The nonce is a part of the record's digest, which is keyed and stands for this one id: no
    /// nonce is used for two texts, and the same id is sealed to the same bytes.
    #[must_use]
    pub fn seal_name(&self, record: &RecordDigest, record_id: &str) -> Vec<u8> {
        let payload = Payload {
            msg: record_id.as_bytes(),
            aad: &record.0,
        };
        let sealed = self.names.encrypt(&name_nonce(record), payload);
        sealed.expect("an id is far shorter than the cipher's limit")
    }

    /// Opens a sealed id; `None` where it was not sealed under this key for this record.
    #[must_use]
    pub fn open_name(&self, record: &RecordDigest, sealed: &[u8]) -> Option<String> {
        let payload = Payload {
            msg: sealed,
            aad: &record.0,
        };
        let opened = self.names.decrypt(&name_nonce(record), payload).ok()?;
        String::from_utf8(opened).ok()
    }

    /// Secrets of the values that nobody has mapped.
    #[must_use]
    pub const fn values(&self) -> &ValueSecrets {
        &self.values
    }

    /// Secrets of the classes of facts that leave alike.
    #[must_use]
    pub const fn classes(&self) -> &ClassSecrets {
        &self.classes
    }

    fn derive(&self, record: &RecordDigest) -> Derived {
        let digest: [u8; 32] = mac(&self.record, &record.0, &[]);
        let (owner, rest) = digest.split_at(OWNER_TOKEN_BYTES);
        let (numbers, _) = rest.as_chunks::<8>();
        let [spread, steps] = [numbers[0], numbers[1]].map(u64::from_be_bytes);
        let mut token = OwnerToken([0; OWNER_TOKEN_BYTES]);
        token.0.copy_from_slice(owner);
        Derived {
            owner: token,
            beginning: FIRST_BEGINNING + spread % (LAST_BEGINNING - FIRST_BEGINNING),
            steps,
        }
    }
}

impl Derived {
    /// Version that stands for a revision of the record; `None` where it is not within the limits.
    fn version(&self, revision: Revision) -> Option<Version> {
        if !revision.is_within_limits() {
            return None;
        }
        let place = u64::from(revision.generation) << COUNT_BITS | u64::from(revision.count);
        // Multiplicative hashing (Knuth, TAOCP 3, 6.4) under a secret of the record: enough, since
        // whoever sees several versions of a record sees about how far they are apart anyway.
        let step = self.steps.wrapping_mul(2 * place + 1) >> (u64::BITS - STEP_BITS);
        Version::new(self.beginning + (place << STEP_BITS) + step)
    }
}

impl fmt::Debug for RecordSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordSecrets(…)")
    }
}

fn name_nonce(record: &RecordDigest) -> XNonce {
    let mut nonce = XNonce::default();
    nonce.copy_from_slice(&record.0[..24]);
    nonce
}

fn mac(keyed: &Hmac<Sha256>, record: &[u8; 32], rest: &[u8]) -> [u8; 32] {
    let keyed = keyed.clone().chain_update(record).chain_update(rest);
    keyed.finalize().into_bytes().into()
}

fn digest_of(keyed: &Hmac<Sha256>, record: &RecordDigest, rest: &[u8]) -> ContentDigest {
    let digest = mac(keyed, &record.0, rest);
    let mut content = ContentDigest([0; 16]);
    content.0.copy_from_slice(&digest[..16]);
    content
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::revision::{MAX_FIRST_FORM_GENERATION, MAX_GENERATION};

    fn secrets() -> RecordSecrets {
        RecordSecrets::new(&[0x0b; 32])
    }

    fn revision(generation: u32, count: u32) -> Revision {
        Revision { generation, count }
    }

    proptest! {
        #[test]
        fn versions_rise_with_revisions_and_lead_back_to_them(
            record: [u8; 32],
            one in (1..=MAX_GENERATION, 1..=MAX_COUNT),
            other in (1..=MAX_GENERATION, 1..=MAX_COUNT),
        ) {
            let record = RecordDigest(record);
            let secrets = secrets();
            let [one, other] = [one, other].map(|(generation, count)| revision(generation, count));
            let version = |revision| secrets.version(&record, revision).unwrap();
            prop_assert_eq!(version(one).cmp(&version(other)), one.cmp(&other));
            prop_assert_eq!(secrets.revision(&record, version(one)), Some(one));
            let both = secrets.owner_and_version(&record, one);
            prop_assert_eq!(both, Some((secrets.owner(&record), version(one))));
        }

        #[test]
        fn version_of_another_clinic_is_not_ours(record: [u8; 32], generation in 1..100_u32) {
            let record = RecordDigest(record);
            let other = RecordSecrets::new(&[0x0c; 32]);
            let theirs = other.version(&record, revision(generation, 1)).unwrap();
            let read = secrets().revision(&record, theirs);
            // A version of twelve matching low bits above our beginning would pass: one in 4096 of
            // those that are within our limits at all.
            prop_assert!(read.is_none_or(|read| secrets().version(&record, read) == Some(theirs)));
            prop_assert_ne!(other.owner(&record), secrets().owner(&record));
        }
    }

    #[test]
    fn a_name_is_opened_only_for_its_record_and_under_its_key() {
        let [record, other] = [7, 8].map(|byte| RecordDigest([byte; 32]));
        let sealed = secrets().seal_name(&record, "Прививка-17");
        assert_eq!(
            secrets().open_name(&record, &sealed).as_deref(),
            Some("Прививка-17")
        );
        assert_eq!(sealed, secrets().seal_name(&record, "Прививка-17"));
        assert_eq!(secrets().open_name(&other, &sealed), None);
        let other_key = RecordSecrets::new(&[0x0c; 32]);
        assert_eq!(other_key.open_name(&record, &sealed), None);
        for damaged in [&sealed[..sealed.len() - 1], &[]] {
            assert_eq!(secrets().open_name(&record, damaged), None);
        }
    }

    #[test]
    fn neighbouring_revisions_differ_by_an_uneven_step() {
        let record = RecordDigest([7; 32]);
        let version = |count| {
            secrets()
                .version(&record, revision(1, count))
                .unwrap()
                .to_u64()
        };
        let steps: Vec<u64> = (1..20)
            .map(|count| version(count + 1) - version(count))
            .collect();
        assert!(steps.iter().all(|step| (1..1 << 13).contains(step)));
        assert!(steps.windows(2).any(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn limits_hold_at_their_edge() {
        let record = RecordDigest([7; 32]);
        let last = revision(MAX_GENERATION, MAX_COUNT);
        assert!(secrets().version(&record, last).is_some());
        for beyond in [
            revision(0, 1),
            revision(1, 0),
            revision(MAX_GENERATION + 1, 1),
            revision(1, MAX_COUNT + 1),
        ] {
            assert_eq!(secrets().version(&record, beyond), None, "{beyond:?}");
        }
        let last_of_first_form = u64::from(MAX_FIRST_FORM_GENERATION) << 32 | u64::from(u32::MAX);
        assert_eq!(FIRST_BEGINNING, last_of_first_form + 1);
        for foreign in [Version::new(1).unwrap(), Version::MAX] {
            assert_eq!(secrets().revision(&record, foreign), None);
        }
    }

    #[test]
    fn the_values_are_the_documented_hmacs() {
        // python3: hmac.new(b"\x0b"*32, b"clinic-gateway/withdrawal/v2\0" + b"\x07"*32 +
        // b"test", "sha256").hexdigest()[:32]
        let record = RecordDigest([7; 32]);
        let content = secrets().withdrawal_content(&record, FactKind::Test);
        assert_eq!(content.to_hex(), EXPECTED_CONTENT);
        // The same of b"clinic-gateway/record-secrets/v1\0" + b"\x07"*32.
        assert_eq!(hex::encode(secrets().owner(&record).0), EXPECTED_OWNER);
        // The whole of b"clinic-gateway/beacon/v2\0" + b"\0\0\0\0\0\0\0\x03lab" +
        // b"\0\0\0\0\0\0\0\x03mis".
        assert_eq!(beacon(&["lab", "mis"]).to_hex(), EXPECTED_BEACON);
    }

    fn beacon(sources: &[&str]) -> RecordDigest {
        let sources: Vec<String> = sources.iter().copied().map(str::to_owned).collect();
        secrets().beacon(&sources)
    }

    #[test]
    fn beacon_is_that_of_the_sources_in_any_order() {
        assert_eq!(beacon(&["mis", "lab"]), beacon(&["lab", "mis"]));
        assert_ne!(beacon(&["mis"]), beacon(&["lab", "mis"]));
        assert_ne!(beacon(&["mi", "slab"]), beacon(&["mis", "lab"]));
    }

    const EXPECTED_BEACON: &str =
        "c6f6b8b50d6557cd29c9ef6e1bac0ff096c6939828c620f94016eff444077a43";

    const EXPECTED_CONTENT: &str = "4b57e8ca26a8feed218ca5d656c00005";
    const EXPECTED_OWNER: &str = "a08eb54404d189e41da7315460e24a72";

    #[test]
    fn content_differs_from_record_to_record() {
        let of = |byte| secrets().withdrawal_content(&RecordDigest([byte; 32]), FactKind::Test);
        assert_ne!(of(1), of(2));
        let asserted = |byte| secrets().content(&RecordDigest([byte; 32]), b"the same");
        assert_ne!(asserted(1), asserted(2));
    }
}
