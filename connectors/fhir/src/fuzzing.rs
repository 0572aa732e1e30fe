//! What `crates/dev/parsers` calls: all that happens to a server's answer once it has arrived.

use chrono::{DateTime, Utc};
use connector_kit::{ClinicRecord, Cursor, Feed, PageRequest, SourceError};

use crate::FhirConnector;
use crate::bundle;
use crate::connector::Fetched;
use crate::cursor::{Position, Run};
use crate::fact::resource_type;
use crate::query::Queries;

/// The answer to a feed's first search, as records and the cursor that goes on from there. Asks the
/// server for nothing where the source reads no patients by itself (`include = "include"`).
///
/// # Errors
/// As for a page.
pub async fn search_answer(
    source: &FhirConnector,
    feed: Feed,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<(Vec<ClinicRecord>, Option<Cursor>), SourceError> {
    let request = PageRequest {
        feed,
        after: None,
        first_of_run: true,
        hinted: false,
        limit: 100,
        now,
    };
    let url = source.queries.search(feed, None, request.limit, true);
    let fetched = Fetched {
        page: bundle::parse(body, resource_type(feed))?,
        date: Some(now),
    };
    let mut run = Run::new(None, Queries::path(&url), now);
    let (records, has_more) = source.advance(&request, &mut run, &url, fetched).await?;
    let cursor = if has_more {
        Some(Position::Run(Box::new(run)).write()?)
    } else {
        run.resume(now)
            .map(|stamp| Position::Since(stamp).write())
            .transpose()?
    };
    Ok((records, cursor))
}

/// Whether the answer to a read by id is that resource.
#[must_use]
pub fn read_answer(feed: Feed, body: &[u8]) -> bool {
    bundle::parse_read(body, resource_type(feed)).is_some()
}
