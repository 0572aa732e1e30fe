//! Tests of vectors: one good vector, and one for each fault, made of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use ciborium::Value as Cbor;
use pass::container;
use png::ColorType;
use serde_json::{Map, Value, json};

use super::expectations::{Outcome, outcomes};
use super::file::Vector;
use super::fixed::Fixed;
use super::{Ending, ending};
use crate::hcert::report::Step;
use crate::hcert::testing::{
    Draft, EXPIRES, ISSUED, Issuer, SERVER, TEST, encode, recovery, vaccination,
};
use crate::input::testing::{drawn, png};

const NAMES: [&str; 12] = [
    "EXPECTEDVALIDOBJECT",
    "EXPECTEDSCHEMAVALIDATION",
    "EXPECTEDENCODE",
    "EXPECTEDDECODE",
    "EXPECTEDVERIFY",
    "EXPECTEDCOMPRESSION",
    "EXPECTEDKEYUSAGE",
    "EXPECTEDUNPREFIX",
    "EXPECTEDVALIDJSON",
    "EXPECTEDB45DECODE",
    "EXPECTEDPICTUREDECODE",
    "EXPECTEDEXPIRATIONCHECK",
];

/// A time at which nothing is valid, so that the vector's own clock shows.
fn elsewhen() -> DateTime<Utc> {
    DateTime::from_timestamp(0, 0).unwrap()
}

fn picture(text: &str) -> String {
    let (width, pixels) = drawn(text, 3);
    STANDARD.encode(png(width, width, ColorType::Grayscale, &pixels))
}

/// Vector of a signed message; every expectation is `true`.
fn vector_of(issuer: &Issuer, dcc: &Value, cose: &[u8]) -> Value {
    let stream = container::store(cose);
    let text = container::to_text(cose);
    let expected: Map<String, Value> = NAMES
        .iter()
        .map(|name| ((*name).to_owned(), json!(true)))
        .collect();
    json!({
        "JSON": dcc,
        "CBOR": hex::encode(encode(&Cbor::serialized(dcc).unwrap())),
        "COSE": hex::encode(cose),
        "COMPRESSED": hex::encode_upper(&stream),
        "BASE45": base45::encode(&stream),
        "PREFIX": text,
        "2DCODE": picture(&text),
        "TESTCTX": {
            "VERSION": 1,
            "SCHEMA": "1.3.0",
            "CERTIFICATE": STANDARD.encode(&issuer.der),
            "VALIDATIONCLOCK": "2021-05-03T20:01:00+02:00",
            "DESCRIPTION": "made by a test",
        },
        "EXPECTEDRESULTS": expected,
    })
}

fn good() -> Value {
    let issuer = Issuer::ec(&[]);
    let cose = Draft::of(&issuer, vaccination()).signed_by(&issuer);
    vector_of(&issuer, &vaccination(), &cose)
}

fn run(value: &Value) -> (Vec<Outcome>, Vec<Step>) {
    let vector = Vector::read(&value.to_string()).unwrap();
    let fixed = Fixed::new(&vector, elsewhen());
    let faults = fixed.way.faulty().collect();
    (outcomes(&fixed), faults)
}

/// Asserts that exactly the named expectations fail, both if all are expected to hold and if these
/// are expected to fail, and that the way from the picture on has a fault of the step.
fn only_fail(mut value: Value, names: &[&str], step: Step) {
    let (found, faults) = run(&value);
    let differing: Vec<String> = found
        .iter()
        .filter(|outcome| outcome.differs())
        .map(|outcome| outcome.row()[0].clone())
        .collect();
    assert_eq!(differing, names, "{found:#?}");
    assert_eq!(ending(&found), Ending::Invalid);
    assert!(faults.contains(&step), "{faults:?}");
    for name in names {
        value["EXPECTEDRESULTS"][name] = json!(false);
    }
    let (found, _) = run(&value);
    assert_eq!(ending(&found), Ending::Valid, "{found:#?}");
    assert!(!found.iter().any(Outcome::differs), "{found:#?}");
}

#[test]
fn a_good_vector_agrees_in_everything_and_its_contrary_in_nothing() {
    let (found, faults) = run(&good());
    assert_eq!(found.len(), NAMES.len());
    assert!(found.iter().all(Outcome::agrees), "{found:#?}");
    assert_eq!(faults, []);
    let mut contrary = good();
    for name in NAMES {
        contrary["EXPECTEDRESULTS"][name] = json!(false);
    }
    let (found, _) = run(&contrary);
    assert!(found.iter().all(Outcome::differs), "{found:#?}");
}

#[test]
fn a_broken_picture() {
    let mut vector = good();
    let text = vector["PREFIX"].as_str().unwrap().to_owned();
    let (width, mut pixels) = drawn(&text, 3);
    let half = pixels.len() / 2;
    pixels[half..half + half / 2].fill(255);
    let picture = png(width, width, ColorType::Grayscale, &pixels);
    vector["2DCODE"] = json!(STANDARD.encode(picture));
    only_fail(vector, &["EXPECTEDPICTUREDECODE"], Step::Qr);
}

#[test]
fn a_picture_of_another_text() {
    let mut vector = good();
    vector["2DCODE"] = json!(picture("HC1:ABC"));
    only_fail(vector, &["EXPECTEDPICTUREDECODE"], Step::Qr);
}

#[test]
fn another_prefix_and_none() {
    for prefix in ["HL1:", "HC2:", ""] {
        let mut vector = good();
        let text = format!("{prefix}{}", vector["BASE45"].as_str().unwrap());
        vector["2DCODE"] = json!(picture(&text));
        vector["PREFIX"] = json!(text);
        only_fail(vector, &["EXPECTEDUNPREFIX"], Step::Prefix);
    }
}

#[test]
fn broken_base45() {
    let mut vector = good();
    let broken = vector["BASE45"].as_str().unwrap().to_lowercase();
    vector["PREFIX"] = json!(format!("HC1:{broken}"));
    vector["2DCODE"] = json!(picture(&format!("HC1:{broken}")));
    vector["BASE45"] = json!(broken);
    only_fail(vector, &["EXPECTEDB45DECODE"], Step::Base45);
}

#[test]
fn a_broken_and_a_missing_compression() {
    let good = good();
    let cose = hex::decode(good["COSE"].as_str().unwrap()).unwrap();
    let mut broken = container::store(&cose);
    let last = broken.len() - 1;
    broken[last] ^= 1;
    for stream in [broken, cose] {
        let mut vector = good.clone();
        let base45 = base45::encode(&stream);
        vector["COMPRESSED"] = json!(hex::encode(&stream));
        vector["PREFIX"] = json!(format!("HC1:{base45}"));
        vector["2DCODE"] = json!(picture(&format!("HC1:{base45}")));
        vector["BASE45"] = json!(base45);
        only_fail(vector, &["EXPECTEDCOMPRESSION"], Step::Zlib);
    }
}

#[test]
fn broken_cbor_and_a_broken_token() {
    let issuer = Issuer::ec(&[]);
    let mut cose = Draft::of(&issuer, vaccination()).signed_by(&issuer);
    cose.push(0xff);
    let of_message = [
        "EXPECTEDDECODE",
        "EXPECTEDEXPIRATIONCHECK",
        "EXPECTEDKEYUSAGE",
        "EXPECTEDSCHEMAVALIDATION",
        "EXPECTEDVALIDJSON",
        "EXPECTEDVERIFY",
    ];
    let mut vector = vector_of(&issuer, &vaccination(), &cose);
    vector["CBOR"] = Value::Null;
    only_fail(vector, &of_message, Step::Cbor);

    let mut draft = Draft::of(&issuer, vaccination());
    draft.claims = Some(Cbor::from("no claims"));
    let mut vector = vector_of(&issuer, &vaccination(), &draft.signed_by(&issuer));
    vector["CBOR"] = Value::Null;
    only_fail(vector, &of_message[..5], Step::Claims);
}

#[test]
fn a_wrong_tag_kid_algorithm_and_signature() {
    let issuer = Issuer::ec(&[]);
    let mut tagged = Draft::of(&issuer, vaccination());
    tagged.tags = vec![98];
    let mut kid = Draft::of(&issuer, vaccination());
    kid.protected_kid = Some(vec![1; 8]);
    kid.unprotected_kid = Some(issuer.kid.clone());
    let mut algorithm = Draft::of(&issuer, vaccination());
    algorithm.algorithm = -36;
    for (draft, step) in [
        (tagged, Step::Tag),
        (kid, Step::Kid),
        (algorithm, Step::Algorithm),
    ] {
        let vector = vector_of(&issuer, &vaccination(), &draft.signed_by(&issuer));
        only_fail(vector, &["EXPECTEDVERIFY"], step);
    }
    let draft = Draft::of(&issuer, vaccination());
    let foreign = draft.signed_by(&Issuer::ec(&[]));
    let vector = vector_of(&issuer, &vaccination(), &foreign);
    only_fail(vector, &["EXPECTEDVERIFY"], Step::Signature);
}

#[test]
fn a_key_usage_for_another_kind() {
    let issuer = Issuer::rsa(&[TEST]);
    let cose = Draft::of(&issuer, recovery()).signed_by(&issuer);
    let vector = vector_of(&issuer, &recovery(), &cose);
    only_fail(vector, &["EXPECTEDKEYUSAGE"], Step::KeyUsage);
}

#[test]
fn a_clock_before_the_issue_and_after_the_expiry() {
    let stamp = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap().to_rfc3339();
    for clock in [stamp(ISSUED - 1), stamp(EXPIRES + 1)] {
        let mut vector = good();
        vector["TESTCTX"]["VALIDATIONCLOCK"] = json!(clock);
        only_fail(vector, &["EXPECTEDEXPIRATIONCHECK"], Step::Clock);
    }
}

#[test]
fn at_the_second_of_its_expiry_a_vector_is_right_whichever_it_expects() {
    let mut vector = good();
    let expiry = DateTime::from_timestamp(EXPIRES, 0).unwrap().to_rfc3339();
    vector["TESTCTX"]["VALIDATIONCLOCK"] = json!(expiry);
    assert!(expects_either(vector, "EXPECTEDEXPIRATIONCHECK"));
}

/// True where a vector agrees with an expectation and with its contrary: definitions differ on it.
fn expects_either(mut vector: Value, name: &str) -> bool {
    [true, false].into_iter().all(|expected| {
        vector["EXPECTEDRESULTS"] = json!({ name: expected });
        run(&vector).0[0].agrees()
    })
}

#[test]
fn a_certificate_that_ends_before_what_it_signed_may_be_expected_to_fail() {
    let issuer = Issuer::ec(&[]);
    let mut draft = Draft::of(&issuer, vaccination());
    // 2025-05-03; the certificate of the signer ends in 2023.
    draft.expires = Cbor::from(1_746_295_200);
    let vector = vector_of(&issuer, &vaccination(), &draft.signed_by(&issuer));
    assert!(expects_either(vector, "EXPECTEDEXPIRATIONCHECK"));
    assert!(!expects_either(good(), "EXPECTEDEXPIRATIONCHECK"));
}

#[test]
fn a_key_usage_for_something_else_permits_every_kind_or_none() {
    let issuer = Issuer::ec(&[SERVER]);
    let cose = Draft::of(&issuer, vaccination()).signed_by(&issuer);
    let vector = vector_of(&issuer, &vaccination(), &cose);
    assert!(expects_either(vector, "EXPECTEDKEYUSAGE"));
    assert!(!expects_either(good(), "EXPECTEDKEYUSAGE"));
}

#[test]
fn a_version_of_the_future_and_dates_in_a_form_of_their_own_fit_the_schema_or_not() {
    let issuer = Issuer::ec(&[]);
    let of = |pointer: &str, value: &str| {
        let mut dcc = vaccination();
        *dcc.pointer_mut(pointer).unwrap() = json!(value);
        let cose = Draft::of(&issuer, dcc.clone()).signed_by(&issuer);
        vector_of(&issuer, &dcc, &cose)
    };
    for vector in [of("/ver", "1.4.0"), of("/v/0/dt", "21.04.2021")] {
        assert!(expects_either(vector, "EXPECTEDSCHEMAVALIDATION"));
    }
    for vector in [
        of("/ver", "one"),
        of("/v/0/co", "at"),
        of("/nam/fnt", "Petrova"),
    ] {
        assert!(!expects_either(vector, "EXPECTEDSCHEMAVALIDATION"));
    }
    // The context may name another version than the certificate does.
    let mut vector = of("/dob", "");
    vector["TESTCTX"]["SCHEMA"] = json!("1.0.0");
    assert!(expects_either(vector, "EXPECTEDVALIDOBJECT"));
}

#[test]
fn dates_that_cbor_has_as_numbers_are_those_of_the_json() {
    let issuer = Issuer::ec(&[]);
    let mut dcc = vaccination();
    dcc["v"][0]["dt"] = json!("2021-04-21T10:00:00Z");
    let mut item = Cbor::serialized(&dcc).unwrap();
    set_text(
        &mut item,
        "2021-04-21T10:00:00Z",
        &Cbor::Tag(1, Box::new(Cbor::from(1_618_999_200))),
    );
    let mut draft = Draft::of(&issuer, dcc.clone());
    draft.claims = Some(Cbor::Map(vec![
        (Cbor::from(4), Cbor::from(EXPIRES)),
        (Cbor::from(6), Cbor::from(ISSUED)),
        (
            Cbor::from(-260),
            Cbor::Map(vec![(Cbor::from(1), item.clone())]),
        ),
    ]));
    let mut vector = vector_of(&issuer, &dcc, &draft.signed_by(&issuer));
    vector["CBOR"] = json!(hex::encode(encode(&item)));
    let (found, faults) = run(&vector);
    assert!(found.iter().all(Outcome::agrees), "{found:#?}");
    assert_eq!(faults, []);
}

/// Puts an item in the place of a text, wherever it stands.
fn set_text(item: &mut Cbor, text: &str, other: &Cbor) {
    match item {
        Cbor::Text(found) if found == text => *item = other.clone(),
        Cbor::Array(items) => items
            .iter_mut()
            .for_each(|item| set_text(item, text, other)),
        Cbor::Map(entries) => {
            let values = entries.iter_mut().map(|(_, value)| value);
            values.for_each(|value| set_text(value, text, other));
        }
        _ => {}
    }
}

#[test]
fn forms_of_other_authors_are_read_where_they_are_beyond_doubt() {
    let mut vector = good();
    let members = vector.as_object_mut().unwrap();
    let bytes = |member: &Value| hex::decode(member.as_str().unwrap()).unwrap();
    let cose = STANDARD.encode(bytes(&members["COSE"]));
    let compressed = members["COMPRESSED"].as_str().unwrap();
    let wrapped = format!("{}\n {}", &compressed[..64], &compressed[64..]);
    let json = members["JSON"].to_string();
    let picture = members.remove("2DCODE").unwrap();
    let picture = format!("data:image/png;base64,{}", picture.as_str().unwrap());
    let mut context = members.remove("TESTCTX").unwrap();
    let der = context["CERTIFICATE"].as_str().unwrap();
    let pem = format!("-----BEGIN CERTIFICATE-----{der}-----END CERTIFICATE-----");
    context["CERTIFICATE"] = json!(pem);
    context["VALIDATIONCLOCK"] = json!("2021-05-03T20:01:00+02:00[Europe/Vienna]");
    let mut expected = members.remove("EXPECTEDRESULTS").unwrap();
    expected["EXPECTEDVERIFY"] = json!("True");
    members.insert("COSE".to_owned(), json!(cose));
    members.insert("COMPRESSED".to_owned(), json!(wrapped));
    members.insert("JSON".to_owned(), json!(json));
    members.insert("2dCode".to_owned(), json!(picture));
    members.insert("TestCtx".to_owned(), context);
    members.insert("ExpectedResults".to_owned(), expected);
    let (found, faults) = run(&vector);
    assert_eq!(found.len(), NAMES.len());
    assert!(found.iter().all(Outcome::agrees), "{found:#?}");
    assert_eq!(faults, []);
}

#[test]
fn of_two_names_that_differ_in_case_the_published_one_counts() {
    let mut vector = good();
    vector["prefix"] = json!("HC2:A");
    vector["expectedresults"] = json!({ "EXPECTEDUNPREFIX": false });
    let (found, faults) = run(&vector);
    assert!(found.iter().all(Outcome::agrees), "{found:#?}");
    assert_eq!(faults, []);
}

#[test]
fn a_picture_alone_leads_to_everything_that_it_holds() {
    let good = good();
    let vector = json!({
        "JSON": good["JSON"],
        "2DCODE": good["2DCODE"],
        "TESTCTX": good["TESTCTX"],
        "EXPECTEDRESULTS": {
            "EXPECTEDPICTUREDECODE": true, "EXPECTEDVALIDJSON": true, "EXPECTEDVERIFY": true,
            "EXPECTEDKEYUSAGE": true, "EXPECTEDEXPIRATIONCHECK": true, "EXPECTEDDECODE": true,
        },
    });
    let (found, faults) = run(&vector);
    assert!(found.iter().all(Outcome::agrees), "{found:#?}");
    assert_eq!(faults, []);
}

#[test]
fn what_lies_behind_a_fault_of_the_text_is_expected_to_fail_too() {
    let good = good();
    let text = good["PREFIX"].as_str().unwrap();
    for (text, step) in [(&text[..40], Step::Zlib), ("HC1:~~~", Step::Base45)] {
        let vector = json!({
            "PREFIX": text,
            "TESTCTX": good["TESTCTX"],
            "EXPECTEDRESULTS": {
                "EXPECTEDVERIFY": false, "EXPECTEDSCHEMAVALIDATION": false,
                "EXPECTEDEXPIRATIONCHECK": false, "EXPECTEDKEYUSAGE": false,
            },
        });
        let (found, faults) = run(&vector);
        assert!(found.iter().all(Outcome::agrees), "{found:#?}");
        assert_eq!(faults, [step]);
    }
}

#[test]
fn a_certificate_that_does_not_fit_the_schema() {
    let issuer = Issuer::ec(&[]);
    let mut dcc = vaccination();
    dcc["v"][0]["dn"] = json!("two");
    let cose = Draft::of(&issuer, dcc.clone()).signed_by(&issuer);
    let vector = vector_of(&issuer, &dcc, &cose);
    only_fail(
        vector,
        &["EXPECTEDSCHEMAVALIDATION", "EXPECTEDVALIDOBJECT"],
        Step::Schema,
    );
}

#[test]
fn certificates_of_two_kinds_fit_the_old_schema_or_not_as_the_vector_says() {
    let issuer = Issuer::ec(&[]);
    let mut dcc = vaccination();
    dcc["ver"] = json!("1.0.0");
    dcc["r"] = recovery()["r"].clone();
    let cose = Draft::of(&issuer, dcc.clone()).signed_by(&issuer);
    let mut vector = vector_of(&issuer, &dcc, &cose);
    for expected in [true, false] {
        vector["EXPECTEDRESULTS"] = json!({ "EXPECTEDSCHEMAVALIDATION": expected });
        let (found, faults) = run(&vector);
        assert!(found[0].agrees());
        assert_eq!(faults, [Step::Content]);
    }
}

#[test]
fn what_a_vector_lacks_is_not_checked_and_unknown_expectations_are_told() {
    let vector = json!({
        "EXPECTEDRESULTS": { "EXPECTEDVERIFY": true, "EXPECTEDCOLOUR": true, "x": 1 },
        "2DCODE": "",
        "CBOR": null,
    });
    let (found, _) = run(&vector);
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|outcome| !outcome.agrees() && !outcome.differs())
    );
    assert_eq!(ending(&found), Ending::CannotTell);
}

#[test]
fn members_that_cannot_be_read_fail_their_expectations() {
    for (member, name) in [
        ("COSE", "EXPECTEDVERIFY"),
        ("CBOR", "EXPECTEDENCODE"),
        ("COMPRESSED", "EXPECTEDCOMPRESSION"),
        ("2DCODE", "EXPECTEDPICTUREDECODE"),
    ] {
        let mut vector = good();
        vector[member] = json!("~");
        vector["EXPECTEDRESULTS"] = json!({ name: false });
        let (found, _) = run(&vector);
        assert!(found[0].agrees(), "{member}: {found:?}");
    }
    for (member, name) in [
        ("CERTIFICATE", "EXPECTEDVERIFY"),
        ("VALIDATIONCLOCK", "EXPECTEDEXPIRATIONCHECK"),
    ] {
        let mut vector = good();
        vector["TESTCTX"][member] = json!("~");
        vector["EXPECTEDRESULTS"] = json!({ name: false });
        let (found, _) = run(&vector);
        assert!(found[0].agrees(), "{member}: {found:?}");
    }
}

#[test]
fn a_file_that_is_no_vector_is_refused() {
    for text in ["", "{", "[]", "{}", "{\"EXPECTEDRESULTS\": 1}"] {
        assert!(Vector::read(text).is_err(), "{text}");
    }
}
