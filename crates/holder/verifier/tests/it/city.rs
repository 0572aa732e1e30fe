//! A city that issues passes, for tests.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use pass::PassId;
use pass::Product;
use pass::hcert::{Certificate, Entry, HcertClaims, Vaccination};
use pass::holder::{BirthDate, HolderAttributes, Initial};
use pass::keys::{PublicKey, SigningKey, jwk_set};
use pass::revocation::{Edition, RevocationList, RevocationPayload, Tag, TagSet};
use pass::strip::{issue_certificate, issue_strip};
use pass::trust::{TrustBundle, TrustedKey, sign_revocations};
use pass::window::Window;
use tempfile::TempDir;

use crate::run::file;

/// 2026-11-28T21:00:00Z: 00:00 in Moscow, when the window of a strip begins.
pub(crate) const MIDNIGHT: i64 = 1_795_899_600;

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

pub(crate) fn stamp(seconds: i64) -> String {
    at(seconds).to_rfc3339()
}

/// A city with its keys and the files that verifiers have.
pub(crate) struct City {
    pub(crate) folder: TempDir,
    root: SigningKey,
    pub(crate) key: SigningKey,
}

impl City {
    pub(crate) fn new() -> Self {
        let city = Self {
            folder: tempfile::tempdir().unwrap(),
            root: SigningKey::generate(),
            key: SigningKey::generate(),
        };
        city.write("root.jwk", city.root.public().jwk().to_string().as_bytes());
        city.write("keys.json", jwk_set(&[*city.key.public()]).as_bytes());
        city.publish(1, MIDNIGHT, &[]);
        city
    }

    /// Writes bundle and list of a sequence, issued at a time, with ended passes.
    pub(crate) fn publish(&self, sequence: u64, issued: i64, ended: &[PassId]) {
        let keys = vec![self.trusted(self.key.public(), at(MIDNIGHT))];
        self.write_data(sequence, at(issued), keys, ended);
    }

    /// Writes bundle and list, issued at a time, with a further key that begins at another.
    pub(crate) fn publish_with(&self, next: &SigningKey, begins: i64, issued: i64) {
        let next = TrustedKey {
            from: at(begins),
            ..self.trusted(next.public(), at(begins))
        };
        let keys = vec![self.trusted(self.key.public(), at(MIDNIGHT)), next];
        self.write_data(2, at(issued), keys, &[]);
    }

    /// Writes bundle and list whenever it is called, issued at the time of the call, with a key for
    /// the days around a moment.
    pub(crate) fn trusting(&self, around: DateTime<Utc>) -> impl Fn(DateTime<Utc>) {
        move |issued| {
            let keys = vec![self.trusted(self.key.public(), around)];
            self.write_data(1, issued, keys, &[]);
        }
    }

    fn write_data(
        &self,
        sequence: u64,
        issued_at: DateTime<Utc>,
        keys: Vec<TrustedKey>,
        ended: &[PassId],
    ) {
        let bundle = TrustBundle {
            sequence,
            issued_at,
            keys,
            lowest_revocations: sequence,
            issuer: "RU-MOW".to_owned(),
        };
        self.write("trust.cose", &bundle.sign(&self.root).unwrap());
        let tags = TagSet::new(ended.iter().map(|id| Tag::of_pass(id.0)).collect()).unwrap();
        let edition = Edition::new(sequence, issued_at).unwrap();
        let list = RevocationPayload::Whole(RevocationList::new(edition, tags));
        self.write("revocations.cose", &sign_revocations(&list, &self.key));
    }

    /// Id and fingerprint of the root key, as they are shown.
    pub(crate) fn root_shown(&self) -> String {
        let root = self.root.public();
        format!("{} (fingerprint {})", root.kid(), root.fingerprint())
    }

    fn trusted(&self, key: &PublicKey, around: DateTime<Utc>) -> TrustedKey {
        TrustedKey {
            key: *key,
            from: around - TimeDelta::days(7),
            until: around + TimeDelta::days(30),
            products: vec![Product::City, Product::Hcert, Product::Revocations],
        }
    }

    /// A strip of the day that begins at midnight, of a holder with the initials A and Q, born on
    /// the 17th.
    pub(crate) fn strip(&self, id: PassId) -> String {
        let letter = |letter: &str| Initial::try_from(letter).ok();
        let birth = BirthDate::new(Some(17), None).unwrap();
        self.strip_of(id, HolderAttributes::new(letter("A"), letter("Q"), birth))
    }

    /// A strip of the same day with these attributes.
    pub(crate) fn strip_of(&self, id: PassId, holder: HolderAttributes) -> String {
        let window = Window::new(at(MIDNIGHT), at(MIDNIGHT) + TimeDelta::days(1)).unwrap();
        issue_strip(&self.key, "RU-MOW", window, id, holder)
    }

    pub(crate) fn certificate(&self) -> String {
        let entry = Entry::Vaccination(Vaccination {
            prophylaxis: "J07BX03".to_owned(),
            product: "Sputnik-V".to_owned(),
            manufacturer: "Gamaleya-Research-Institute".to_owned(),
            dose: 2,
            doses: 2,
            date: at(MIDNIGHT).date_naive(),
            country: "RU".to_owned(),
        });
        let claims = HcertClaims {
            issuer: "RU-MOW".to_owned(),
            issued_at: at(MIDNIGHT),
            expires: at(MIDNIGHT) + TimeDelta::days(30),
            id: PassId::random(),
            certificate: Certificate {
                given_initial: Initial::try_from("A").ok(),
                family_initial: None,
                entry,
            },
        };
        issue_certificate(&self.key, &claims).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        file(self.folder.path(), name, bytes)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}
