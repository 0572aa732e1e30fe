//! No trace of a citizen where key services evaluate: neither of what was typed, nor of an element.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testbed::leak::Scanner;

use crate::browser::{certificate, post};
use crate::double::{Behaviour, Double};
use crate::key_double::{KeyBehaviour, KeyDouble, elements};
use crate::leaks::{CANARIES, malformed, typed};
use crate::program::Portal;

/// Bytes by which an element is known in one of its forms.
const KNOWN_BY: usize = 16;

/// Beginnings of elements in the forms in which a log or an answer could hold them.
#[derive(Default)]
struct ElementScanner(HashSet<[u8; KNOWN_BY]>);

impl ElementScanner {
    fn add(&mut self, element: &[u8]) {
        let list: Vec<String> = element.iter().map(u8::to_string).collect();
        for form in [
            element.to_vec(),
            hex::encode(element).into_bytes(),
            hex::encode_upper(element).into_bytes(),
            STANDARD.encode(element).into_bytes(),
            list.join(", ").into_bytes(),
            list.join(",").into_bytes(),
            element.escape_ascii().to_string().into_bytes(),
        ] {
            self.0.insert(form[..KNOWN_BY].try_into().unwrap());
        }
    }

    /// Adds what went over the wire, as it is in one piece as well.
    fn add_body(&mut self, body: &[u8]) {
        // Behind the head of three bytes, which is not secret.
        self.add(&body[3..]);
        for element in elements(body) {
            self.add(element);
        }
    }

    /// Returns whether there is one.
    fn finds(&self, bytes: &[u8]) -> bool {
        let mut windows = bytes.windows(KNOWN_BY);
        windows.any(|window| self.0.contains(window))
    }
}

#[tokio::test]
async fn neither_what_was_typed_nor_an_element_is_anywhere() {
    let registry = Double::start(Behaviour::Entitled).await;
    let first = KeyDouble::start().await;
    let second = KeyDouble::start().await;
    let mut portal = Portal::strong_over(&registry, &[&first, &second]).await;
    let port = portal.port;
    let scanner = Scanner::new(CANARIES);
    let mut said = Vec::new();
    let documents = [
        typed("snils", "612-480-911 69"),
        typed("snils", "501-377-206 45"),
        typed("oms", "7701885000000019"),
        typed("passport-ru", "45 10 700101"),
        typed("passport-foreign", "12CANARY345"),
    ];
    for behaviour in [
        KeyBehaviour::Right,
        KeyBehaviour::OtherProof,
        KeyBehaviour::Ceiling,
        KeyBehaviour::Problem(403, "unknown-client"),
    ] {
        second.behave(behaviour);
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
            }
        }
    }
    said.extend(malformed(port, &documents[0]).await);
    let page = portal.page_with("/metrics", "key_client_requests").await;
    said.extend(page.as_bytes());

    let mut hits = Vec::new();
    let mut elements = ElementScanner::default();
    let sent = [first.asked(), second.asked()].concat();
    // Four documents are right, with four questions each, for each of two epochs. The second service
    // then ends three quarters of them in the first epoch; having failed, it is asked first.
    assert_eq!(sent.len(), 2 * 16 * 2 + 3 * 16 + 1);
    let sent = [sent, first.answered(), second.answered()].concat();
    for body in &sent {
        hits.extend(scanner.scan("a key service", body));
        elements.add_body(body);
    }
    let asked = registry.asked();
    assert_eq!(asked.len(), 16);
    for one in &asked {
        hits.extend(scanner.scan("the registry", one.body.to_string().as_bytes()));
        for name in one.body["pseudonyms"].as_array().unwrap() {
            let value = hex::decode(name["value"].as_str().unwrap()).unwrap();
            // What the services have seen in between leads to no pseudonym.
            assert!(sent.iter().all(|body| !contains(body, &value)));
            elements.add(&value);
        }
    }
    assert_eq!(portal.terminate().await, Some(0));
    let (found, read) = scanner.scan_folder(portal.folder.path());
    assert!(read > 10_000, "the log is at its loudest: {read} bytes");
    hits.extend(found);
    hits.extend(scanner.scan("answers and metrics", &said));
    assert_eq!(hits, []);
    let log = portal.log();
    assert!(!elements.finds(log.as_bytes()), "an element is in the log");
    assert!(!elements.finds(&said), "an element is in an answer");
    assert!(log.contains("outcome=\"key-service\"") && log.contains("outcome=\"issued\""));
    let mut files: Vec<_> = std::fs::read_dir(portal.folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    files.sort();
    assert_eq!(files, ["city-portal.toml", "log"]);

    // A scanner that finds nothing proves nothing.
    let planted = &sent[0][35..67];
    for text in [
        format!("{planted:?}"),
        format!("… {} …", hex::encode(planted)),
        format!("… {} …", STANDARD.encode(planted)),
        format!("… b\"{}\"", planted.escape_ascii()),
    ] {
        assert!(elements.finds(text.as_bytes()), "{text}");
    }
    assert!(elements.finds(&sent[0]));
}

fn contains(bytes: &[u8], value: &[u8]) -> bool {
    bytes.windows(value.len()).any(|window| window == value)
}
