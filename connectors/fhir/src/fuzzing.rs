//! Entry points for `crates/dev/parsers`: all that happens to a server's answer once it has
//! arrived.

use chrono::{DateTime, Utc};
use connector_kit::{ClinicRecord, Cursor, Feed, PageRequest, SourceError};
use secrecy::ExposeSecret as _;

use crate::bundle;
use crate::connector::FhirConnector;
use crate::cursor::write_text;
use crate::export::file_lines::{FileLines, NextLine};
use crate::export::manifest::{FileKind, Manifest};
use crate::export::settings::ExportOrigin;
use crate::export::taken::Taken;
use crate::fact::resource_type;
use crate::page_reader::PageReader;
use crate::position::{PullPosition, StoredPosition};
use crate::query::{Queries, Span};
use crate::records;
use crate::search_run::SearchRun;
use crate::session::{FetchedPage, FhirSession};

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

/// Reads a manifest of a bulk export, and follows the addresses in it; returns whether it is one, of
/// which every file can be asked for.
///
/// # Panics
/// Where an address leads to an origin that the configuration does not allow, or would be shown.
#[must_use]
pub fn export_manifest(source: &FhirConnector, feed: Feed, body: &[u8]) -> bool {
    let session = &source.session;
    let Ok(manifest) = Manifest::parse(body, resource_type(feed)) else {
        return false;
    };
    let again = Manifest::parse(body, resource_type(feed)).map(|again| again.print);
    assert!(
        again.is_ok_and(|print| print == manifest.print),
        "a list is equal to itself"
    );
    let config = &session.config;
    let mut allowed: Vec<_> = config
        .export_origins
        .iter()
        .map(ExportOrigin::origin)
        .collect();
    allowed.push(config.base_url.origin());
    let status = session.queries.base();
    let shown = format!("{manifest:?}");
    manifest.files.iter().all(|file| {
        let link = file.url.expose_secret();
        assert!(
            link.len() < 20 || !shown.contains(link),
            "an address is a secret"
        );
        match session.follow_to_file(status, link) {
            Ok(url) => {
                assert!(allowed.contains(&url.origin()), "another origin");
                assert!(url.username().is_empty() && url.password().is_none());
                true
            }
            Err(error) => {
                assert!(error.to_string().len() < 2000, "an error is a sentence");
                false
            }
        }
    })
}

/// The records of a file of a bulk export that comes in pieces of this size, in one page; what it
/// says of deletions and outcomes is read as well. Asks the server for nothing where the source
/// reads no patients by itself (`include = "always"`).
///
/// # Errors
/// As for a page.
pub async fn export_file(
    source: &FhirConnector,
    feed: Feed,
    file: &[u8],
    piece: usize,
    now: DateTime<Utc>,
) -> Result<Vec<ClinicRecord>, SourceError> {
    let session = &source.session;
    // They are read by their ids, or stop the load: nothing is handed over of them.
    for kind in [FileKind::Deletions, FileKind::Outcomes] {
        let _ = taken(session, feed, kind, file, piece);
    }
    let mut taken = taken(session, feed, FileKind::Resources, file, piece)?;
    let page = &mut taken.page;
    let all = 0..page.matches.len();
    let mut records = records::of_page(session, feed, page, all, true, now).await?;
    records.append(&mut taken.unusable);
    Ok(records)
}

fn taken<'a>(
    session: &'a FhirSession,
    feed: Feed,
    kind: FileKind,
    file: &[u8],
    piece: usize,
) -> Result<Taken<'a>, SourceError> {
    /// Longest line; short, so that longer ones are met.
    const MAX_LINE: usize = 4096;
    let mut taken = Taken::new(session, feed, kind, usize::MAX, 0);
    let mut lines = FileLines::new(MAX_LINE);
    let mut pieces = file.chunks(piece.max(1));
    loop {
        let next = lines.next_line(&mut |line| taken.take(line).map(|_is_whole| ()))?;
        match next {
            NextLine::Taken | NextLine::Unpacked => {}
            NextLine::PieceNeeded => match pieces.next() {
                Some(piece) => lines.add(piece),
                None => lines.end()?,
            },
            NextLine::End => return Ok(taken),
        }
    }
}

/// Returns whether the answer to a read by id is that resource.
#[must_use]
pub fn read_answer(feed: Feed, body: &[u8]) -> bool {
    bundle::parse_read(body, resource_type(feed)).is_some()
}
