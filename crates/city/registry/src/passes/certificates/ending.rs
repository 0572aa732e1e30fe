//! End of certificates whose statement the person's facts carry no longer.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use eligibility::{Evidence, Statement, carried_statements};
use pass::revocation::{EndedPass, Tag};

use super::entry::statement_text;
use crate::passes::Passes;
use crate::passes::person::Person;
use crate::passes::settings::MOST_PER_WINDOW;
use crate::store::{CertificateCount, CertificateKey, NameValue, StoreError};

/// Number of counts that are read at once.
const CHUNK: u32 = 1000;

/// Counts of one name, of those of several that are sorted by it.
pub(in crate::passes) fn certificates_of<'a>(
    counts: &'a [CertificateCount],
    name: &NameValue,
) -> &'a [CertificateCount] {
    let begin = counts.partition_point(|count| count.key.name < *name);
    let end = counts.partition_point(|count| count.key.name <= *name);
    &counts[begin..end]
}

impl Passes {
    /// Judges the certificates of one name; returns those of its counts that its person's facts do
    /// not carry any more.
    pub(in crate::passes) fn uncarried_certificates(
        &self,
        person: &Person,
        counts: &[CertificateCount],
        now: DateTime<Utc>,
    ) -> Vec<CertificateCount> {
        let Some(first) = counts.first() else {
            return Vec::new();
        };
        let contents = self.contents_of(&first.key.name, person.evidence(), now);
        let is_carried = |count: &CertificateCount| contents.contains(&count.key.content);
        let uncarried = counts.iter().filter(|count| !is_carried(count));
        uncarried.copied().collect()
    }

    /// Ends certificates that are not carried any more; returns how many that are.
    pub(in crate::passes) async fn end_certificates(
        &self,
        mut uncarried: Vec<CertificateCount>,
    ) -> Result<u64, StoreError> {
        if uncarried.is_empty() {
            return Ok(0);
        }
        let mut newly_ended = 0;
        for count in &mut uncarried {
            newly_ended += u64::from(count.issued - count.ended);
            count.ended = count.issued;
        }
        self.reader.store.end_certificates(&uncarried).await?;
        Ok(newly_ended)
    }

    /// Reads all certificates that have ended and have not expired.
    pub(in crate::passes) async fn all_ended_certificates(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Vec<EndedPass>, StoreError> {
        let store = &self.reader.store;
        let mut ended = Vec::new();
        let mut after = CertificateKey::FIRST;
        loop {
            let counts = store.ended_certificates(&after, CHUNK, now).await?;
            let Some(last) = counts.last() else {
                return Ok(ended);
            };
            after = last.key;
            ended.extend(
                counts
                    .iter()
                    .flat_map(|count| self.ended_certificates(count)),
            );
        }
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
