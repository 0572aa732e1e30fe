//! A clinic's record in, a draft event or a rejection out.

use std::sync::Arc;

use chrono::NaiveDate;
use connector_kit::{ClinicRecord, Feed, RecordStatus};
use contract::{Body, ContentDigest, Fact, FactKind, Precision, RecordDigest, Suite};
use draft::{Draft, DraftBody};

use record_secrets::RecordSecrets;

use crate::canonical::Canonical;
use crate::fact::{self, Converted};
use crate::held::HeldIdentifiers;
use crate::keys::KeyRing;
use crate::mac::Keyed;
use crate::policy::Policy;
use crate::rejection::{Rejection, RejectionReason};
use crate::release::FactRelease;
use crate::subject::{PersonNames, PseudonymKeys, Warnings};
use crate::suites::Suites;

/// Longest id of a source, in bytes.
pub const MAX_SOURCE_ID_BYTES: usize = 64;

/// Longest id of a record, in bytes; a longer one is refused.
pub const MAX_RECORD_ID_BYTES: usize = 512;

/// Begins every keyed input of a record digest.
const RECORD_DOMAIN: &str = "clinic-gateway/record/v1";

/// Begins the keyed input of a codes file's digest.
const CODES_FILE_DOMAIN: &[u8] = b"clinic-gateway/codes-file/v1\0";

/// Result of pseudonymising one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordOutcome {
    /// Event that leaves: an assertion, or the withdrawal of an earlier one.
    Draft(Draft, Warnings),
    /// Record that is not about COVID-19: nobody is troubled with it. The draft is a withdrawal
    /// with `only_if_sent`, which takes back what an earlier version of the record asserted.
    OutOfScope(Draft),
    /// Record that stays at the clinic until somebody corrects it.
    Rejected(Rejection),
}

/// Why a pseudonymiser cannot be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NewError {
    /// The source's id is unusable.
    #[error("a source's id must have 1 to {MAX_SOURCE_ID_BYTES} bytes and no NUL")]
    SourceId,
}

/// Turns the records of one source into drafts. Cheap to share between threads; holds keys, so
/// never printed.
pub struct Pseudonymiser {
    keys: Arc<PseudonymKeys>,
    /// HMAC-SHA-256 under the record key, one for each feed with everything but the record id taken
    /// in.
    records: [Keyed; Feed::ALL.len()],
    /// HMAC-SHA-256 under the record key, for the digest of a codes file.
    codes_files: Keyed,
    secrets: RecordSecrets,
    policy: Policy,
    release: FactRelease,
}

/// Meaning of a record, before its digest is made.
pub(crate) enum RecordMeaning {
    Asserted(PersonNames, Fact, Warnings),
    Withdrawn { only_if_sent: bool },
    OutOfScope,
}

impl Pseudonymiser {
    /// Prepares the keyed states. `source_id` enters the record digests: changing it announces
    /// every record anew.
    ///
    /// # Errors
    /// [`NewError`].
    pub fn new(
        ring: &KeyRing,
        suites: impl Into<Suites>,
        source_id: &str,
        policy: Policy,
    ) -> Result<Self, NewError> {
        if source_id.is_empty() || source_id.len() > MAX_SOURCE_ID_BYTES || source_id.contains('\0')
        {
            return Err(NewError::SourceId);
        }
        let keyed = Keyed::new(Suite::Hmac, ring.record_key());
        let records = Feed::ALL.map(|feed| {
            let prefix = format!("{RECORD_DOMAIN}\0{source_id}\0{}\0", feed.as_str());
            keyed.clone().absorb(prefix.as_bytes())
        });
        Ok(Self {
            keys: Arc::new(PseudonymKeys::new(ring, suites.into())),
            records,
            codes_files: keyed.absorb(CODES_FILE_DOMAIN),
            secrets: ring.record_secrets(),
            policy,
            release: FactRelease::default(),
        })
    }

    /// The same pseudonymiser under a release policy; a new one releases everything.
    #[must_use]
    pub fn with_release(self, release: FactRelease) -> Self {
        Self { release, ..self }
    }

    /// The same pseudonymiser under another policy of its source.
    #[must_use]
    pub fn with_policy(&self, policy: Policy) -> Self {
        Self {
            keys: Arc::clone(&self.keys),
            records: self.records.clone(),
            codes_files: self.codes_files.clone(),
            secrets: self.secrets.clone(),
            policy,
            release: self.release.clone(),
        }
    }

    /// Digest of a source's settings together with what a codes file maps for one feed; see
    /// [`KeyRing::settings_digest`].
    #[must_use]
    pub fn settings_with_codes(&self, settings: &str, codes: &str) -> String {
        let digest = self
            .codes_files
            .digest(format!("{settings}\0{codes}").as_bytes());
        digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Turns one record into what leaves, or says why it does not. `today` is the clinic's local
    /// date. Identifiers that key services are to evaluate are not kept: the draft can be looked
    /// at, and not be sent.
    #[must_use]
    pub fn apply(&self, record: ClinicRecord, today: NaiveDate) -> RecordOutcome {
        self.apply_and_hold(record, today, &mut HeldIdentifiers::default())
    }

    /// Turns one record into what leaves, as [`Self::apply`] does; identifiers that key services
    /// are to evaluate go to `held`.
    #[must_use]
    pub fn apply_and_hold(
        &self,
        record: ClinicRecord,
        today: NaiveDate,
        held: &mut HeldIdentifiers,
    ) -> RecordOutcome {
        let kind = fact_kind(record.fact.feed());
        let withdrawn = DraftBody::Ready(Body::Withdrawn { kind });
        match self.meaning(&record, today, held) {
            Ok(RecordMeaning::Asserted(names, fact, warnings)) => {
                let body = match names {
                    PersonNames::Ready(subject) => {
                        DraftBody::Ready(Body::Asserted { subject, fact })
                    }
                    PersonNames::Local { person, beside } => DraftBody::Unevaluated {
                        person,
                        beside,
                        fact,
                    },
                };
                let draft = self.draft(&record, body, false);
                let class = self.class_of(&record, &draft);
                RecordOutcome::Draft(Draft { class, ..draft }, warnings)
            }
            Ok(RecordMeaning::Withdrawn { only_if_sent }) => {
                let draft = self.draft(&record, withdrawn, only_if_sent);
                RecordOutcome::Draft(draft, Warnings::default())
            }
            Ok(RecordMeaning::OutOfScope) => {
                RecordOutcome::OutOfScope(self.draft(&record, withdrawn, true))
            }
            Err(reason) => {
                let digest = self.digest_of(&record);
                let value = self.seen_value(&record, reason);
                RecordOutcome::Rejected(Rejection {
                    record_id: cut(record.record_id),
                    record: digest,
                    kind,
                    reason,
                    value,
                })
            }
        }
    }

    /// Checks a record and finds its meaning.
    pub(crate) fn meaning(
        &self,
        record: &ClinicRecord,
        today: NaiveDate,
        held: &mut HeldIdentifiers,
    ) -> Result<RecordMeaning, RejectionReason> {
        if record.record_id.is_empty() || record.record_id.len() > MAX_RECORD_ID_BYTES {
            return Err(RejectionReason::RecordIdInvalid);
        }
        match record.status {
            RecordStatus::Final | RecordStatus::PersonHidden => {}
            RecordStatus::Unknown => return Err(RejectionReason::StatusUnknown),
            RecordStatus::Unreadable => return Err(RejectionReason::RecordUnreadable),
            // A cancelled influenza shot was never sent: announcing it would tell of something that
            // is not ours.
            RecordStatus::Cancelled | RecordStatus::NotAFact
                if fact::is_out_of_scope(&self.policy, &record.fact) =>
            {
                return Ok(RecordMeaning::OutOfScope);
            }
            // To take something back, its id is enough, however damaged the rest of the row is.
            RecordStatus::Cancelled => {
                return Ok(RecordMeaning::Withdrawn {
                    only_if_sent: false,
                });
            }
            RecordStatus::NotAFact => return Ok(RecordMeaning::Withdrawn { only_if_sent: true }),
        }
        // The fact comes first: an influenza shot with a mistyped SNILS is nobody's concern here.
        let (fact, doses_dropped) = match fact::convert(&self.policy, &record.fact, today)? {
            Converted::Fact(fact, doses_dropped) => (self.release.released(&fact), doses_dropped),
            Converted::OutOfScope => return Ok(RecordMeaning::OutOfScope),
            Converted::NoResult => return Ok(RecordMeaning::Withdrawn { only_if_sent: true }),
        };
        if record.status == RecordStatus::PersonHidden {
            return Err(RejectionReason::PersonHidden);
        }
        let rules = &self.policy.identifiers;
        let (names, of_subject) = self.keys.subject(&record.person, rules, held)?;
        let warnings = Warnings {
            doses_dropped,
            ..of_subject
        };
        Ok(RecordMeaning::Asserted(names, fact, warnings))
    }

    fn draft(&self, record: &ClinicRecord, body: DraftBody, only_if_sent: bool) -> Draft {
        let digest = self.digest_of(record);
        Draft {
            content: self.content_digest(&digest, &body),
            record: digest,
            body,
            only_if_sent,
            class: None,
        }
    }

    /// The digest of a record by its id alone: for a sweep, which reads no more than ids.
    #[must_use]
    pub fn record_digest(&self, feed: Feed, record_id: &str) -> RecordDigest {
        let place = Feed::ALL
            .iter()
            .position(|listed| *listed == feed)
            .expect("ALL lists every feed");
        RecordDigest(self.records[place].digest(record_id.as_bytes()))
    }

    pub(crate) fn content_digest(&self, record: &RecordDigest, body: &DraftBody) -> ContentDigest {
        let canonical = match body {
            DraftBody::Ready(Body::Asserted { subject, fact }) => Canonical::of(subject, fact),
            DraftBody::Unevaluated {
                person,
                beside,
                fact,
            } => Canonical::of_local(person, beside.as_ref(), fact),
            DraftBody::Ready(Body::Withdrawn { kind }) => {
                return self.secrets.withdrawal_content(record, *kind);
            }
        };
        self.secrets.content(record, canonical.as_bytes())
    }

    pub(crate) fn digest_of(&self, record: &ClinicRecord) -> RecordDigest {
        self.record_digest(record.fact.feed(), &record.record_id)
    }

    pub(crate) fn keys(&self) -> &PseudonymKeys {
        &self.keys
    }

    pub(crate) const fn secrets(&self) -> &RecordSecrets {
        &self.secrets
    }

    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Release policy of the facts.
    #[must_use]
    pub const fn release(&self) -> &FactRelease {
        &self.release
    }

    /// Most exact form in which dates of this kind of fact leave: the coarser one of the source's
    /// policy and the release policy.
    #[must_use]
    pub fn precision(&self, kind: FactKind) -> Precision {
        self.policy
            .precision(kind)
            .min(self.release.precision(kind))
    }

    /// Fact that leaves of a record, and whose it is; `None` where none does.
    #[must_use]
    pub fn leaving(&self, record: &ClinicRecord, today: NaiveDate) -> Option<Leaving> {
        match self.meaning(record, today, &mut HeldIdentifiers::default()) {
            Ok(RecordMeaning::Asserted(names, fact, _)) => Some(Leaving {
                fact,
                person: names.values(),
            }),
            Ok(RecordMeaning::Withdrawn { .. } | RecordMeaning::OutOfScope) | Err(_) => None,
        }
    }
}

/// Fact that leaves of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// The fact as it leaves.
    pub fact: Fact,
    /// Keyed digests of the person's identifiers. Records that have one in common are of one person.
    pub person: Vec<[u8; 32]>,
}

/// The kind of fact a feed brings.
#[must_use]
pub const fn fact_kind(feed: Feed) -> FactKind {
    match feed {
        Feed::Vaccinations => FactKind::Vaccination,
        Feed::Tests => FactKind::Test,
        Feed::Recoveries => FactKind::Recovery,
    }
}

/// An id that is too long, cut at a character's edge, so that a dead letter can hold it.
fn cut(mut record_id: String) -> String {
    record_id.truncate(record_id.floor_char_boundary(MAX_RECORD_ID_BYTES));
    record_id
}

#[cfg(test)]
mod tests;
