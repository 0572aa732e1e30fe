//! Entry points for `crates/dev/parsers`: all that happens to a server's answer once it has
//! arrived.

use chrono::{DateTime, Utc};
use connector_kit::{ClinicRecord, Cursor, Feed, PageRequest, SourceError};

use crate::bundle;
use crate::connector::FhirConnector;
use crate::cursor::write_text;
use crate::fact::resource_type;
use crate::page_reader::PageReader;
use crate::position::{PullPosition, StoredPosition};
use crate::query::{Queries, Span};
use crate::search_run::SearchRun;
use crate::session::FetchedPage;

/// The answer to a feed's first search, as records and the cursor that goes on from there. Asks the
/// server for nothing where the source reads no patients by itself (`include = "always"`).
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
    let session = &source.session;
    let fetched = FetchedPage {
        url: session
            .queries
            .search(feed, Span::default(), request.limit, true),
        page: bundle::parse(body, resource_type(feed))?,
        date: Some(now),
    };
    let mut run = SearchRun::new(None, Queries::path(&fetched.url), now);
    let reader = PageReader {
        session,
        request: &request,
    };
    let part = reader.hand_over(&mut run, fetched).await?;
    let cursor = if part.has_more {
        Some(write_text(&PullPosition::Run(Box::new(run)))?)
    } else {
        run.resume(now, session.overlap())
            .map(|mark| {
                write_text(&PullPosition::Stored(StoredPosition {
                    records: Some(mark).into(),
                    ..StoredPosition::default()
                }))
            })
            .transpose()?
    };
    Ok((part.records, cursor))
}

/// Returns whether the answer to a read by id is that resource.
#[must_use]
pub fn read_answer(feed: Feed, body: &[u8]) -> bool {
    bundle::parse_read(body, resource_type(feed)).is_some()
}
