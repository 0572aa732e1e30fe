//! End of certificates whose statement the person's facts carry no longer.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use eligibility::{Evidence, Statement, carried_statements};
use pass::revocation::{EndedPass, Tag};

use super::entry::statement_text;
use crate::passes::person::Person;
use crate::passes::settings::MOST_PER_WINDOW;
use crate::passes::{PassError, Passes};
use crate::store::{CertificateCount, CertificateKey, NameValue, StoreError};

/// Number of counts that are looked at between two writes.
const CHUNK: u32 = 1000;

/// Certificates that have ended and would still hold.
#[derive(Debug, Default)]
pub(in crate::passes) struct EndedCertificates {
    /// Certificates, all of them.
    pub ended: Vec<EndedPass>,
    /// Number of those that this look ended.
    pub newly_ended: u64,
}

impl Passes {
    /// Ends the certificates that are not carried any more, and returns all that have ended.
    pub(in crate::passes) async fn end_certificates(
        &self,
        now: DateTime<Utc>,
    ) -> Result<EndedCertificates, PassError> {
        let store = &self.reader.store;
        let mut found = EndedCertificates::default();
        let mut after = CertificateKey::FIRST;
        loop {
            let mut counts = store.open_certificates(&after, CHUNK, now).await?;
            let Some(last) = counts.last() else {
                return Ok(found);
            };
            after = last.key;
            // The certificates of one name come one after another.
            for counts in counts.chunk_by_mut(|one, next| one.key.name == next.key.name) {
                found.newly_ended += self.end_certificates_of(counts, now).await?;
            }
            found.ended.extend(
                counts
                    .iter()
                    .flat_map(|count| self.ended_certificates(count)),
            );
        }
    }

    /// Ends those of a name's certificates that its person's facts do not carry any more; returns
    /// their number. All counts are of one name.
    async fn end_certificates_of(
        &self,
        counts: &mut [CertificateCount],
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let mut open = counts.iter().filter(|count| count.ended < count.issued);
        let Some(name) = open.next().map(|count| count.key.name) else {
            return Ok(0);
        };
        let person = Person::by_name(&self.reader, name).await?;
        let contents = self.contents_of(&name, person.evidence(), now);
        let mut changed = Vec::new();
        let mut newly_ended = 0;
        for count in counts {
            if count.ended == count.issued || contents.contains(&count.key.content) {
                continue;
            }
            newly_ended += u64::from(count.issued - count.ended);
            count.ended = count.issued;
            changed.push(*count);
        }
        if !changed.is_empty() {
            self.reader.store.end_certificates(&changed).await?;
        }
        Ok(newly_ended)
    }

    /// Contents of the certificates that a name's facts carry.
    fn contents_of(
        &self,
        name: &NameValue,
        evidence: Evidence<'_>,
        now: DateTime<Utc>,
    ) -> BTreeSet<[u8; 32]> {
        let carried = carried_statements(&self.rules, evidence, now);
        let contents = carried
            .iter()
            .map(|statement| self.content_of(name, statement));
        contents.collect()
    }

    /// Keyed digest of what a certificate of a name states.
    pub(super) fn content_of(&self, name: &NameValue, statement: &Statement) -> [u8; 32] {
        let text = statement_text(statement);
        self.keys.ids.certificate_content(name, text.as_bytes())
    }

    fn ended_certificates(&self, count: &CertificateCount) -> impl Iterator<Item = EndedPass> {
        let key = count.key;
        let expiry = DateTime::from_timestamp(count.ends_at, 0);
        let numbers = 0..count.ended.min(MOST_PER_WINDOW.into());
        numbers.filter_map(move |number| {
            let id = self
                .keys
                .ids
                .certificate_id(&key.name, &key.content, number);
            Some(EndedPass {
                tag: Tag::of_pass(id.0),
                expiry: expiry?,
            })
        })
    }
}
