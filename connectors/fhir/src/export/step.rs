//! The steps of a load by export: begun, waited for, read, deleted.

use std::time::Duration;

use az::SaturatingAs;
use connector_kit::{ClinicRecord, Page, SourceError};

use super::manifest::Manifest;
use super::open::OpenExport;
use super::reading;
use super::run::{ExportJob, ExportRun, ExportStage, Reading, Waiting};
use crate::cursor::write_text;
use crate::fact::resource_type;
use crate::links::LinkTarget;
use crate::page_reader::PageReader;
use crate::patience::MAX_PAUSE;
use crate::position::{PullPosition, StoredPosition};
use crate::query::Queries;
use crate::refusal::{Ask, HttpRefusal};
use crate::search_run::Reached;

/// Jobs that one run may lose before it is given up.
const MAX_LOST: u32 = 2;
/// The longest time that one page waits for a job.
const MAX_PAGE_WAIT: Duration = Duration::from_secs(60);
/// The longest time that a job is waited for, all its waits together.
const MAX_JOB_WAIT: Duration = Duration::from_secs(48 * 3600);
/// Time before the second question how far a job is; each further one is twice as long, up to
/// [`MAX_PAUSE`], where the server asks for no longer one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Result of a step.
pub(crate) enum ExportStep {
    /// A page, with or without records.
    Page(Page),
    /// Everything has been handed over: increments begin here.
    Done(StoredPosition),
}

/// Answer to the question how far a job is.
enum JobState {
    Working {
        after: Option<Duration>,
        percent: Option<u8>,
    },
    Ready(Manifest),
    /// The server has forgotten the job, or could not end it.
    Lost,
}

/// Takes the next step of a load by export.
pub(crate) async fn next(
    reader: PageReader<'_>,
    mut run: ExportRun,
) -> Result<ExportStep, SourceError> {
    if reader.request.first_of_run {
        run.lost = 0;
    }
    let Some(job) = run.job.take() else {
        return kick_off(reader, run).await;
    };
    match &job.stage {
        ExportStage::Waiting(waiting) => {
            let waiting = waiting.clone();
            wait(reader, run, job, waiting).await
        }
        ExportStage::Reading(place) => {
            let place = place.clone();
            read(reader, run, job, place).await
        }
        ExportStage::Read(mark) => {
            let mark = *mark;
            *reader.session.open_exports.of(reader.request.feed).await = None;
            give_up(reader, &job).await;
            Ok(ExportStep::Done(StoredPosition {
                records: Reached::from(mark),
                ..StoredPosition::default()
            }))
        }
    }
}

/// Deletes a job. One that cannot be deleted is left to the server.
pub(crate) async fn give_up(reader: PageReader<'_>, job: &ExportJob) {
    let PageReader { session, request } = reader;
    let Ok(url) = session.address_of(&job.status) else {
        return;
    };
    match session.http.delete(&url, request.now).await {
        Err(refused) if !refused.is_gone() => tracing::warn!(
            feed = %request.feed,
            status = refused.status,
            "the FHIR server does not delete its bulk export, which has been read"
        ),
        _ => tracing::debug!(feed = %request.feed, "the bulk export was deleted"),
    }
}

async fn kick_off(reader: PageReader<'_>, mut run: ExportRun) -> Result<ExportStep, SourceError> {
    let PageReader { session, request } = reader;
    if run.lost > MAX_LOST {
        return Err(SourceError::retry(format!(
            "the FHIR server has lost its bulk export, or given it up, {} times; where it stays \
             so, write first_load = \"search\"",
            run.lost
        )));
    }
    let config = &session.config;
    let Some(url) = session
        .queries
        .export(&config.first_load, config.export_filter, request.feed)
    else {
        return Err(SourceError::retry("no bulk export is configured"));
    };
    session.learn_addresses(request.feed, request.now).await?;
    let has_filter = url.query_pairs().any(|(name, _)| name == "_typeFilter");
    let ask = if has_filter {
        Ask::FilteredKickOff
    } else {
        Ask::ExportKickOff
    };
    let reply = session.http.get(url.clone(), ask, request.now).await?;
    let Some(location) = reply.location.filter(|_| reply.is_later) else {
        return Err(SourceError::misconfigured(
            "the FHIR server answers the beginning of a bulk export without the address of its \
             status",
            "have its export mended, or write first_load = \"search\"",
        ));
    };
    let status = session.follow(&url, &location, LinkTarget::ExportStatus)?;
    tracing::info!(feed = %request.feed, "the FHIR server has begun a bulk export");
    run.job = Some(ExportJob {
        status: Queries::path(&status).to_owned(),
        begun: reply.date.unwrap_or(request.now),
        stage: ExportStage::Waiting(Waiting::default()),
    });
    page(Vec::new(), run)
}

/// Waits for a part of the time until the server is to be asked, or asks it.
async fn wait(
    reader: PageReader<'_>,
    mut run: ExportRun,
    mut job: ExportJob,
    mut waiting: Waiting,
) -> Result<ExportStep, SourceError> {
    let pause = waiting.take_pause();
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    if waiting.left_ms == 0 {
        match ask(reader, &job).await? {
            JobState::Working { after, percent } => {
                tracing::debug!(feed = %reader.request.feed, percent, "waiting for a bulk export");
                waiting.go_on(after)?;
            }
            JobState::Ready(manifest) => {
                tracing::info!(
                    feed = %reader.request.feed,
                    files = manifest.files.len(),
                    "the FHIR server's bulk export is ready"
                );
                job.stage = ExportStage::Reading(Reading::new(manifest.print));
                let open = OpenExport::new(&job.status, manifest);
                *reader.session.open_exports.of(reader.request.feed).await = Some(open);
                run.job = Some(job);
                return page(Vec::new(), run);
            }
            JobState::Lost => return lose(reader, run).await,
        }
    }
    job.stage = ExportStage::Waiting(waiting);
    run.job = Some(job);
    page(Vec::new(), run)
}

/// Reads a part of the files.
async fn read(
    reader: PageReader<'_>,
    mut run: ExportRun,
    mut job: ExportJob,
    mut place: Reading,
) -> Result<ExportStep, SourceError> {
    let PageReader { session, request } = reader;
    let mut slot = session.open_exports.of(request.feed).await;
    let mut known = slot.take().filter(|open| open.job == job.status);
    loop {
        let is_new = known.is_none();
        let mut open = match known.take() {
            Some(open) => open,
            // After a start or a failure the manifest is asked for again: the addresses in it may
            // be signed, and rest nowhere.
            None => match ask(reader, &job).await? {
                JobState::Ready(manifest) => OpenExport::new(&job.status, manifest),
                JobState::Working { .. } => {
                    job.stage = ExportStage::Waiting(Waiting::default());
                    run.job = Some(job);
                    return page(Vec::new(), run);
                }
                JobState::Lost => {
                    drop(slot);
                    return lose(reader, run).await;
                }
            },
        };
        if open.manifest.print != place.list {
            tracing::info!(
                feed = %request.feed,
                "the bulk export has other files; they are read anew"
            );
            place = Reading {
                pages: place.pages,
                latest: place.latest,
                ..Reading::new(open.manifest.print)
            };
        }
        let mut behind = place.clone();
        let records = match reading::part(reader, &job, &mut behind, &mut open).await {
            Ok(records) => records,
            // An address that was signed may have expired: the next manifest has another one.
            Err(refused) if refused.is_of_address() && !is_new => {
                tracing::debug!(
                    feed = %request.feed,
                    status = refused.status,
                    "the address of an export's file is asked for again"
                );
                continue;
            }
            Err(refused) if refused.is_gone() => {
                drop(slot);
                return lose(reader, run).await;
            }
            Err(refused) => return Err(refused.error),
        };
        job.stage = if behind.file < open.manifest.files.len() {
            ExportStage::Reading(behind)
        } else {
            ExportStage::Read(job.mark(behind.latest, open.manifest.shows, request.now))
        };
        *slot = Some(open);
        run.job = Some(job);
        return page(records, run);
    }
}

/// Asks how far a job is.
async fn ask(reader: PageReader<'_>, job: &ExportJob) -> Result<JobState, SourceError> {
    let PageReader { session, request } = reader;
    let url = session.address_of(&job.status)?;
    let answer = session.http.get(url, Ask::ExportStatus, request.now).await;
    let reply = match answer {
        Ok(reply) => reply,
        Err(refused) if refused.is_gone() => return Ok(JobState::Lost),
        // Not a server that is away (502 to 504) or asks for time: its job has failed.
        Err(HttpRefusal {
            status: Some(500),
            error: error @ SourceError::Retry { after: None, .. },
            ..
        }) => {
            tracing::warn!(feed = %request.feed, %error, "the server's bulk export has failed");
            give_up(reader, job).await;
            return Ok(JobState::Lost);
        }
        Err(refused) => return Err(refused.error),
    };
    if reply.is_later {
        return Ok(JobState::Working {
            after: reply.retry_after,
            percent: reply.percent,
        });
    }
    let manifest = Manifest::parse(&reply.body, resource_type(request.feed))?;
    Ok(JobState::Ready(manifest))
}

/// Goes on without the job, which the server has lost: another one is begun.
async fn lose(reader: PageReader<'_>, run: ExportRun) -> Result<ExportStep, SourceError> {
    let feed = reader.request.feed;
    tracing::warn!(%feed, "the FHIR server no longer has its bulk export; another one is begun");
    *reader.session.open_exports.of(feed).await = None;
    page(
        Vec::new(),
        ExportRun {
            lost: run.lost.saturating_add(1),
            job: None,
        },
    )
}

/// A page behind which this run goes on, and so does the next one.
fn page(records: Vec<ClinicRecord>, run: ExportRun) -> Result<ExportStep, SourceError> {
    let position = write_text(&PullPosition::Export(Box::new(run)))?;
    Ok(ExportStep::Page(Page {
        records,
        next: Some(position.clone()),
        resume: Some(position),
        surprise: None,
    }))
}

impl Waiting {
    /// Takes the part of the time left that one page waits.
    fn take_pause(&mut self) -> Duration {
        let pause = Duration::from_millis(self.left_ms).min(MAX_PAGE_WAIT);
        let pause_ms: u64 = pause.as_millis().saturating_as();
        self.left_ms -= pause_ms;
        self.waited_ms = self.waited_ms.saturating_add(pause_ms);
        pause
    }

    /// Goes on to the next question, after the time that the server asked for.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] once the job has been waited for long enough.
    fn go_on(&mut self, after: Option<Duration>) -> Result<(), SourceError> {
        if Duration::from_millis(self.waited_ms) >= MAX_JOB_WAIT {
            return Err(SourceError::misconfigured(
                format!(
                    "the FHIR server has not made its bulk export in {} hours",
                    MAX_JOB_WAIT.as_secs() / 3600
                ),
                "see there what it waits for, then load from the beginning (sync --full); or write \
                 first_load = \"search\"",
            ));
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.polls.min(16));
        let pause = doubled.min(MAX_PAUSE).max(after.unwrap_or_default());
        self.polls = self.polls.saturating_add(1);
        self.left_ms = pause.as_millis().saturating_as();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_come_less_and_less_often_and_never_before_the_time_asked_for() {
        let mut waiting = Waiting::default();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            waiting.go_on(None).unwrap();
            pauses.push(waiting.take_pause().as_millis());
        }
        let expected = [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
        assert_eq!(pauses, expected);
        waiting.go_on(Some(Duration::from_secs(150))).unwrap();
        let parts = [(); 3].map(|()| (waiting.take_pause().as_secs(), waiting.left_ms));
        assert_eq!(parts, [(60, 90_000), (60, 30_000), (30, 0)]);
    }

    #[test]
    fn a_job_is_waited_for_two_days_and_asked_once_more_by_every_run_then() {
        let hours = |hours: u64| hours * 3600 * 1000;
        let mut waiting = Waiting {
            waited_ms: hours(48) - 1,
            ..Waiting::default()
        };
        assert!(waiting.go_on(None).is_ok());
        waiting.waited_ms = hours(48);
        let error = waiting.go_on(None).unwrap_err();
        assert!(error.to_string().contains("48 hours"), "{error}");
    }
}
