//! The conformance suite, against every kind of FHIR server.

mod snapshots {
    use crate::subject::{FhirSubject, Server};

    connector_kit::conformance_tests!(FhirSubject::start(Server::Snapshots));
}

mod offsets {
    use crate::subject::{FhirSubject, Server};

    connector_kit::conformance_tests!(FhirSubject::start(Server::Offsets));
}

mod unsorted {
    use crate::subject::{FhirSubject, Server};

    connector_kit::conformance_tests!(FhirSubject::start(Server::Unsorted));
}

mod exporting {
    use crate::subject::{FhirSubject, Server};

    connector_kit::conformance_tests!(FhirSubject::start(Server::Exporting));
}

/// Disturbances that a FHIR server cannot be made to show; all others are checked.
#[tokio::test]
async fn only_write_access_cannot_be_checked() {
    use connector_kit::conformance::{MUSTS, Subject};

    let subject = crate::subject::FhirSubject::start(crate::subject::Server::Offsets).await;
    let impossible: Vec<_> = MUSTS
        .iter()
        .filter(|must| {
            must.needs
                .is_some_and(|needs| subject.cannot(needs).is_some())
        })
        .map(|must| must.id)
        .collect();
    assert_eq!(impossible, ["write_access_is_reported"]);
}
