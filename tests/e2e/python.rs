//! A registry team's view: batches that a gateway really made are opened and validated in another language.

use std::fs;
use std::path::Path;
use std::process::Command;

use testbed::fhir::FhirServer;

use crate::support::{City, Clinic, fhir_source};
use crate::whole::fill_fhir;

#[tokio::test(flavor = "multi_thread")]
async fn real_batches_open_in_python_and_pass_an_independent_validator() {
    let server = FhirServer::start().await.expect("an FHIR server");
    fill_fhir(&server);
    let city = City::new();
    let clinic =
        Clinic::new(&city, "[queue.directory]\npath = \"queue\"\n", &fhir_source(&server.base_url()), "");
    let (report, _) = clinic.sync().await;
    assert!(report.is_complete() && report.delivered > 0, "{report:?}");

    let incoming = clinic.folder.path().join("queue/incoming");
    let batches: Vec<_> = fs::read_dir(incoming)
        .expect("the queue's folder can be listed")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "batch"))
        .collect();
    assert_eq!(batches.len(), report.delivered);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test-contract");
    let key = city.folder.path().join("private.key");
    let output = Command::new(script).arg(key).args(&batches).output().expect("the script starts");
    let told =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert!(told.contains(" 0 faults"), "{told}");
}
