//! No trace of a citizen: canaries are looked for in everything that the portal leaves or says.

use serde_json::{Value, json};
use testbed::leak::Scanner;

use crate::browser::{certificate, post, send};
use crate::double::{Behaviour, Double};
use crate::program::Portal;

/// What is typed, in fields that are right and in fields that are wrong.
pub(crate) const CANARIES: &[(&str, &str)] = &[
    ("SNILS", "612-480-911 69"),
    ("wrong SNILS", "501-377-206 45"),
    ("policy", "7701885000000019"),
    ("passport", "45 10 700101"),
    ("foreign passport", "12CANARY345"),
    ("family name", "Верещагина-Канарейкина"),
    ("given name", "Канариана-Ольга"),
    ("date of birth", "14.07.1990"),
    ("key of an action", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
];

pub(crate) fn typed(document: &str, number: &str) -> Value {
    json!({
        "document": document, "number": number, "country": "FR",
        "given_name": "Канариана-Ольга", "family_name": "Верещагина-Канарейкина",
        "birth_date": "14.07.1990",
    })
}

#[tokio::test]
async fn neither_log_nor_files_nor_metrics_nor_answers_hold_what_was_typed() {
    let double = Double::start(Behaviour::Entitled).await;
    let mut portal = Portal::over(&double).await;
    let port = portal.port;
    let scanner = Scanner::new(CANARIES);
    let mut hits = Vec::new();
    let mut answers = 0;
    let mut said = Vec::new();
    let documents = [
        typed("snils", "612-480-911 69"),
        typed("snils", "501-377-206 45"),
        typed("oms", "7701885000000019"),
        typed("passport-ru", "45 10 700101"),
        typed("passport-foreign", "12CANARY345"),
    ];
    let behaviours = [
        Behaviour::Entitled,
        Behaviour::NotEntitled,
        Behaviour::Problem(503, "store", Some(5)),
        Behaviour::Raw(200, "nonsense".to_owned()),
        Behaviour::OtherHolder,
    ];
    for behaviour in behaviours {
        double.behave(&[behaviour]);
        for form in &documents {
            let mut with_kind = certificate("recovery");
            with_kind["citizen"] = form.clone();
            for (path, body) in [
                ("/api/status", form),
                ("/api/codes", form),
                ("/api/sheet", form),
                ("/api/certificate", &with_kind),
            ] {
                let answer = post(port, path, body).await;
                said.extend(answer.head.as_bytes());
                said.extend(&answer.body);
                answers += 1;
            }
        }
    }
    assert_eq!(answers, 100);
    said.extend(malformed(port, &documents[0]).await);
    let page = portal
        .page_with("/metrics", "city_portal_requests_total")
        .await;
    said.extend(page.as_bytes());

    // The registry gets pseudonyms, and of the citizen nothing.
    let asked = double.asked();
    assert!(asked.len() >= 60);
    let mut names: Vec<(&str, &str)> = Vec::new();
    for one in &asked {
        // The key of an action goes there on purpose.
        hits.extend(scanner.scan("the registry", one.body.to_string().as_bytes()));
        for name in one.body["pseudonyms"].as_array().unwrap() {
            names.push(("pseudonym", name["value"].as_str().unwrap()));
        }
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 4);
    assert_eq!(portal.terminate().await, Some(0));
    let pseudonyms = Scanner::new(&names);
    for scanner in [&scanner, &pseudonyms] {
        let (found, read) = scanner.scan_folder(portal.folder.path());
        assert!(read > 10_000, "the log is at its loudest: {read} bytes");
        hits.extend(found);
        hits.extend(scanner.scan("answers and metrics", &said));
    }
    // Part of a pseudonym, as its `Debug` shows it.
    let log = portal.log();
    for (_, name) in &names {
        assert!(!log.contains(&name[..8]), "a pseudonym is in the log");
    }
    assert_eq!(hits, []);
    assert!(log.contains("outcome=\"issued\"") && log.contains("outcome=\"fields\""));

    // A scanner that finds nothing proves nothing.
    std::fs::write(portal.folder.path().join("planted"), "… 61248091169 …").unwrap();
    let (found, _) = scanner.scan_folder(portal.folder.path());
    assert!(!found.is_empty());
}

/// Answers to requests that break off, are of another form, or carry what was typed in other places.
pub(crate) async fn malformed(port: u16, form: &Value) -> Vec<u8> {
    let own = format!("Host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n");
    let json = "Content-Type: application/json\r\n";
    let form = form.to_string();
    let half = &form[..form.floor_char_boundary(form.len() / 2)];
    let other = form.replace("\"number\"", "\"612-480-911 69\"");
    let mut said = Vec::new();
    for (line, headers, body) in [
        ("POST /api/status", json, half),
        ("POST /api/status", json, other.as_str()),
        ("POST /api/codes", json, form.as_str()),
        ("POST /api/codes", "", form.as_str()),
        ("POST /api/61248091169", json, ""),
        ("GET /612-480-911-69?number=61248091169", "", ""),
        ("GET /?number=61248091169", "Referer: /61248091169\r\n", ""),
    ] {
        let head = format!(
            "{line} HTTP/1.1\r\n{own}{headers}Content-Length: {}\r\n",
            body.len()
        );
        let answer = send(port, &head, body).await;
        said.extend(answer.head.as_bytes());
        said.extend(&answer.body);
    }
    said
}
