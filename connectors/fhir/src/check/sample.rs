//! Sample of a feed: the first records and the newest, with the words and instants that `check`
//! tells of.

use chrono::{DateTime, Utc};
use connector_kit::{
    ClinicRecord, Feed, SAMPLE_RECORDS, SampledInstant, SampledRecord, SourceError, add_newest,
};
use serde_json::Value;

use crate::config::Include;
use crate::date::instant;
use crate::fact::resource_type;
use crate::query::Span;
use crate::records;
use crate::refusal::Ask;
use crate::session::{FetchedPage, FhirSession};

/// Most pages of a server that are read for one end of a feed.
const MAX_PAGES: usize = 10;

/// Reads the first records and the newest; those that are among both stand once.
pub(crate) async fn read(
    session: &FhirSession,
    feed: Feed,
    now: DateTime<Utc>,
) -> Result<Vec<SampledRecord>, SourceError> {
    let first = session
        .first_page(feed, Span::default(), SAMPLE_RECORDS, now)
        .await?;
    let is_whole = first.page.next.is_none();
    let mut sample = take(session, feed, first, now).await?;
    if is_whole {
        return Ok(sample);
    }
    let include = session.asks_for_includes();
    let url = session
        .queries
        .newest_records(feed, SAMPLE_RECORDS, include);
    let ask = Ask::Search(resource_type(feed));
    let newest = match session.get_page(url, ask, now).await {
        Ok(fetched) => take(session, feed, fetched, now).await?,
        // A server that cannot sort backwards has no newest records to show.
        Err(_) => return Ok(sample),
    };
    add_newest(&mut sample, newest);
    Ok(sample)
}

/// Takes the records of a page and of those it links to, as many as a sample has.
async fn take(
    session: &FhirSession,
    feed: Feed,
    first: FetchedPage,
    now: DateTime<Utc>,
) -> Result<Vec<SampledRecord>, SourceError> {
    let most = SAMPLE_RECORDS as usize;
    let reads_patients = session.config.include != Include::Always;
    let mut sample = Vec::new();
    let mut fetched = first;
    for _ in 0..MAX_PAGES {
        let wanted = fetched.page.matches.len().min(most - sample.len());
        let page = &mut fetched.page;
        let records = records::of_page(session, feed, page, 0..wanted, reads_patients, now).await?;
        let resources = page.matches.iter().map(|resource| resource.json.get());
        sample.extend(
            records
                .into_iter()
                .zip(resources)
                .map(|(record, json)| sampled(feed, record, json)),
        );
        let Some(next) = session
            .next_address(&fetched)?
            .filter(|_| sample.len() < most)
        else {
            break;
        };
        let ask = Ask::NextPage(resource_type(feed));
        fetched = match session.get_page(next, ask, now).await {
            Err(refused) if ask.is_expired(&refused) => break,
            answer => answer?,
        };
    }
    Ok(sample)
}

fn sampled(feed: Feed, record: ClinicRecord, json: &str) -> SampledRecord {
    SampledRecord {
        instants: instants_of(feed, json),
        record,
    }
}

/// Dates of a resource that are written as instants.
pub(crate) fn instants_of(feed: Feed, json: &str) -> Vec<SampledInstant> {
    let resource: Value = serde_json::from_str(json).unwrap_or_default();
    instants(feed, &resource)
}

/// Dates of a resource that are written as instants, from the elements that count.
fn instants(feed: Feed, resource: &Value) -> Vec<SampledInstant> {
    let of = |name: &'static str, texts: &[&Value]| {
        let text = texts.iter().find_map(|text| text.as_str())?;
        Some(SampledInstant {
            name,
            at: instant(text.trim())?,
            has_zone: true,
        })
    };
    let dates = match feed {
        Feed::Vaccinations => [of("occurred_on", &[&resource["occurrenceDateTime"]]), None],
        Feed::Tests => [
            of(
                "occurred_on",
                &[
                    &resource["effectiveDateTime"],
                    &resource["effectiveInstant"],
                    &resource["effectivePeriod"]["start"],
                ],
            ),
            None,
        ],
        Feed::Recoveries => [
            of(
                "occurred_on",
                &[
                    &resource["abatementDateTime"],
                    &resource["abatementPeriod"]["end"],
                ],
            ),
            of(
                "began_on",
                &[
                    &resource["onsetDateTime"],
                    &resource["onsetPeriod"]["start"],
                ],
            ),
        ],
    };
    dates.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_dates_that_are_instants_are_told() {
        let at = |feed, resource: Value| {
            let told = instants(feed, &resource);
            told.iter()
                .map(|told| format!("{} {}", told.name, told.at.to_rfc3339()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            at(
                Feed::Vaccinations,
                json!({"occurrenceDateTime": "2021-07-02T00:00:00+10:00"})
            ),
            ["occurred_on 2021-07-01T14:00:00+00:00"]
        );
        for day in ["2021-07-02", "2021-07", "2021-07-02T10:00:00"] {
            assert!(at(Feed::Tests, json!({"effectiveDateTime": day})).is_empty());
        }
        assert_eq!(
            at(
                Feed::Tests,
                json!({"effectivePeriod": {"start": "2021-07-01T20:00:00Z"}})
            ),
            ["occurred_on 2021-07-01T20:00:00+00:00"]
        );
        assert_eq!(
            at(
                Feed::Recoveries,
                json!({"abatementPeriod": {"end": "2021-07-05T20:00:00Z"},
                    "onsetDateTime": "2021-06-01T20:00:00Z"})
            ),
            [
                "occurred_on 2021-07-05T20:00:00+00:00",
                "began_on 2021-06-01T20:00:00+00:00"
            ]
        );
    }
}
