//! Reads the files of a finished export, a part of one for each page.

use az::SaturatingAs;
use connector_kit::{ClinicRecord, MAX_FETCH_IDS, RecordStatus, SourceError};
use secrecy::ExposeSecret;
use url::Url;

use super::lines::FileLine;
use super::manifest::{FileKind, ListedFile};
use super::open::{OpenExport, OpenFile};
use super::run::{ExportJob, Reading};
use super::taken::{Taken, without_content};
use crate::cycle::EndlessReason;
use crate::fact::resource_type;
use crate::http::no_answer_in_time;
use crate::page_reader::PageReader;
use crate::refusal::HttpRefusal;
use crate::{by_id, records};

/// Reads the next part of a job's files, and moves the place behind it.
///
/// # Errors
/// A refusal that is [`HttpRefusal::is_gone`] where the server no longer has the file.
pub(crate) async fn part(
    reader: PageReader<'_>,
    job: &ExportJob,
    reading: &mut Reading,
    open: &mut OpenExport,
) -> Result<Vec<ClinicRecord>, HttpRefusal> {
    let PageReader { session, request } = reader;
    let Some(listed) = open.manifest.files.get(reading.file) else {
        return Ok(Vec::new());
    };
    if reading.pages >= session.config.max_pages {
        return Err(EndlessReason::TooMany.error(reading.pages).into());
    }
    let kind = listed.kind;
    let mut most: usize = reader.limit().saturating_as();
    if kind == FileKind::Deletions {
        most = most.min(MAX_FETCH_IDS);
    }
    let open_before = open.file.take();
    let is_there = |file: &OpenFile| file.number == reading.file && file.line == reading.line;
    let mut file = match open_before.filter(is_there) {
        Some(file) => file,
        None => open_at(reader, job, reading, open).await?,
    };
    let mut taken = Taken::new(session, request.feed, kind, most, reading.entry);
    let outcome = tokio::time::timeout(session.http.timeout, gather(&mut file, &mut taken)).await;
    let has_moved = file.line > reading.line || !taken.deleted.is_empty();
    let end = match outcome {
        Ok(Ok(PartEnd::File)) => check_count(listed, &file).map(|()| PartEnd::File),
        Ok(end) => end,
        // A server that is slow makes small pages.
        Err(_) if has_moved => Ok(PartEnd::Page),
        Err(_) => Err(no_answer_in_time()),
    };
    match end {
        // What came before the failure is handed over; the next page meets it again.
        Err(error) if !has_moved => return Err(error.into()),
        Ok(PartEnd::File) => reading.next_file(),
        Ok(PartEnd::Line) | Err(_) => {
            reading.line = file.line;
            reading.entry = taken.entry;
        }
        Ok(PartEnd::Page) => {
            reading.line = file.line;
            reading.entry = taken.entry;
            open.file = Some(file);
        }
    }
    reading.pages += 1;
    records_of(reader, reading, taken).await
}

/// End of what a page takes of a file.
#[derive(Clone, Copy)]
enum PartEnd {
    /// The end of the file.
    File,
    /// The end of the page, between two lines.
    Page,
    /// The end of the page, within a line.
    Line,
}

async fn gather(file: &mut OpenFile, taken: &mut Taken<'_>) -> Result<PartEnd, SourceError> {
    while !taken.is_full() {
        let mut is_whole = true;
        let mut take = |line: FileLine<'_>| {
            is_whole = taken.take(line)?;
            Ok(())
        };
        if !file.next_line(&mut take).await? {
            return Ok(PartEnd::File);
        }
        if !is_whole {
            // The rest of the line is read again by the next page.
            file.line -= 1;
            return Ok(PartEnd::Line);
        }
    }
    Ok(PartEnd::Page)
}

/// Opens the file at a place, and reads what lies before it once more.
async fn open_at(
    reader: PageReader<'_>,
    job: &ExportJob,
    reading: &Reading,
    open: &OpenExport,
) -> Result<OpenFile, HttpRefusal> {
    let PageReader { session, request } = reader;
    let listed = &open.manifest.files[reading.file];
    let url = address_of(reader, job, listed).await?;
    let is_open = open.manifest.is_open;
    let answer = session.http.open(&url, is_open, request.now).await?;
    let limit = session.config.max_body_bytes.saturating_as();
    let mut file = OpenFile::new(answer, reading.file, limit);
    while file.line < reading.line {
        let mut skip = |_: FileLine<'_>| Ok(());
        let line = tokio::time::timeout(session.http.timeout, file.next_line(&mut skip)).await;
        let is_line = line.map_err(|_| no_answer_in_time())??;
        if !is_line {
            return Err(ends_early(file.line, reading.line).into());
        }
    }
    Ok(file)
}

async fn address_of(
    reader: PageReader<'_>,
    job: &ExportJob,
    listed: &ListedFile,
) -> Result<Url, SourceError> {
    let PageReader { session, request } = reader;
    session.learn_addresses(request.feed, request.now).await?;
    let status = session.address_of(&job.status)?;
    session.follow_to_file(&status, listed.url.expose_secret())
}

fn check_count(listed: &ListedFile, file: &OpenFile) -> Result<(), SourceError> {
    match listed.count {
        Some(count) if file.line < count => Err(ends_early(file.line, count)),
        _ => Ok(()),
    }
}

fn ends_early(lines: u64, expected: u64) -> SourceError {
    SourceError::retry(format!(
        "a file of the FHIR server's bulk export ends after {lines} of {expected} lines; where it \
         stays so, load from the beginning (sync --full), or write first_load = \"search\""
    ))
}

/// The records of what was taken.
async fn records_of(
    reader: PageReader<'_>,
    reading: &mut Reading,
    mut taken: Taken<'_>,
) -> Result<Vec<ClinicRecord>, HttpRefusal> {
    let PageReader { session, request } = reader;
    if !taken.deleted.is_empty() {
        return Ok(deleted(reader, &taken.deleted).await?);
    }
    let page = &mut taken.page;
    let stamps = page.matches.iter().filter_map(|resource| resource.stamp);
    reading.latest = reading.latest.max(stamps.max());
    if page.matches.iter().any(|resource| resource.stamp.is_none()) {
        session.limits.of(request.feed).unstamped.learn();
    }
    let all = 0..page.matches.len();
    let mut records = records::of_page(session, request.feed, page, all, true, request.now).await?;
    records.append(&mut taken.unusable);
    Ok(records)
}

/// The records of resources that the export says were deleted. Those that are there all the same
/// are handed over as they are; the others are no facts, and are withdrawn if they had been sent.
async fn deleted(reader: PageReader<'_>, ids: &[String]) -> Result<Vec<ClinicRecord>, SourceError> {
    let PageReader { session, request } = reader;
    let feed = request.feed;
    let mut record_ids: Vec<String> = ids
        .iter()
        .map(|id| format!("{}/{id}", resource_type(feed)))
        .collect();
    let mut records = by_id::fetch(session, feed, &record_ids, request.now).await?;
    record_ids.retain(|id| records.iter().all(|record| record.record_id != *id));
    let gone = record_ids
        .into_iter()
        .map(|record_id| without_content(feed, record_id, RecordStatus::NotAFact));
    records.extend(gone);
    Ok(records)
}
