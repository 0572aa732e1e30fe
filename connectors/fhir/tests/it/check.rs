//! `check` against good and bad servers: one clear sentence for each thing.

use connector_kit::{Connector, Feed, Level};
use serde_json::{Value, json};
use testbed::fhir::{Auth, FhirServer};
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{connector, dose, now, patient};

async fn findings(
    base_url: &str,
    settings: Value,
    now: chrono::DateTime<chrono::Utc>,
) -> Vec<(Level, String)> {
    let report = connector(base_url, settings).check(now).await;
    report
        .findings
        .into_iter()
        .map(|finding| (finding.level, finding.what))
        .collect()
}

fn has(findings: &[(Level, String)], level: Level, word: &str) -> bool {
    findings
        .iter()
        .any(|(found, what)| *found == level && what.contains(word))
}

#[tokio::test]
async fn a_good_server_is_good() {
    use clock::Clock;
    let server = FhirServer::start().await.unwrap();
    let mut person = patient("p", "112-233-445 95");
    person["identifier"].as_array_mut().unwrap().truncate(1);
    server.put(person, "2021-07-01T00:00:00Z");
    server.put(dose("d", "p"), "2021-07-01T10:00:00Z");
    let report = connector(&server.base_url(), json!({"feeds": ["vaccinations"]}))
        .check(clock::SystemClock::default().now())
        .await;
    assert_eq!(report.worst(), Level::Good, "{report:?}");
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|line| line.contains("metadata"))
            .count(),
        1
    );
}

#[tokio::test]
async fn unknown_systems_nameless_records_and_clocks_are_warned_of() {
    let server = FhirServer::start().await.unwrap();
    for id in ["p", "q"] {
        server.put(patient(id, "112-233-445 95"), "2021-07-01T00:00:00Z");
    }
    server.put(dose("d", "p"), "2021-07-01T10:00:00Z");
    server.put(dose("f", "q"), "2021-07-01T10:00:00Z");
    server.put(dose("e", "nobody"), "2021-07-01T11:00:00Z");
    for include in [true, false] {
        if !include {
            server.without_include();
        }
        let found = findings(&server.base_url(), json!({}), now()).await;
        assert!(has(&found, Level::Warning, "urn:clinic:card"), "{found:?}");
        assert!(
            has(&found, Level::Warning, "1 of the first 3 records"),
            "{found:?}"
        );
        assert!(has(&found, Level::Warning, "clock is"), "{found:?}");
        assert_eq!(
            has(&found, Level::Warning, "does not declare _include"),
            !include,
            "{found:?}"
        );
        assert!(!format!("{found:?}").contains("112-233"), "no values");
    }
    let quiet = json!({"identifier_systems": {"urn:clinic:card": "ignored"}});
    assert!(!has(
        &findings(&server.base_url(), quiet, now()).await,
        Level::Warning,
        "urn:clinic:card"
    ));
    server.ignore_sort();
    for n in 0..8 {
        server.put(
            dose(&format!("x{n}"), "p"),
            &format!("2021-07-01T1{n}:00:00Z"),
        );
    }
    let found = findings(&server.base_url(), json!({}), now()).await;
    assert!(has(&found, Level::Warning, "ignores _sort"), "{found:?}");
}

#[tokio::test]
async fn a_passport_of_no_known_country_is_warned_of() {
    let server = FhirServer::start().await.unwrap();
    let mut person = patient("p", "112-233-445 95");
    let v2 = "http://terminology.hl7.org/CodeSystem/v2-0203";
    person["identifier"] = json!([{"system": "urn:passports", "value": "C01X00T47",
        "type": {"coding": [{"system": v2, "code": "PPN"}]}}]);
    server.put(person.clone(), "2021-07-01T00:00:00Z");
    server.put(dose("d", "p"), "2021-07-01T10:00:00Z");
    let found = findings(&server.base_url(), json!({}), now()).await;
    assert!(
        has(&found, Level::Warning, "a passport of no known country"),
        "{found:?}"
    );
    let alone = "systems without a country (persons): (one that a single person has) (1)";
    assert!(has(&found, Level::Warning, alone), "{found:?}");
    let mut other = person.clone();
    other["id"] = json!("q");
    server.put(other, "2021-07-01T00:00:00Z");
    server.put(dose("e", "q"), "2021-07-01T10:00:00Z");
    let found = findings(&server.base_url(), json!({}), now()).await;
    let several = "2 of the first 2 records have a passport of no known country; systems without \
                   a country (persons): urn:passports (2)";
    assert!(has(&found, Level::Warning, several), "{found:?}");
    let named = json!({"identifier_countries": {"urn:passports": "DEU"}});
    let found = findings(&server.base_url(), named, now()).await;
    assert!(!has(&found, Level::Warning, "passport"), "{found:?}");
}

#[tokio::test]
async fn wrong_credentials_are_an_error_for_every_feed() {
    let server = FhirServer::start().await.unwrap();
    server.set_auth(Some(Auth::Bearer("t".into())));
    let found = findings(&server.base_url(), json!({}), now()).await;
    let errors = found
        .iter()
        .filter(|(level, what)| *level == Level::Error && what.contains("401"))
        .count();
    assert_eq!(errors, 3, "{found:?}");
}

#[tokio::test]
async fn what_is_no_r4_server_is_named() {
    let metadata = async |value: Value| {
        let server = MockServer::start().await;
        let response =
            ResponseTemplate::new(200).set_body_raw(value.to_string(), "application/fhir+json");
        Mock::given(path("/metadata"))
            .respond_with(response)
            .mount(&server)
            .await;
        findings(&server.uri(), json!({}), now()).await
    };
    for (value, word) in [
        (
            json!({"resourceType": "CapabilityStatement", "fhirVersion": "3.0.2"}),
            "version 3.0.2",
        ),
        (json!({"resourceType": "CapabilityStatement"}), "(not told)"),
        (
            json!({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1 <script>"}),
            "speaks FHIR 4.0.1",
        ),
        (json!({"resourceType": "Bundle"}), "no CapabilityStatement"),
    ] {
        let found = metadata(value).await;
        assert!(
            found.iter().any(|(_, what)| what.contains(word)),
            "{word}: {found:?}"
        );
        assert!(!found.iter().any(|(_, what)| what.contains("script")));
    }
    let html = MockServer::start().await;
    let page = ResponseTemplate::new(200).set_body_raw("<html></html>", "text/html");
    Mock::given(any()).respond_with(page).mount(&html).await;
    assert!(has(
        &findings(&html.uri(), json!({}), now()).await,
        Level::Error,
        "web page"
    ));
    let away = format!("http://127.0.0.1:{}", testbed::ports::free_port());
    assert!(has(
        &findings(&away, json!({}), now()).await,
        Level::Error,
        "refuses connections"
    ));
}

#[tokio::test]
async fn a_way_that_anyone_can_read_is_warned_of() {
    let settings = json!({"allow_plain_http": true, "connect_timeout_seconds": 1});
    let found = findings("http://mis.invalid/", settings.clone(), now()).await;
    assert!(
        has(&found, Level::Warning, "allow_plain_http is set"),
        "{found:?}"
    );
    let found = findings("http://127.0.0.1:1/", settings, now()).await;
    assert!(
        !has(&found, Level::Warning, "allow_plain_http"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_byte_order_mark_before_the_json_is_no_fault() {
    use clock::Clock;
    let server = FhirServer::start().await.unwrap();
    let mut person = patient("p", "112-233-445 95");
    person["identifier"].as_array_mut().unwrap().truncate(1);
    server.put(person, "2021-07-01T00:00:00Z");
    server.put(dose("d", "p"), "2021-07-01T10:00:00Z");
    server.write_bom();
    let settings = json!({"feeds": ["vaccinations"]});
    let source = connector(&server.base_url(), settings);
    let report = source.check(clock::SystemClock::default().now()).await;
    assert_eq!(report.worst(), Level::Good, "{report:?}");
    let ids = ["Immunization/d".to_owned()];
    let read = source.fetch(Feed::Vaccinations, &ids, now()).await;
    assert_eq!(read.unwrap().len(), 1);
    server.refuse_parameter("Immunization?_id");
    let read = connector(&server.base_url(), json!({"include": "always"}))
        .fetch(Feed::Vaccinations, &ids, now())
        .await;
    assert_eq!(read.unwrap().len(), 1, "by its address");
    server.set_auth(Some(Auth::Bearer("t".into())));
    let error = source.fetch(Feed::Vaccinations, &ids, now()).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("has to log in"),
        "a refusal's words: {error}"
    );
}

/// Findings of `check` with their help, of a source with these feeds.
async fn advice(server: &FhirServer, feed: &str) -> Vec<(Level, String, String)> {
    let source = connector(&server.base_url(), json!({"feeds": [feed]}));
    let report = source.check(now()).await;
    let told = report.findings.into_iter();
    told.map(|told| (told.level, told.what, told.help.unwrap_or_default()))
        .collect()
}

#[tokio::test]
async fn links_to_another_host_are_an_error_before_the_first_run() {
    let server = FhirServer::start().await.unwrap();
    server.put(patient("p", "112-233-445 95"), "2021-07-01T00:00:00Z");
    server.set_link_base(Some("https://intern.example/fhir"));
    server.put(dose("d0", "p"), "2021-07-01T10:00:00Z");
    let found = advice(&server, "vaccinations").await;
    let told = |found: &[(Level, String, String)], level, word: &str| {
        let told = |f: &&(Level, String, String)| f.0 == level && f.1.contains(word);
        found.iter().find(told).map(|f| f.2.clone())
    };
    let help = told(&found, Level::Warning, "once there is more than one page").unwrap();
    assert!(help.contains("server_address"), "{found:?}");
    for n in 1..30 {
        server.put(dose(&format!("d{n}"), "p"), "2021-07-01T10:00:00Z");
    }
    let found = advice(&server, "vaccinations").await;
    let help = told(
        &found,
        Level::Error,
        "another scheme (https instead of http), host",
    )
    .unwrap();
    assert!(help.contains("X-Forwarded"), "{found:?}");
    assert!(!format!("{found:?}").contains("intern.example"));
    server.set_link_base(None);
    server.expire_every(1);
    let found = advice(&server, "vaccinations").await;
    assert!(
        told(&found, Level::Warning, "has expired as soon as").is_some(),
        "{found:?}"
    );
    server.end_rates();
    let found = advice(&server, "vaccinations").await;
    assert!(
        told(&found, Level::Good, "can be followed").is_some(),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_search_that_finds_nothing_is_a_warning_with_the_codes_there_are() {
    let server = FhirServer::start().await.unwrap();
    let found = advice(&server, "recoveries").await;
    let nothing = |found: &[(Level, String, String)]| {
        let nothing =
            |f: &&(Level, String, String)| f.0 == Level::Warning && f.1.contains("0 records match");
        found.iter().find(nothing).cloned()
    };
    let told = nothing(&found).unwrap();
    assert!(
        told.1.contains("0 records match U07.1,840539006"),
        "{told:?}"
    );
    assert!(told.2.contains("no Condition at all"), "{told:?}");
    let codes = [
        json!([{"system": "http://snomed.info/sct", "code": "840544004"}]),
        json!([{"system": "http://snomed.info/sct", "code": "840544004"}]),
        json!([{"system": "urn:clinic:mkb", "code": "U07.2"}]),
        json!([{"system": "urn:clinic:mkb", "code": "Ivanov Ivan"}]),
        json!([]),
    ];
    for (n, coding) in codes.iter().enumerate() {
        let code = json!({"coding": coding, "text": "Ivanov has it"});
        server.put(
            json!({"resourceType": "Condition", "id": format!("c{n}"), "code": code}),
            "2021-07-01T10:00:00Z",
        );
    }
    let found = advice(&server, "recoveries").await;
    let told = nothing(&found).unwrap();
    let expected = "among 5 Condition resources there are these codes: \
        http://snomed.info/sct|840544004 (2), (only words) (1), urn:clinic:mkb|(odd) (1), \
        urn:clinic:mkb|U07.2 (1). Name those that are meant in diagnosis_codes";
    assert!(told.2.contains(expected), "{told:?}");
    assert!(
        !format!("{found:?}").contains("Ivan"),
        "no words of the clinic"
    );
    let found = advice(&server, "vaccinations").await;
    assert!(
        nothing(&found).unwrap().1.contains("no Immunization"),
        "{found:?}"
    );
}

#[tokio::test]
async fn resources_without_stamps_among_others_are_counted() {
    let server = FhirServer::start().await.unwrap();
    server.put(patient("p", "112-233-445 95"), "2021-07-01T00:00:00Z");
    for n in 0..40 {
        server.put(dose(&format!("d{n:02}"), "p"), "2021-07-01T10:00:00Z");
    }
    let word = "come without meta.lastUpdated";
    let found = findings(&server.base_url(), json!({}), now()).await;
    assert!(!has(&found, Level::Warning, word), "{found:?}");
    server.put_unstamped(dose("x", "p"));
    let found = findings(&server.base_url(), json!({}), now()).await;
    assert!(
        has(&found, Level::Warning, "1 of 41 Immunization resources"),
        "{found:?}"
    );
}

#[tokio::test]
async fn numbers_that_nothing_interprets_are_warned_of() {
    let server = FhirServer::start().await.unwrap();
    server.put(patient("p", "112-233-445 95"), "2021-07-01T00:00:00Z");
    let mut test = json!({"resourceType": "Observation", "id": "t", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "94500-6"}]},
        "subject": {"reference": "Patient/p"}, "effectiveDateTime": "2021-06-01",
        "valueQuantity": {"value": 23.4}});
    server.put(test.clone(), "2021-07-01T10:00:00Z");
    let found = findings(&server.base_url(), json!({}), now()).await;
    let told = "tests: 1 of the first 1 records have a number for their result";
    assert!(has(&found, Level::Warning, told), "{found:?}");
    test["interpretation"] = json!([{"coding": [{"code": "POS"}]}]);
    server.put(test, "2021-07-02T10:00:00Z");
    let found = findings(&server.base_url(), json!({}), now()).await;
    assert!(!has(&found, Level::Warning, told), "{found:?}");
}
