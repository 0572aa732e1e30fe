//! Events of a page before the pseudonyms of their persons are evaluated. Only what is sent is
//! evaluated: an unchanged record costs nothing of a key service's ceiling.

use contract::{Body, ContentDigest, RecordDigest, Subject};
use draft::{DraftBody, EvaluationError, Evaluator};
use record_secrets::Revision;

use crate::batches::NewEvent;
use crate::file::OutboxError;

/// An event that is to be sent, whose person may still be unevaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlannedEvent {
    pub(super) record: RecordDigest,
    pub(super) revision: Revision,
    pub(super) content: ContentDigest,
    pub(super) body: DraftBody,
}

/// Has the persons of the events evaluated, all in one call; the result has the events' order.
///
/// # Errors
/// [`OutboxError::Evaluation`].
pub(super) async fn evaluate(
    planned: Vec<PlannedEvent>,
    evaluator: Option<&dyn Evaluator>,
) -> Result<Vec<NewEvent>, OutboxError> {
    let persons: Vec<_> = planned
        .iter()
        .filter_map(|event| match &event.body {
            DraftBody::Ready(_) => None,
            DraftBody::Unevaluated { person, .. } => Some(person.clone()),
        })
        .collect();
    let mut subjects = Vec::new();
    if !persons.is_empty() {
        let evaluator = evaluator.ok_or_else(missing)?;
        subjects = evaluator.evaluate(&persons).await?;
        if subjects.len() != persons.len() {
            return Err(missing().into());
        }
    }
    let mut subjects = subjects.into_iter();
    planned
        .into_iter()
        .map(|event| {
            let body = match event.body {
                DraftBody::Ready(body) => body,
                DraftBody::Unevaluated { beside, fact, .. } => {
                    let evaluated = subjects.next().ok_or_else(missing)?;
                    let subject = match beside {
                        None => evaluated,
                        Some(beside) => joined(&evaluated, &beside).ok_or_else(missing)?,
                    };
                    Body::Asserted { subject, fact }
                }
            };
            Ok(NewEvent {
                record: event.record,
                revision: event.revision,
                content: event.content,
                body,
            })
        })
        .collect()
}

/// The person under the pseudonyms of both; `None` where these are more than an event may have.
fn joined(evaluated: &Subject, beside: &Subject) -> Option<Subject> {
    Subject::new([evaluated.pseudonyms(), beside.pseudonyms()].concat())
}

/// Error of a page without the evaluator that it needs: a fault in the calling program.
fn missing() -> EvaluationError {
    EvaluationError::Misconfigured {
        what: "persons of a page were not evaluated".to_owned(),
        help: "report this with the program's version".to_owned(),
    }
}
