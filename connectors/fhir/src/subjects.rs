//! Patients by their ids: in lists, and those that no list brings by their own addresses.
//!
//! A record whose patient is missing is refused, and what was sent of it before is withdrawn. So a
//! patient counts as missing only when it was asked for alone, and never by a refusal of the right
//! to read it (401, 403): a right that is gone is no fact about a person. One who is refused counts
//! as hidden while the server shows this account other patients.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use connector_kit::SourceError;

use crate::bundle::{self, PatientEntry};
use crate::query::MAX_BATCH;
use crate::refusal::{Ask, HttpRefusal};
use crate::session::FhirSession;

const PATIENT: &str = "Patient";
/// Patients that must be named before all of them can be taken for hidden, and not for deleted.
const MIN_JUDGED: usize = 20;

/// Reads patients by their ids; those that are gone are left out. `came_along`: number of patients
/// whom the page with their records brought by itself.
///
/// # Errors
/// [`SourceError::Misconfigured`] where the account may read none of many, or no patient at all:
/// then nothing is known of any person, so that nothing may be sent or withdrawn.
pub(crate) async fn read(
    session: &FhirSession,
    ids: BTreeSet<String>,
    came_along: usize,
    now: DateTime<Utc>,
) -> Result<PatientsRead, SourceError> {
    let ids: Vec<String> = ids.into_iter().collect();
    let reader = SubjectReader {
        session,
        now,
        only_ids: false,
    };
    let mut read = PatientsRead::default();
    for batch in ids.chunks(MAX_BATCH) {
        read.add(reader.read_batch(batch).await?);
    }
    let hidden = read.hidden.len();
    if hidden == 0 {
        return Ok(read);
    }
    let shows_others = came_along > 0 || !read.found.is_empty();
    let hides_many = hidden == ids.len() && hidden >= MIN_JUDGED && !shows_others;
    // Credentials that were taken back in between (401) hide whoever was asked for since then.
    let is_certain = shows_others && !read.is_unauthorised;
    let may_read = is_certain || reader.shows_any().await?;
    if hides_many || !may_read {
        return Err(may_not_read(hidden, ids.len()));
    }
    tracing::info!(
        patients = hidden,
        "the FHIR account may not read some patients whom records name; these records are refused"
    );
    Ok(read)
}

/// Error for patients whom the account may not read.
fn may_not_read(hidden: usize, named: usize) -> SourceError {
    SourceError::misconfigured(
        format!(
            "the FHIR account may not read Patient (403): {hidden} of {named} patients whom \
             records name are kept from it"
        ),
        "give the account the right to read every Patient; until then this feed stands still, and \
         nothing that was sent of it is withdrawn",
    )
}

/// The patients among these who are not there (any more). None is said to be missing where the
/// server shows this account hardly any patient, or refuses to look for them.
pub(crate) async fn missing(
    session: &FhirSession,
    ids: BTreeSet<String>,
    now: DateTime<Utc>,
) -> Result<HashSet<String>, SourceError> {
    let reader = SubjectReader {
        session,
        now,
        only_ids: true,
    };
    let ids: Vec<String> = ids.into_iter().collect();
    let mut missing = HashSet::new();
    for batch in ids.chunks(MAX_BATCH) {
        let read = match reader.read_batch(batch).await {
            Ok(read) => read,
            Err(error @ SourceError::Retry { .. }) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "a sweep cannot look for the patients of records");
                return Ok(HashSet::new());
            }
        };
        let mut there = read.hidden;
        there.extend(read.found.into_iter().filter_map(|entry| entry.id));
        missing.extend(batch.iter().filter(|id| !there.contains(*id)).cloned());
    }
    if ids.len() >= MIN_JUDGED && missing.len() == ids.len() {
        tracing::warn!(
            patients = ids.len(),
            "the FHIR server shows this account none of the patients that records name"
        );
        return Ok(HashSet::new());
    }
    Ok(missing)
}

struct SubjectReader<'a> {
    session: &'a FhirSession,
    now: DateTime<Utc>,
    /// True if nothing but ids is asked for.
    only_ids: bool,
}

/// Answer of the server to a list of ids.
#[derive(Default)]
pub(crate) struct PatientsRead {
    pub found: Vec<PatientEntry>,
    /// Ids of the patients whom the account may not read.
    pub hidden: HashSet<String>,
    /// True if one of them was refused for the credentials (401).
    is_unauthorised: bool,
}

impl PatientsRead {
    fn add(&mut self, other: Self) {
        self.found.extend(other.found);
        self.hidden.extend(other.hidden);
        self.is_unauthorised |= other.is_unauthorised;
    }
}

/// Answer to a read of one patient.
enum AloneRead {
    /// The patient; none where it is gone.
    Answered(Vec<PatientEntry>),
    /// The account may not read this one, by this status.
    Refused(u16),
}

impl SubjectReader<'_> {
    async fn read_batch(&self, ids: &[String]) -> Result<PatientsRead, SourceError> {
        let one_by_one = &self.session.limits.patients_one_by_one;
        let together = !one_by_one.is_known();
        let mut read = PatientsRead::default();
        if together {
            read.found = self.search(ids).await?;
        }
        let found = read.found.iter();
        let known: HashSet<String> = found.filter_map(|entry| entry.id.clone()).collect();
        let mut found_alone = 0;
        let mut example = None;
        for id in ids.iter().filter(|id| !known.contains(*id)) {
            match self.read_alone(id).await? {
                AloneRead::Refused(status) => {
                    read.hidden.insert(id.clone());
                    read.is_unauthorised |= status == 401;
                }
                AloneRead::Answered(alone) => {
                    if !alone.is_empty() {
                        found_alone += 1;
                        example = example.or(Some(id));
                    }
                    read.found.extend(alone);
                }
            }
        }
        if together
            && ids.len() > 1
            && found_alone * 2 > ids.len()
            && let Some(example) = example
            && self.is_found_only_alone(example, ids).await?
        {
            tracing::info!(
                "the FHIR server does not search for several patients at once; they are read one \
                 by one"
            );
            one_by_one.learn();
        }
        Ok(read)
    }

    /// True if the server shows this account a patient.
    async fn shows_any(&self) -> Result<bool, SourceError> {
        let url = self.session.queries.any_patient();
        let ask = Ask::Search(PATIENT);
        let fetched = self.session.get_page(url, ask, self.now).await?;
        Ok(!fetched.page.matches.is_empty())
    }

    /// True if a search finds an id by itself and not among the others: an index that lags behind
    /// finds it in neither way. By itself first: an index that catches up in between then shows
    /// itself by the second search.
    async fn is_found_only_alone(&self, id: &String, ids: &[String]) -> Result<bool, SourceError> {
        for (asked, expected) in [(std::slice::from_ref(id), true), (ids, false)] {
            let found = self.search(asked).await?;
            let mut found = found.iter();
            if found.any(|entry| entry.id.as_ref() == Some(id)) != expected {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Searches for ids. A server that splits even such an answer is followed for as many pages as
    /// ids; whoever is left behind an expired link is read alone.
    async fn search(&self, ids: &[String]) -> Result<Vec<PatientEntry>, SourceError> {
        let session = self.session;
        let mut found = Vec::new();
        let is_plain = !self.only_ids || session.limits.keys_are_plain.is_known();
        let mut next = Some(session.queries.patients_there(ids, is_plain));
        let mut ask = Ask::Search(PATIENT);
        for _ in 0..=ids.len() {
            let Some(url) = next.take() else { break };
            let fetched = match session.get_page(url, ask, self.now).await {
                Err(refused) if ask.is_expired(&refused) => break,
                Err(refused) if !is_plain && refused.is_of_parameter() => {
                    let url = session.queries.patients(ids);
                    session.get_page(url, ask, self.now).await?
                }
                answer => answer?,
            };
            next = session.next_address(&fetched)?;
            ask = Ask::NextPage(PATIENT);
            found.extend(fetched.page.matches.into_iter().map(PatientEntry::from));
        }
        Ok(found)
    }

    /// A patient by its address; where the server does not read by address, by a search for its id.
    async fn read_alone(&self, id: &String) -> Result<AloneRead, SourceError> {
        let Some(url) = self.session.queries.read(PATIENT, id) else {
            return Ok(AloneRead::Answered(Vec::new()));
        };
        let answer = self
            .session
            .http
            .get(url, Ask::Read(PATIENT), self.now)
            .await;
        let found = match answer {
            Ok(reply) => bundle::parse_read(&reply.body, PATIENT)
                .filter(|patient| patient.id.as_ref() == Some(id))
                .map(PatientEntry::from)
                .into_iter()
                .collect(),
            Err(refused) if refused.is_gone() => Vec::new(),
            Err(HttpRefusal {
                status: Some(status @ (401 | 403)),
                ..
            }) => return Ok(AloneRead::Refused(status)),
            Err(refused) if refused.is_unsupported() => {
                self.search(std::slice::from_ref(id)).await?
            }
            Err(refused) => return Err(refused.error),
        };
        Ok(AloneRead::Answered(found))
    }
}
