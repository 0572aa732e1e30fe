//! The FHIR server: search, pages, includes, faults.

use serde_json::{Value, json};
use testbed::fhir::{Auth, EndlessPages, Exports, FhirServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn ids(&self, mode: &str) -> Vec<String> {
        let bundle = self.json();
        let entries = bundle["entry"].as_array().unwrap();
        let of_mode = entries
            .iter()
            .filter(|entry| entry["search"]["mode"] == mode);
        of_mode
            .map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned())
            .collect()
    }

    fn next(&self) -> Option<String> {
        let bundle = self.json();
        let link = bundle["link"]
            .as_array()
            .unwrap()
            .iter()
            .find(|link| link["relation"] == "next")?
            .clone();
        Some(link["url"].as_str().unwrap().to_owned())
    }
}

async fn get_with(server: &FhirServer, url: &str, headers: &str) -> Answer {
    let path = url.split_once("/fhir").unwrap().1;
    let host = format!("127.0.0.1:{}", server.port());
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let request =
        format!("GET /fhir{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let split = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(answer[..split].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_lowercase(),
        body: answer[split + 4..].to_vec(),
    }
}

async fn get(server: &FhirServer, path: &str) -> Answer {
    get_with(server, &format!("{}{path}", server.base_url()), "").await
}

/// Five vaccinations of two patients, the newest with the smallest id, and one test.
async fn clinic() -> FhirServer {
    let server = FhirServer::start().await.unwrap();
    for id in ["p1", "p2"] {
        server.put(
            json!({"resourceType": "Patient", "id": id}),
            "2021-06-01T00:00:00Z",
        );
    }
    for number in 1..=5 {
        let patient = if number % 2 == 0 { "p2" } else { "p1" };
        let vaccination = json!({
            "resourceType": "Immunization", "id": format!("i{}", 6 - number), "status": "completed",
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "505"}]},
            "patient": {"reference": format!("Patient/{patient}")},
        });
        server.put(vaccination, &format!("2021-07-0{number}T09:00:00+03:00"));
    }
    let test = json!({
        "resourceType": "Observation", "id": "o1", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "94500-6"}]},
        "subject": {"reference": "Patient/p2"},
    });
    server.put(test, "2021-07-03T09:00:00Z");
    server
}

#[tokio::test]
async fn search_filters_sorts_and_includes() {
    let server = clinic().await;
    let path = "/Immunization?_lastUpdated=ge2021-07-02T09:00:00%2B03:00\
                &_lastUpdated=lt2021-07-05&_sort=_lastUpdated";
    let answer = get(&server, &format!("{path}&_include=Immunization:patient")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("application/fhir+json"));
    assert_eq!(answer.ids("match"), ["i4", "i3", "i2"]);
    assert_eq!(answer.ids("include"), ["p2", "p1"]);
    assert_eq!(answer.json()["total"], 3);
    assert_eq!(
        get(&server, "/Immunization?_sort=-_lastUpdated&_count=2")
            .await
            .ids("match"),
        ["i1", "i2"]
    );
    assert_eq!(
        get(&server, "/Immunization?vaccine-code=505&_id=i3,i9")
            .await
            .ids("match"),
        ["i3"]
    );
    assert_eq!(
        get(&server, "/Immunization?status=not-done")
            .await
            .ids("match"),
        Vec::<String>::new()
    );
    let codes =
        "code=http://loinc.org%7C94500-6,http://loinc.org%7C94759-8&_include=Observation:subject";
    let tests = get(&server, &format!("/Observation?{codes}")).await;
    assert_eq!(
        (tests.ids("match"), tests.ids("include")),
        (vec!["o1".to_owned()], vec!["p2".to_owned()])
    );
    let count = get(&server, "/Immunization?_summary=count").await.json();
    assert_eq!((&count["total"], count.get("entry")), (&json!(5), None));
    assert_eq!(
        get(&server, "/Immunization?_lastUpdated=ge-soon")
            .await
            .status,
        400
    );
    let strict = get_with(
        &server,
        "/fhir/Immunization?room=5",
        "Prefer: handling=strict\r\n",
    )
    .await;
    assert_eq!(
        (strict.status, &strict.json()["resourceType"]),
        (400, &json!("OperationOutcome"))
    );
    server.ignore_sort();
    server.without_include();
    let plain = get(&server, &format!("{path}&_include=Immunization:patient")).await;
    assert_eq!(
        (plain.ids("match"), plain.ids("include").len()),
        (vec!["i2".into(), "i3".into(), "i4".into()], 0)
    );
}

#[tokio::test]
async fn pages_show_the_result_as_it_was() {
    let server = clinic().await;
    server.page_limit(2);
    let mut page = get(&server, "/Immunization?_sort=_lastUpdated&_count=100").await;
    let mut ids = page.ids("match");
    server.delete("Immunization", "i3");
    server.put(
        json!({"resourceType": "Immunization", "id": "i0"}),
        "2021-07-01T00:00:00Z",
    );
    let first_link = page.next().unwrap();
    while let Some(next) = page.next() {
        page = get_with(&server, &next, "").await;
        ids.extend(page.ids("match"));
    }
    assert_eq!(ids, ["i5", "i4", "i3", "i2", "i1"]);
    assert_eq!(get(&server, "/Immunization/i3").await.status, 410);
    assert_eq!(get(&server, "/Immunization/i9").await.status, 404);
    server.expire_pages();
    assert_eq!(get_with(&server, &first_link, "").await.status, 410);
    server.set_link_base(Some("http://elsewhere.example/fhir"));
    let next = get(&server, "/Immunization").await.next().unwrap();
    assert!(
        next.starts_with("http://elsewhere.example/fhir/?_page="),
        "{next}"
    );
}

#[tokio::test]
async fn versions_rise_and_credentials_are_checked() {
    let server = clinic().await;
    server.put(
        json!({"resourceType": "Patient", "id": "p1"}),
        "2021-08-01T00:00:00Z",
    );
    let meta = get(&server, "/Patient/p1").await.json()["meta"].clone();
    assert_eq!(
        meta,
        json!({"versionId": "2", "lastUpdated": "2021-08-01T00:00:00Z"})
    );
    server.set_auth(Some(Auth::Basic {
        user: "gateway".into(),
        password: "pass".into(),
    }));
    let refused = get(&server, "/Patient/p1").await;
    assert_eq!(refused.status, 401);
    assert!(refused.head.contains("www-authenticate: basic"));
    let wrong = get_with(
        &server,
        "/fhir/Patient/p1",
        "Authorization: Basic Z2F0ZXdheTp3cm9uZw==\r\n",
    )
    .await;
    assert_eq!(wrong.status, 401);
    let right = get_with(
        &server,
        "/fhir/Patient/p1",
        "Authorization: Basic Z2F0ZXdheTpwYXNz\r\n",
    )
    .await;
    assert_eq!(right.status, 200);
    server.set_auth(Some(Auth::Bearer("token".into())));
    assert_eq!(
        get_with(
            &server,
            "/fhir/Patient/p1",
            "Authorization: Bearer token\r\n"
        )
        .await
        .status,
        200
    );
    let metadata = get(&server, "/metadata").await;
    assert_eq!(
        (metadata.status, &metadata.json()["fhirVersion"]),
        (200, &json!("4.0.1"))
    );
}

#[tokio::test]
async fn faults_come_in_order_and_only_once() {
    let server = clinic().await;
    server.fail_next(2, 429, Some(7));
    server.redirect_next("http://elsewhere.example/");
    server.oversize_next(100_000);
    server.truncate_next();
    for _ in 0..2 {
        let busy = get(&server, "/Patient/p1").await;
        assert_eq!(
            (busy.status, &busy.json()["resourceType"]),
            (429, &json!("OperationOutcome"))
        );
        assert!(busy.head.contains("retry-after: 7"));
    }
    let moved = get(&server, "/Patient/p1").await;
    assert_eq!(moved.status, 307);
    assert!(moved.head.contains("location: http://elsewhere.example/"));
    let large = get(&server, "/Patient/p1").await;
    assert!(large.body.len() > 100_000 && large.json()["resourceType"] == "Bundle");
    let truncated = get(&server, "/Patient/p1").await;
    let is_json = serde_json::from_slice::<Value>(&truncated.body).is_ok();
    assert!(truncated.status == 200 && !is_json);
    assert_eq!(get(&server, "/Patient/p1?x=1").await.status, 200);
    assert_eq!(server.requests().len(), 6);
    assert_eq!(server.requests()[5], "GET /fhir/Patient/p1?x=1");
}

#[tokio::test]
async fn pages_by_offset_shift_and_may_never_end() {
    let server = clinic().await;
    server.page_limit(2);
    server.page_by_offset();
    let first = get(&server, "/Immunization?_sort=_lastUpdated,_id").await;
    assert_eq!(first.ids("match"), ["i5", "i4"]);
    server.delete("Immunization", "i5");
    let second = get_with(&server, &first.next().unwrap(), "").await;
    assert_eq!(second.ids("match"), ["i2", "i1"], "i3 has slipped through");
    assert_eq!(second.next(), None);
    for endless in [
        EndlessPages::SamePage,
        EndlessPages::Cycle,
        EndlessPages::NewLinks,
    ] {
        server.endless_pages(Some(endless));
        let last = get_with(&server, &first.next().unwrap(), "").await;
        let after = get_with(&server, &last.next().unwrap(), "").await;
        let expected = if endless == EndlessPages::Cycle {
            ["i4", "i3"]
        } else {
            ["i2", "i1"]
        };
        assert_eq!(after.ids("match"), expected);
        assert_eq!(
            after.next() == last.next(),
            endless == EndlessPages::SamePage
        );
    }
}

#[tokio::test]
async fn backups_elements_and_parameters_that_are_not_supported() {
    let server = clinic().await;
    let backup = server.save();
    server.delete("Immunization", "i3");
    server.put(
        json!({"resourceType": "Immunization", "id": "i0"}),
        "2021-08-01T00:00:00Z",
    );
    server.restore(&backup);
    let answer = get(&server, "/Immunization?_elements=id,meta&_id=i0,i3").await;
    assert_eq!(answer.ids("match"), ["i3"]);
    let resource = answer.json()["entry"][0]["resource"].clone();
    assert_eq!(resource["meta"]["tag"][0]["code"], "SUBSETTED");
    assert!(resource["meta"]["lastUpdated"].is_string() && resource.get("vaccineCode").is_none());
    server.without_id_lists();
    assert!(
        get(&server, "/Immunization?_id=i1,i3")
            .await
            .ids("match")
            .is_empty()
    );
    assert_eq!(
        get(&server, "/Immunization?_id=i3").await.ids("match"),
        ["i3"]
    );
    server.ignore_parameter("Immunization?_id");
    assert_eq!(
        get(&server, "/Immunization?_id=i3")
            .await
            .ids("match")
            .len(),
        5
    );
    assert_eq!(get(&server, "/Patient?_id=p1").await.ids("match"), ["p1"]);
    server.refuse_parameter("_sort=-_lastUpdated");
    assert_eq!(
        get(&server, "/Immunization?_sort=-_lastUpdated")
            .await
            .status,
        400
    );
    assert_eq!(
        get(&server, "/Immunization?_sort=_lastUpdated")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn identical_searches_are_answered_from_one_result_for_a_minute() {
    let server = clinic().await;
    server.reuse_searches();
    let begin: chrono::DateTime<chrono::Utc> = "2021-07-10T12:00:00Z".parse().unwrap();
    server.set_clock(Some(begin));
    let path = "/Immunization?_sort=_lastUpdated";
    let ids = async |headers: &str| {
        let url = format!("{}{path}", server.base_url());
        get_with(&server, &url, headers).await.ids("match")
    };
    assert_eq!(ids("").await.len(), 5);
    server.delete("Immunization", "i1");
    server.set_clock(Some(begin + chrono::TimeDelta::seconds(59)));
    assert_eq!(ids("").await.len(), 5, "the old list");
    let other = get(&server, "/Immunization?_sort=-_lastUpdated").await;
    assert_eq!(other.ids("match").len(), 4, "another search");
    server.set_clock(Some(begin + chrono::TimeDelta::seconds(60)));
    assert_eq!(ids("").await.len(), 4, "a minute later");
    server.delete("Immunization", "i2");
    assert_eq!(ids("").await.len(), 4);
    assert_eq!(ids("Cache-Control: no-cache\r\n").await.len(), 3);
    assert_eq!(ids("").await.len(), 3, "the newest result is the one used");
}

#[tokio::test]
async fn requests_fail_at_a_rate_and_rates_combine() {
    let server = clinic().await;
    server.set_clock(Some("2021-07-10T12:00:00Z".parse().unwrap()));
    server.fail_every(3, 503, Some(7));
    server.fail_every(2, 429, None);
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(get(&server, "/Patient/p1").await.status);
    }
    assert_eq!(seen, [200, 429, 503, 429, 200, 503]);
    server.end_rates();
    server.retry_after_as_date();
    server.fail_every(1, 503, Some(7));
    let busy = get(&server, "/Patient/p1").await;
    let date = "retry-after: sat, 10 jul 2021 12:00:07 gmt";
    assert!(busy.head.contains(date), "{}", busy.head);
    server.end_rates();
    server.expire_every(2);
    let page = get(&server, "/Immunization?_count=1").await;
    let next = page.next().unwrap();
    assert_eq!(get_with(&server, &next, "").await.status, 200);
    assert_eq!(get_with(&server, &next, "").await.status, 410);
}

#[tokio::test]
async fn a_history_tells_of_deletions_and_a_missing_stamp_is_found_by_no_search_for_one() {
    let server = clinic().await;
    server.set_clock(Some("2021-07-10T12:00:00Z".parse().unwrap()));
    server.delete("Patient", "p1");
    let path = "/Patient/_history?_since=2021-07-10T11:00:00Z";
    let bundle = get(&server, path).await.json();
    let entries = bundle["entry"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{bundle}");
    assert_eq!(entries[0]["request"]["method"], "DELETE");
    assert_eq!(entries[0]["request"]["url"], "Patient/p1");
    let all = get(&server, "/Patient/_history?_count=2").await;
    assert!(all.next().is_some(), "three versions");
    server.without_history();
    assert_eq!(get(&server, path).await.status, 404);

    server.put_unstamped(json!({"resourceType": "Patient", "id": "p3"}));
    assert_eq!(get(&server, "/Patient").await.ids("match"), ["p2", "p3"]);
    let stamped = get(&server, "/Patient?_lastUpdated=ge1900-01-01").await;
    assert_eq!(stamped.ids("match"), ["p2"]);
    server.write_bom();
    let marked = get(&server, "/Patient/p3").await;
    assert!(marked.body.starts_with(b"\xef\xbb\xbf{"));
}

#[tokio::test]
async fn an_export_is_of_its_beginning_and_in_files() {
    let server = clinic().await;
    assert_eq!(get(&server, "/$export").await.status, 404);
    server.set_exports(Some(Exports {
        polls: 1,
        lines_per_file: 1,
        ..Exports::default()
    }));
    let begun = get(&server, "/Patient/$export?_type=Patient").await;
    assert_eq!(begun.status, 202);
    server.delete("Patient", "p1");
    let status = "/export-jobs/job-0";
    assert!(begun.head.contains(status), "{}", begun.head);
    assert_eq!(get(&server, status).await.status, 202);
    let manifest = get(&server, status).await.json();
    assert_eq!(manifest["output"].as_array().unwrap().len(), 2);
    let file = get(&server, "/export-jobs/job-0/Patient-0").await.json();
    assert_eq!(file["id"], "p1");
    server.forget_exports();
    assert_eq!(get(&server, status).await.status, 404);
}
