//! Persons whose pseudonyms key services evaluate: only those of events that are sent, and nothing
//! is lost while the services are away.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::{Body, Pseudonym, Scheme, Subject, Suite};
use draft::{Draft, DraftBody, EvaluationError, Evaluator, LocalName, LocalSubject};
use outbox::{NotCommitted, OutboxError, PageCommit};
use parking_lot::Mutex;
use tokio::sync::{Notify, RwLock};

use crate::support::{Place, asserted, asserted_body, at, digest, page, withdrawn};

/// Key services of a test: they answer with the local name's bytes turned round, or not at all.
#[derive(Debug, Default)]
struct Services {
    /// Number of persons of each call.
    calls: Mutex<Vec<usize>>,
    fault: Mutex<Option<EvaluationError>>,
    /// Told that a call has come.
    called: Notify,
    /// Held by a test that lets no answer through.
    gate: RwLock<()>,
}

#[async_trait]
impl Evaluator for Services {
    async fn evaluate(&self, persons: &[LocalSubject]) -> Result<Vec<Subject>, EvaluationError> {
        self.calls.lock().push(persons.len());
        self.called.notify_one();
        let _passed = self.gate.read().await;
        if let Some(fault) = self.fault.lock().clone() {
            return Err(fault);
        }
        Ok(persons.iter().map(evaluated).collect())
    }
}

fn evaluated(person: &LocalSubject) -> Subject {
    let names = person.names().iter().map(|name| {
        let mut value = name.value;
        value.reverse();
        Pseudonym {
            scheme: name.scheme,
            suite: Suite::HmacStreebog,
            epoch: 3,
            value,
        }
    });
    Subject::new(names.collect()).unwrap()
}

fn person(record: u32) -> LocalSubject {
    let name = LocalName {
        scheme: Scheme::Snils,
        value: digest(record).0,
    };
    LocalSubject::new(vec![name], 1).unwrap()
}

/// The draft of [`asserted`], of a person who is not evaluated.
fn unevaluated(record: u32, content: u16) -> Draft {
    let Body::Asserted { fact, .. } = asserted_body(record, content) else {
        panic!("an assertion");
    };
    Draft {
        body: DraftBody::Unevaluated {
            person: person(record),
            beside: None,
            fact,
        },
        ..asserted(record, content)
    }
}

fn page_of(drafts: Vec<Draft>, cursor: &str, services: &Arc<Services>) -> PageCommit {
    PageCommit {
        evaluator: Some(Arc::clone(services) as Arc<dyn Evaluator>),
        ..page(drafts, cursor)
    }
}

#[tokio::test]
async fn only_persons_of_events_that_are_sent_are_evaluated() {
    let place = Place::new();
    let outbox = place.open().await;
    let services = Arc::new(Services::default());
    let first = vec![unevaluated(1, 10), unevaluated(2, 20), withdrawn(3, false)];
    let done = outbox.commit_page(page_of(first, "a", &services)).await;
    assert_eq!(done.unwrap().sent, 3);
    let second = vec![unevaluated(1, 10), unevaluated(2, 21), asserted(4, 40)];
    let done = outbox.commit_page(page_of(second, "b", &services)).await;
    let done = done.unwrap();
    assert_eq!((done.corrected, done.new, done.unchanged), (1, 1, 1));
    let third = vec![unevaluated(1, 10)];
    let done = outbox.commit_page(page_of(third, "c", &services)).await;
    assert_eq!(done.unwrap().unchanged, 1);
    assert_eq!(
        *services.calls.lock(),
        [2, 1],
        "nobody is asked for a page without one"
    );
    for event in place.deliver_all(&outbox, at(1)).await {
        match event.body {
            Body::Asserted { subject, .. } if event.record != digest(4) => {
                let number = u32::from(event.record == digest(2)) + 1;
                assert_eq!(subject, evaluated(&person(number)));
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn names_of_the_suite_that_a_city_leaves_go_beside_the_evaluated_ones() {
    let place = Place::new();
    let outbox = place.open().await;
    let services = Arc::new(Services::default());
    let keyed = Subject::new(vec![Pseudonym {
        scheme: Scheme::Snils,
        suite: Suite::Hmac,
        epoch: 1,
        value: [7; 32],
    }]);
    let mut moving = unevaluated(1, 10);
    if let DraftBody::Unevaluated { beside, .. } = &mut moving.body {
        beside.clone_from(&keyed);
    }
    outbox
        .commit_page(page_of(vec![moving], "a", &services))
        .await
        .expect("committed");
    let sent = place.deliver_all(&outbox, at(1)).await.remove(0);
    let Body::Asserted { subject, .. } = sent.body else {
        panic!("an assertion");
    };
    let both = [
        keyed.expect("a person").pseudonyms(),
        evaluated(&person(1)).pseudonyms(),
    ]
    .concat();
    assert_eq!(Some(subject), Subject::new(both));
}

#[tokio::test]
async fn a_page_waits_unchanged_while_key_services_are_away() {
    let place = Place::new();
    let outbox = place.open().await;
    let services = Arc::new(Services::default());
    let faults = [
        (EvaluationError::Retry("away".to_owned()), true),
        (
            EvaluationError::Ceiling {
                what: "reached".to_owned(),
                after: Duration::from_secs(60),
            },
            true,
        ),
        (
            EvaluationError::Misconfigured {
                what: "other key".to_owned(),
                help: "pin it".to_owned(),
            },
            false,
        ),
    ];
    for (fault, passes) in faults {
        *services.fault.lock() = Some(fault.clone());
        let drafts = vec![unevaluated(1, 10)];
        let failed = outbox.commit_page(page_of(drafts, "a", &services)).await;
        let failed = failed.unwrap_err();
        assert_eq!(
            (failed.is_retryable(), failed.code()),
            (passes, fault.code())
        );
        let cursor = outbox.cursor("mis", "recoveries").await.unwrap();
        assert_eq!(cursor, None, "the cursor waits, too");
    }
    *services.fault.lock() = None;
    let drafts = vec![unevaluated(1, 10)];
    let done = outbox.commit_page(page_of(drafts, "a", &services)).await;
    assert_eq!(done.unwrap().new, 1);
    assert_eq!(place.deliver_all(&outbox, at(1)).await.len(), 1);
}

#[tokio::test]
async fn a_page_that_is_prepared_anew_asks_nothing_twice() {
    let place = Place::new();
    let outbox = place.open().await;
    let services = Arc::new(Services::default());
    let drafts = vec![unevaluated(1, 10), unevaluated(2, 20)];
    let prepared = outbox.prepare(page_of(drafts, "a", &services)).await;
    // Another page takes one of the records meanwhile, so that this one has to be prepared anew.
    outbox
        .commit_page(page(vec![asserted(2, 19)], "b"))
        .await
        .unwrap();
    let done = outbox.commit(prepared.unwrap()).await;
    let done = done.map_err(|NotCommitted { error, .. }| error).unwrap();
    assert_eq!((done.new, done.corrected), (1, 1));
    assert_eq!(*services.calls.lock(), [2]);
}

#[tokio::test]
async fn a_page_without_an_evaluator_is_refused_and_says_so() {
    let place = Place::new();
    let outbox = place.open().await;
    let failed = outbox
        .commit_page(page(vec![unevaluated(1, 10)], "a"))
        .await;
    let failed = failed.unwrap_err();
    assert!(matches!(failed, OutboxError::Evaluation(_)), "{failed}");
    assert!(!failed.is_retryable());
}

#[tokio::test]
async fn a_commit_that_asks_key_services_again_does_not_hold_other_commits() {
    let place = Place::new();
    let outbox = place.open().await;
    let services = Arc::new(Services::default());
    let first = vec![unevaluated(1, 10)];
    let done = outbox.commit_page(page_of(first, "a", &services)).await;
    done.unwrap();
    services.called.notified().await;
    // The record is unchanged when the page is prepared, and another page changes it then.
    let prepared = outbox
        .prepare(page_of(vec![unevaluated(1, 10)], "b", &services))
        .await
        .unwrap();
    outbox
        .commit_page(page(vec![asserted(1, 11)], "c"))
        .await
        .unwrap();
    let hung = services.gate.write().await;
    let slow = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.commit(prepared).await.map_err(|failed| failed.error) }
    });
    services.called.notified().await;
    let other = outbox.commit_page(page(vec![asserted(2, 20)], "d"));
    let other = tokio::time::timeout(Duration::from_secs(30), other).await;
    assert_eq!(other.expect("it does not wait").unwrap().new, 1);
    assert!(!slow.is_finished());
    drop(hung);
    assert_eq!(slow.await.unwrap().unwrap().corrected, 1);
}
