//! Conformance suite: every MUST of `docs/connectors.md` as a check that each connector's tests run
//! against its own kind of source, well-behaved and hostile.
//!
//! A connector's tests implement [`Subject`] (fill, change and disturb the source) and then either
//! let [`conformance_tests!`](crate::conformance_tests) make one `#[tokio::test]` a MUST, or call
//! [`verify_all`] where starting a source is dear. A disturbance that a kind of source cannot
//! suffer is declared in [`Subject::cannot`] with the reason; nothing is skipped otherwise.

mod access;
mod client;
mod faults;
mod hostile;
mod keys;
mod records;
mod runs;
mod subject;
mod violation;

use std::future::Future;
use std::pin::Pin;

pub use violation::Violation;

pub use subject::{
    BIRTH_DATE, FAMILY_NAME, Hostility, QUOTED_WORD, Row, SNILS, Subject, VACCINE_CODE, now,
};

type Checked<'s> = Pin<Box<dyn Future<Output = Result<(), Violation>> + 's>>;

/// A MUST of `docs/connectors.md`.
pub struct Must {
    /// Identifier in `docs/connectors.md`, and name of the test.
    pub id: &'static str,
    /// Disturbance that the check needs; without it only a well-behaved source is asked.
    pub needs: Option<Hostility>,
    check: for<'s> fn(&'s mut dyn Subject) -> Checked<'s>,
}

/// Result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The connector does what it must.
    Kept,
    /// The source cannot be disturbed in the way that the check needs, or the feed promises less;
    /// the subject says why.
    Impossible(&'static str),
    /// The connector breaks the MUST.
    Broken(Violation),
}

/// Disturbance that a line of the list names, if it names one.
macro_rules! needs {
    () => {
        None
    };
    ($hostility:ident) => {
        Some(Hostility::$hostility)
    };
}

/// Lists the checks: `NAME in MODULE` or `NAME in MODULE with HOSTILITY`. The macro for connectors'
/// tests is made of the same list, so that neither can miss one.
macro_rules! musts {
    ($dollar:tt $($id:ident in $module:ident $(with $hostility:ident)?,)*) => {
        /// Every MUST, in the order of `docs/connectors.md`.
        pub const MUSTS: &[Must] = &[$(Must {
            id: stringify!($id),
            needs: needs!($($hostility)?),
            check: |subject| Box::pin($module::$id(subject)),
        },)*];

        /// Makes one `#[tokio::test]` a MUST. The argument is an expression whose `.await` gives a
        /// fresh [`Subject`](crate::conformance::Subject).
        #[macro_export]
        macro_rules! conformance_tests {
            ($dollar subject:expr) => {
                $(
                    #[tokio::test(flavor = "multi_thread")]
                    async fn $id() {
                        let mut subject = $dollar subject.await;
                        $crate::conformance::require(stringify!($id), &mut subject).await;
                    }
                )*
            };
        }
    };
}

musts! { $
    reads_only in access,
    write_access_is_reported in access with WriteAccess,
    page_keeps_its_limit in runs,
    page_keeps_its_limit_where_the_source_does_not in hostile with IgnoresPageSize,
    page_is_repeatable in runs,
    run_skips_nothing in runs,
    run_skips_no_equal_stamps in runs,
    run_skips_nothing_while_others_change in runs,
    run_ends_while_the_source_is_written in runs,
    resume_is_not_past_unread_records in runs,
    resume_is_not_in_the_future in runs,
    run_looks_back_over_the_overlap in runs,
    bad_record_holds_up_no_other in records,
    identity_is_secret in records,
    errors_quote_no_value in faults with QuotesValues,
    source_away_is_retry in faults with Away,
    access_refused_is_misconfigured in faults with Refused,
    silent_source_is_given_up in faults with Silent,
    dripping_source_is_given_up in faults with Dripping,
    huge_value_is_bounded in hostile with Huge,
    truncated_answer_is_no_page in hostile with Truncated,
    same_page_again_ends in hostile with SamePageAgain,
    pages_in_a_cycle_end in hostile with PagesInCycle,
    pages_without_end_end in hostile with PagesWithoutEnd,
    time_comes_from_the_request in runs,
    check_names_every_fault in access,
    keys_list_every_row in keys,
    keys_list_every_row_while_others_change in keys,
    row_has_one_id_and_one_stamp in keys,
    fetch_gives_unreadable_rows in keys,
    fetch_leaves_out_only_what_is_gone in keys,
    stamps_that_went_back_are_followed in runs,
}

/// Checks one MUST on a source that is reset first.
pub async fn verify(must: &Must, subject: &mut dyn Subject) -> Outcome {
    if let Some(hostility) = must.needs
        && let Some(reason) = subject.cannot(hostility)
    {
        return Outcome::Impossible(reason);
    }
    if let Some(reason) = subject.need_not_keep(must.id) {
        return Outcome::Impossible(reason);
    }
    subject.reset().await;
    match (must.check)(subject).await {
        Ok(()) => Outcome::Kept,
        Err(violation) => Outcome::Broken(violation),
    }
}

/// Checks the MUST with this id, and prints why it cannot be checked if it cannot.
///
/// # Panics
/// Fails the test when the connector breaks it, and when there is no such MUST.
#[expect(
    clippy::print_stdout,
    reason = "called by tests, which show it with their result"
)]
pub async fn require(id: &str, subject: &mut dyn Subject) {
    let must = MUSTS.iter().find(|must| must.id == id);
    let must = must.unwrap_or_else(|| panic!("docs/connectors.md has no MUST `{id}`"));
    match verify(must, subject).await {
        Outcome::Kept => {}
        Outcome::Impossible(reason) => println!("{id} cannot be checked: {reason}"),
        Outcome::Broken(violation) => panic!("{id}: {violation}"),
    }
}

/// Checks every MUST, one after another, on one source. Returns the ids of those that cannot be
/// checked, for the test to compare with what it expects.
///
/// # Panics
/// Fails the test when the connector breaks any; the message names all of them.
pub async fn verify_all(subject: &mut dyn Subject) -> Vec<&'static str> {
    let mut impossible = Vec::new();
    let mut broken = String::new();
    for must in MUSTS {
        match verify(must, subject).await {
            Outcome::Kept => {}
            Outcome::Impossible(_) => impossible.push(must.id),
            Outcome::Broken(violation) => broken.push_str(&format!("\n{}: {violation}", must.id)),
        }
    }
    assert!(broken.is_empty(), "the connector breaks:{broken}");
    impossible
}
