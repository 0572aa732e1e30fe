//! Files of a bulk export on another origin than the server's: a store with signed addresses.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use connector_fhir::FhirConnector;
use connector_kit::{Connector, Cursor, SourceError};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::export::{FEED, NUMBER, settings};
use crate::export_content::failure;
use crate::support::{Run, dose, patient, request, run, try_connector};

/// A clinic whose server begins exports, with `token` as its access token.
struct Clinic {
    server: MockServer,
    store: MockServer,
    folder: tempfile::TempDir,
}

impl Clinic {
    /// `needs_token`: what the manifest says. Each manifest has another signature in the address of
    /// its file, from `sig=1` on.
    async fn start(needs_token: bool) -> Self {
        let clinic = Self {
            server: MockServer::start().await,
            store: MockServer::start().await,
            folder: tempfile::tempdir().unwrap(),
        };
        let token = clinic.folder.path().join("token");
        std::fs::write(&token, "s3cret").unwrap();
        let owner_only = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&token, owner_only).unwrap();
        let kick_off = ResponseTemplate::new(202).insert_header("content-location", "/fhir/status");
        Mock::given(path("/fhir/$export"))
            .respond_with(kick_off)
            .mount(&clinic.server)
            .await;
        let address = format!("{}/bucket/doses.ndjson.gz", clinic.store.uri());
        let signed = AtomicUsize::new(0);
        let manifest = move |_: &Request| {
            let number = 1 + signed.fetch_add(1, Ordering::Relaxed);
            ResponseTemplate::new(200).set_body_json(json!({
                "transactionTime": "2021-07-01T00:00:00Z", "requiresAccessToken": needs_token,
                "output": [{"type": "Immunization", "url": format!("{address}?sig={number}")}]}))
        };
        Mock::given(method("GET"))
            .and(path("/fhir/status"))
            .respond_with(manifest)
            .mount(&clinic.server)
            .await;
        for (kind, entry) in [
            ("Patient", json!([{"resource": patient("p", NUMBER)}])),
            ("Immunization", json!([])),
        ] {
            let found = json!({"resourceType": "Bundle", "type": "searchset", "entry": entry});
            Mock::given(path(format!("/fhir/{kind}")))
                .respond_with(ResponseTemplate::new(200).set_body_json(found))
                .mount(&clinic.server)
                .await;
        }
        clinic
    }

    /// A connector with the access token, which may read files of the store.
    fn connector(&self) -> FhirConnector {
        self.connector_with(&json!({"export_origins": [self.store.uri()]}))
    }

    fn connector_with(&self, more: &Value) -> FhirConnector {
        let mut all = settings();
        all["auth"] = json!({"bearer": {"file": "token"}});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let base_url = format!("{}/fhir", self.server.uri());
        try_connector(&base_url, all, self.folder.path()).unwrap()
    }

    /// What the store answers by an address with this signature, at most so many times.
    async fn store(&self, signature: &str, times: u64, answer: ResponseTemplate) {
        Mock::given(path("/bucket/doses.ndjson.gz"))
            .and(query_param("sig", signature))
            .respond_with(answer)
            .up_to_n_times(times)
            .mount(&self.store)
            .await;
    }

    /// The signatures that the store was asked with. Fails where it got a login.
    async fn asked(&self) -> Vec<String> {
        let requests = self.store.received_requests().await.unwrap();
        let headers = requests.iter().map(|request| &request.headers);
        assert!(
            headers
                .clone()
                .all(|all| !all.contains_key("authorization"))
        );
        assert!(headers.clone().all(|all| !all.contains_key("referer")));
        let urls = requests.iter().map(|request| request.url.query());
        urls.map(|query| query.unwrap_or_default().to_owned())
            .collect()
    }
}

/// Lines of doses of one patient.
fn lines(ids: &[&str]) -> String {
    ids.iter()
        .map(|id| format!("{}\n", dose(id, "p")))
        .collect()
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A packed file that breaks off behind these lines.
fn broken(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.flush().unwrap();
    encoder.get_ref().clone()
}

fn file(body: Vec<u8>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, "application/gzip")
}

#[tokio::test]
async fn a_store_that_is_allowed_gets_no_login_whatever_the_manifest_says() {
    for needs_token in [false, true] {
        let clinic = Clinic::start(needs_token).await;
        clinic
            .store("1", 9, file(packed(&lines(&["a", "b", "c"]))))
            .await;
        let load = run(&clinic.connector(), FEED, None, 2).await;
        assert_eq!(load.ids(), ["a", "b", "c"]);
        assert_eq!(clinic.asked().await, ["sig=1"]);
        let of_server = clinic.server.received_requests().await.unwrap();
        assert!(
            of_server
                .iter()
                .all(|asked| asked.headers.contains_key("authorization"))
        );
    }
}

#[tokio::test]
async fn a_store_that_is_not_named_gets_no_request_and_is_named_to_the_operator() {
    let clinic = Clinic::start(false).await;
    clinic.store("1", 9, file(packed(&lines(&["a"])))).await;
    for more in [
        json!({}),
        json!({"export_origins": ["https://store.example"]}),
    ] {
        let error = failure(&clinic.connector_with(&more), 2).await;
        let SourceError::Misconfigured { help, .. } = &error else {
            panic!("{error}");
        };
        assert!(help.contains("export_origins"), "{error}");
        assert!(help.contains(&clinic.store.uri()), "{error}");
        assert!(!format!("{error:?}").contains("sig="), "{error:?}");
    }
    assert!(clinic.asked().await.is_empty());
}

#[tokio::test]
async fn an_address_that_expires_within_a_file_is_asked_for_again_and_rests_nowhere() {
    let clinic = Clinic::start(false).await;
    let all = ["a", "b", "c", "d", "e"];
    // The file breaks off behind its third line; then its address has expired.
    clinic.store("1", 1, file(broken(&lines(&all[..3])))).await;
    clinic.store("1", 9, ResponseTemplate::new(403)).await;
    clinic.store("2", 9, file(packed(&lines(&all)))).await;
    let source = clinic.connector();
    let mut loaded = Run {
        records: Vec::new(),
        resume: None,
        pages: 0,
        surprises: Vec::new(),
    };
    let mut next: Option<Cursor> = None;
    for number in 0..100 {
        let page = source
            .page(request(FEED, next.as_ref(), number == 0, 10))
            .await;
        let page = page.unwrap();
        loaded.records.extend(page.records);
        for kept in page.next.iter().chain(&page.resume) {
            let text = kept.as_str();
            assert!(!text.contains("sig") && !text.contains("bucket"), "{text}");
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(loaded.ids(), all, "each once, and in order");
    assert_eq!(clinic.asked().await, ["sig=1", "sig=1", "sig=2"]);
}

#[tokio::test]
async fn an_address_that_is_refused_as_soon_as_it_is_given_stops_the_load() {
    let clinic = Clinic::start(false).await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(403).set_body_string("<Error>sig=hunter2</Error>"))
        .mount(&clinic.store)
        .await;
    let error = failure(&clinic.connector(), 10).await;
    assert!(
        error.to_string().contains("store of the export's files"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    assert_eq!(
        clinic.asked().await.len(),
        2,
        "by the first address, and by a new one"
    );
}

#[tokio::test]
async fn a_redirect_of_the_server_leads_to_an_allowed_store_without_the_login() {
    let clinic = Clinic::start(true).await;
    clinic.server.reset().await;
    let kick_off = ResponseTemplate::new(202).insert_header("content-location", "/fhir/status");
    Mock::given(path("/fhir/$export"))
        .respond_with(kick_off)
        .mount(&clinic.server)
        .await;
    let manifest = json!({"transactionTime": "2021-07-01T00:00:00Z", "requiresAccessToken": true,
        "output": [{"type": "Immunization", "url": "/fhir/files/1"}]});
    Mock::given(path("/fhir/status"))
        .respond_with(ResponseTemplate::new(200).set_body_json(manifest))
        .mount(&clinic.server)
        .await;
    let address = format!("{}/bucket/doses.ndjson.gz?sig=7", clinic.store.uri());
    let redirect = ResponseTemplate::new(307).insert_header("location", address.as_str());
    Mock::given(path("/fhir/files/1"))
        .respond_with(redirect)
        .mount(&clinic.server)
        .await;
    let found = json!({"resourceType": "Bundle", "type": "searchset",
        "entry": [{"resource": patient("p", NUMBER)}]});
    Mock::given(path("/fhir/Patient"))
        .respond_with(ResponseTemplate::new(200).set_body_json(found))
        .mount(&clinic.server)
        .await;
    clinic.store("7", 9, file(packed(&lines(&["a"])))).await;
    let error = failure(&clinic.connector_with(&json!({})), 2).await;
    assert!(
        error.to_string().contains("redirects off the host"),
        "{error}"
    );
    assert!(clinic.asked().await.is_empty());
    let source = clinic.connector();
    let mut page = source.page(request(FEED, None, true, 2)).await.unwrap();
    while page.records.is_empty() {
        let next = page.next.unwrap();
        page = source
            .page(request(FEED, Some(&next), false, 2))
            .await
            .unwrap();
    }
    assert_eq!(page.records[0].record_id, "Immunization/a");
    assert_eq!(clinic.asked().await, ["sig=7"]);
}

#[tokio::test]
async fn a_bomb_in_a_file_stops_the_load_before_it_takes_memory() {
    let clinic = Clinic::start(false).await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let blanks = vec![b' '; 1024 * 1024];
    for _ in 0..80 {
        encoder.write_all(&blanks).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    clinic.store("1", 9, file(bomb)).await;
    let error = failure(&clinic.connector(), 10).await;
    assert!(
        error.to_string().contains("unpacks to more than"),
        "{error}"
    );
}
