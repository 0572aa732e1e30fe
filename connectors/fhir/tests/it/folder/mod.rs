//! Folders with the files of a bulk export, as a source.

mod bounds;
mod changes;
mod check;
mod deleted;
mod export;
mod packed;
mod persons;
mod settled;
mod subject;

connector_kit::conformance_tests!(async { subject::FolderSubject::start() });

/// Disturbances that a folder cannot be made to show; all others are checked.
#[test]
fn what_a_folder_cannot_do_is_no_more_than_this() {
    use connector_kit::conformance::{MUSTS, Subject};

    let subject = subject::FolderSubject::start();
    let impossible: Vec<_> = MUSTS
        .iter()
        .filter(|must| {
            must.needs
                .is_some_and(|needs| subject.cannot(needs).is_some())
        })
        .map(|must| must.id)
        .collect();
    assert_eq!(
        impossible,
        [
            "write_access_is_reported",
            "page_keeps_its_limit_where_the_source_does_not",
            "silent_source_is_given_up",
            "dripping_source_is_given_up",
            "same_page_again_ends",
            "pages_in_a_cycle_end",
            "pages_without_end_end",
        ]
    );
}
