//! When the operator mends the settings, what had been refused under the old ones is read again.

use std::fs;
use std::sync::atomic::Ordering;

use serde_json::json;
use testbed::fhir::FhirServer;

use crate::support::{City, Clinic, fhir_source};
use crate::whole::fill_fhir;

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_mapping_brings_back_what_it_had_refused() {
    let server = FhirServer::start().await.expect("an FHIR server");
    fill_fhir(&server);
    server.put(
        json!({ "resourceType": "Immunization", "id": "local-code", "status": "completed",
                "occurrenceDateTime": "2021-06-11", "vaccineCode": { "text": "Вакцина клиники" },
                "patient": { "reference": "Patient/a" } }),
        "2021-06-20T00:00:00Z",
    );
    let city = City::new();
    let clinic = Clinic::new(
        &city,
        "[queue.directory]\npath = \"queue\"\n",
        &fhir_source(&server.base_url()),
        "",
    );
    let (report, first) = clinic.sync().await;
    assert!(report.is_complete(), "{report:?}");
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!(
        (
            count(&first.new),
            count(&first.withdrawn_unsent),
            count(&first.refused)
        ),
        (2, 1, 2)
    );

    let text = fs::read_to_string(clinic.config_path()).expect("the configuration can be read");
    let mended = format!(
        "{text}\n[source.clinic.policy.codes.vaccines]\n\"Вакцина клиники\" = \"covivac\"\n"
    );
    fs::write(clinic.config_path(), mended).expect("the configuration is mended");
    // The record's own change stamp lies far behind the stored cursor and its overlap.
    let (report, second) = clinic.sync().await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(
        (
            count(&second.new),
            count(&second.corrected),
            count(&second.withdrawn)
        ),
        (1, 0, 0)
    );
    let (report, _) = clinic.sync().await;
    assert_eq!(report.delivered, 0, "and once is enough");
}
