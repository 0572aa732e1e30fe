//! `pass hcert`.

use serde_json::{Value, json};

use crate::city::{City, MIDNIGHT, stamp};
use crate::run::pass;

fn faults(said: &Value) -> &Value {
    &said["certificates"][0]["faults"]
}

#[test]
fn a_certificate_of_the_city_has_no_fault_but_nothing_to_check_its_signature_with() {
    let city = City::new();
    let at = stamp(MIDNIGHT);
    let said = pass(
        &["hcert", "--json", "--at", &at],
        city.certificate().as_bytes(),
    );
    assert_eq!(said.code, 4, "{}", said.out);
    assert_eq!(faults(&said.json()), &json!([]), "{}", said.out);
    let words = pass(&["hcert", "--at", &at], city.certificate().as_bytes());
    assert!(words.out.contains("not checked"), "{}", words.out);
    assert!(words.out.contains("DCC 1.3.0"), "{}", words.out);
}

#[test]
fn faults_of_the_text_are_named_and_end_with_1() {
    let city = City::new();
    let at = stamp(MIDNIGHT);
    let text = city.certificate();
    for (text, fault) in [
        (text.replace("HC1:", "HC3:"), json!(["prefix"])),
        (
            text.to_lowercase().replace("hc1:", "HC1:"),
            json!(["base45"]),
        ),
        (text[..94].to_owned(), json!(["zlib"])),
    ] {
        let said = pass(&["hcert", "--json", "--at", &at], text.as_bytes());
        assert_eq!(
            (said.code, faults(&said.json())),
            (1, &fault),
            "{}",
            said.out
        );
    }
    let expired = stamp(MIDNIGHT + 31 * 24 * 3600);
    let said = pass(&["hcert", "--json", "--at", &expired], text.as_bytes());
    assert_eq!(faults(&said.json()), &json!(["clock"]));
}

#[test]
fn a_broken_picture_is_a_fault_of_the_qr_code() {
    let city = City::new();
    let picture = city.write("broken.png", b"\x89PNG\r\n\x1a\nbroken");
    let said = pass(&["hcert", "--json", picture.to_str().unwrap()], b"");
    assert_eq!((said.code, faults(&said.json())), (1, &json!(["qr"])));
}

#[test]
fn a_file_that_is_no_certificate_of_a_signer_is_refused() {
    let city = City::new();
    let wrong = city.path("root.jwk");
    let said = pass(&["hcert", "--certificate", &wrong], b"HC1:A");
    assert_eq!(said.code, 66);
    assert!(said.err.contains("PEM, DER or base64"), "{}", said.err);
}

#[test]
fn vectors_end_with_0_where_all_agree_and_with_1_where_one_differs() {
    let city = City::new();
    let text = city.certificate();
    let vector = |expected: bool| {
        json!({
            "PREFIX": text,
            "BASE45": text.strip_prefix("HC1:"),
            "TESTCTX": { "DESCRIPTION": "a certificate of the city" },
            "EXPECTEDRESULTS": { "EXPECTEDUNPREFIX": expected, "EXPECTEDSCHEMAVALIDATION": true },
        })
    };
    let agrees = city.write("agrees.json", vector(true).to_string().as_bytes());
    let differs = city.write("differs.json", vector(false).to_string().as_bytes());
    let agrees = agrees.to_str().unwrap();
    let differs = differs.to_str().unwrap();
    let said = pass(&["hcert", "--vector", agrees], b"");
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let said = pass(
        &["hcert", "--json", "--vector", agrees, "--vector", differs],
        b"",
    );
    assert_eq!(said.code, 1, "{}", said.out);
    let json = said.json();
    assert_eq!(json["verdict"], "differs");
    assert_eq!(json["vectors"][0]["verdict"], "agrees");
    assert_eq!(json["vectors"][1]["expectations"][1]["found"], true);
    let folder = city.path("");
    let said = pass(&["hcert", "--json", "--vector", &folder], b"");
    assert_eq!(said.code, 1, "{}", said.out);
    let summary = json!({
        "vectors": 2, "agree": 1, "differ": 1, "nothing-to-compare": 0, "unreadable": 0,
        "other-files": 1,
    });
    assert_eq!(said.json()["summary"], summary);
    city.write("broken.json", b"{");
    std::fs::remove_file(differs).unwrap();
    let said = pass(&["hcert", "--vector", &folder], b"");
    assert_eq!(said.code, 1, "{}", said.out);
    let last = said.out.lines().last().unwrap();
    assert!(last.starts_with("2 vectors: 1 agree, 0 differ,"), "{last}");
    assert!(
        said.out.contains("broken.json: unreadable: "),
        "{}",
        said.out
    );
    std::fs::remove_file(agrees).unwrap();
    std::fs::remove_file(city.path("broken.json")).unwrap();
    let said = pass(&["hcert", "--vector", &folder], b"");
    assert_eq!(said.code, 66, "{}", said.out);
    assert!(
        said.err.contains("no test vector in this folder"),
        "{}",
        said.err
    );
    let said = pass(&["hcert", "--vector", &city.path("root.jwk")], b"");
    assert_eq!(said.code, 66);
    assert!(
        said.err.contains("EXPECTEDRESULTS is missing"),
        "{}",
        said.err
    );
}
