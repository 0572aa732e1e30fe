//! Tests of the way of a certificate: each fault is named by its step, and only by it.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use ciborium::{Value as Cbor, cbor};
use pass::container;
use proptest::prelude::*;
use serde_json::json;

use super::certificate::SignerCertificate;
use super::check;
use super::report::{Report, Status, Step};
use super::testing::{
    Draft, EXPIRES, ISSUED, Issuer, OLD_RECOVERY, SERVER, TEST, VACCINATION, encode, recovery,
    vaccination,
};
use crate::ending::Ending;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn check(text: &str, issuer: &Issuer) -> Report {
    check::text(text, &[issuer.signer()], at(ISSUED + 60))
}

fn checked(draft: &Draft, issuer: &Issuer) -> Report {
    check(&draft.text(issuer), issuer)
}

fn faults(report: &Report) -> Vec<Step> {
    let mut steps: Vec<Step> = report.faulty().collect();
    steps.dedup();
    steps
}

#[test]
fn certificates_of_both_algorithms_and_every_tagging_are_valid() {
    for issuer in [Issuer::ec(&[]), Issuer::rsa(&[])] {
        for tags in [vec![], vec![18], vec![61, 18]] {
            for dcc in [vaccination(), recovery()] {
                let mut draft = Draft::of(&issuer, dcc);
                draft.tags.clone_from(&tags);
                let report = checked(&draft, &issuer);
                assert_eq!(report.ending(), Ending::Valid, "{report:?}");
            }
        }
    }
}

#[test]
fn a_fault_of_the_text_is_named() {
    let issuer = Issuer::ec(&[]);
    let cose = Draft::of(&issuer, vaccination()).signed_by(&issuer);
    let text = container::to_text(&cose);
    let bare = text.strip_prefix("HC1:").unwrap();
    for other in [
        format!("HL1:{bare}"),
        format!("HC2:{bare}"),
        bare.to_owned(),
    ] {
        assert_eq!(faults(&check(&other, &issuer)), [Step::Prefix], "{other}");
    }
    for broken in [
        text.to_lowercase().replacen("hc1:", "HC1:", 1),
        format!("{text}A~B"),
    ] {
        assert_eq!(faults(&check(&broken, &issuer)), [Step::Base45]);
    }
    let mut stream = container::store(&cose);
    stream.truncate(stream.len() - 3);
    let cut = format!("HC1:{}", base45::encode(&stream));
    assert_eq!(faults(&check(&cut, &issuer)), [Step::Zlib]);
    assert_eq!(
        check(&cut, &issuer).status(Step::Signature),
        Status::NotChecked
    );
    let uncompressed = format!("HC1:{}", base45::encode(&cose));
    let report = check(&uncompressed, &issuer);
    assert_eq!(faults(&report), [Step::Zlib]);
    assert_eq!(report.status(Step::Signature), Status::Ok);
}

#[test]
fn a_fault_of_the_message_is_named() {
    let issuer = Issuer::ec(&[]);
    let draft = Draft::of(&issuer, vaccination());
    let mut cose = draft.signed_by(&issuer);
    cose.push(0);
    assert_eq!(
        faults(&check(&container::to_text(&cose), &issuer)),
        [Step::Cbor]
    );
    cose.truncate(40);
    assert_eq!(
        faults(&check(&container::to_text(&cose), &issuer)),
        [Step::Cbor]
    );
    for tags in [vec![98], vec![61], vec![18, 61], vec![18, 18]] {
        let mut draft = Draft::of(&issuer, vaccination());
        draft.tags = tags;
        let report = checked(&draft, &issuer);
        assert_eq!(faults(&report), [Step::Tag]);
        assert_eq!(report.status(Step::Signature), Status::Ok);
    }
    for structure in [
        cbor!({ 1 => 2 }).unwrap(),
        cbor!([1, 2, 3]).unwrap(),
        cbor!([1, 2, 3, 4]).unwrap(),
    ] {
        let text = container::to_text(&encode(&structure));
        assert_eq!(faults(&check(&text, &issuer)), [Step::Cose]);
    }
}

#[test]
fn a_fault_of_the_headers_is_named() {
    let issuer = Issuer::ec(&[]);
    let wrong = Some(vec![0; 8]);
    let right = Some(issuer.kid.clone());
    let cases = [
        (right.clone(), None, vec![]),
        (None, right.clone(), vec![]),
        (right.clone(), wrong.clone(), vec![]),
        (wrong.clone(), right, vec![Step::Kid]),
        (None, wrong, vec![Step::Kid]),
        (None, None, vec![Step::Kid]),
    ];
    for (protected, unprotected, expected) in cases {
        let mut draft = Draft::of(&issuer, vaccination());
        draft.protected_kid = protected;
        draft.unprotected_kid = unprotected;
        let report = checked(&draft, &issuer);
        assert_eq!(faults(&report), expected);
        assert_eq!(report.status(Step::Signature), Status::Ok);
    }
    let mut draft = Draft::of(&issuer, vaccination());
    draft.algorithm = -35;
    let report = checked(&draft, &issuer);
    assert_eq!(faults(&report), [Step::Algorithm]);
    assert_eq!(report.status(Step::Signature), Status::NotChecked);
    // PS256 where the certificate has a key on a curve.
    draft.algorithm = -37;
    assert_eq!(faults(&checked(&draft, &issuer)), [Step::Signature]);
}

#[test]
fn a_changed_content_and_a_foreign_key_make_the_signature_wrong() {
    for issuer in [Issuer::ec(&[]), Issuer::rsa(&[])] {
        let draft = Draft::of(&issuer, vaccination());
        let mut cose = draft.signed_by(&issuer);
        let place = cose.windows(4).position(|part| part == b"ANNA").unwrap();
        cose[place] = b'B';
        let report = check(&container::to_text(&cose), &issuer);
        assert_eq!(faults(&report), [Step::Signature]);
    }
    let issuer = Issuer::ec(&[]);
    let foreign = Issuer::ec(&[]);
    let draft = Draft::of(&issuer, vaccination());
    let report = check(&draft.text(&foreign), &issuer);
    assert_eq!(faults(&report), [Step::Signature]);
}

#[test]
fn of_several_certificates_the_kid_chooses_and_without_any_nothing_is_told() {
    let issuer = Issuer::ec(&[]);
    let signers: Vec<SignerCertificate> = [Issuer::ec(&[]).signer(), issuer.signer()].into();
    let text = Draft::of(&issuer, vaccination()).text(&issuer);
    let moment = at(ISSUED);
    assert_eq!(check::text(&text, &signers, moment).ending(), Ending::Valid);
    let unknown = check::text(&text, &signers[..1], moment);
    assert_eq!(faults(&unknown), [Step::Kid, Step::Signature]);
    let without = check::text(&text, &[], moment);
    assert_eq!(faults(&without), []);
    assert_eq!(without.ending(), Ending::CannotTell);
}

#[test]
fn the_clock_is_checked_to_the_second() {
    let issuer = Issuer::ec(&[]);
    let text = Draft::of(&issuer, vaccination()).text(&issuer);
    let faults_at = |seconds: i64| faults(&check::text(&text, &[issuer.signer()], at(seconds)));
    assert_eq!(faults_at(ISSUED - 1), [Step::Clock]);
    assert_eq!(faults_at(ISSUED), []);
    assert_eq!(faults_at(EXPIRES - 1), []);
    assert_eq!(faults_at(EXPIRES), [Step::Clock]);
    // After 2023 the signer's certificate has ended too.
    assert_eq!(faults_at(1_700_000_000), [Step::Certificate, Step::Clock]);
}

#[test]
fn dates_may_be_floats_but_nothing_else() {
    let issuer = Issuer::ec(&[]);
    let mut draft = Draft::of(&issuer, vaccination());
    draft.issued = Cbor::from(1_620_064_800.25);
    draft.expires = Cbor::from(1_622_743_200.0);
    assert_eq!(faults(&checked(&draft, &issuer)), []);
    for wrong in [
        Cbor::from("2021-05-03"),
        Cbor::from(f64::NAN),
        Cbor::from(1e300),
        Cbor::from(u64::MAX),
        Cbor::Tag(1, Box::new(Cbor::from(ISSUED))),
    ] {
        draft.issued = wrong;
        let report = checked(&draft, &issuer);
        assert_eq!(faults(&report), [Step::Claims]);
        assert_eq!(report.status(Step::Clock), Status::NotChecked);
    }
}

#[test]
fn a_signer_issued_before_its_certificate_is_named() {
    let issuer = Issuer::ec(&[]);
    let mut draft = Draft::of(&issuer, vaccination());
    // 2020-12-31, a day before the certificate begins.
    draft.issued = Cbor::from(1_609_372_800);
    assert_eq!(faults(&checked(&draft, &issuer)), [Step::Certificate]);
}

#[test]
fn the_key_usage_permits_what_it_names_and_everything_if_it_names_nothing() {
    for (usages, permits_vaccination, permits_recovery) in [
        (vec![], true, true),
        (vec![SERVER], true, true),
        (vec![VACCINATION], true, false),
        (vec![OLD_RECOVERY, SERVER], false, true),
        (vec![TEST], false, false),
        (vec![TEST, VACCINATION, OLD_RECOVERY], true, true),
    ] {
        let issuer = Issuer::ec(&usages);
        for (dcc, permitted) in [
            (vaccination(), permits_vaccination),
            (recovery(), permits_recovery),
        ] {
            let found = faults(&checked(&Draft::of(&issuer, dcc), &issuer));
            let expected: &[Step] = if permitted { &[] } else { &[Step::KeyUsage] };
            assert_eq!(found, expected, "{usages:?}");
        }
    }
}

#[test]
fn a_fault_of_the_claims_is_named() {
    let issuer = Issuer::ec(&[]);
    for claims in [
        cbor!([1, 2]).unwrap(),
        cbor!({ 4 => EXPIRES, 6 => ISSUED }).unwrap(),
        cbor!({ 4 => EXPIRES, 6 => ISSUED, -260 => "x" }).unwrap(),
        cbor!({ 4 => EXPIRES, 6 => ISSUED, -260 => { 2 => {} } }).unwrap(),
        cbor!({ 4 => EXPIRES, 6 => ISSUED, -260 => { 1 => [] } }).unwrap(),
    ] {
        let mut draft = Draft::of(&issuer, json!({}));
        draft.claims = Some(claims);
        let report = checked(&draft, &issuer);
        assert_eq!(faults(&report), [Step::Claims]);
        assert_eq!(report.status(Step::Signature), Status::Ok);
    }
}

#[test]
fn a_schema_fault_is_told_beside_a_right_signature_and_without_values() {
    let issuer = Issuer::ec(&[]);
    let mut dcc = vaccination();
    dcc["nam"]["fnt"] = json!("Petrova");
    dcc["v"][0].as_object_mut().unwrap().remove("tg");
    let report = checked(&Draft::of(&issuer, dcc), &issuer);
    assert_eq!(faults(&report), [Step::Schema]);
    assert_eq!(report.status(Step::Signature), Status::Ok);
    let words: String = report
        .findings()
        .map(|found| found.words.as_str())
        .collect();
    assert!(
        words.contains("v[0].tg") && !words.contains("Petrova"),
        "{words}"
    );
}

#[test]
fn several_certificates_and_kinds_of_others_are_named() {
    let issuer = Issuer::ec(&[]);
    let mut both = vaccination();
    both["ver"] = json!("1.0.0");
    both["r"] = recovery()["r"].clone();
    let mut twice = recovery();
    let entry = twice["r"][0].clone();
    twice["r"].as_array_mut().unwrap().push(entry);
    for dcc in [both, twice] {
        let found = faults(&checked(&Draft::of(&issuer, dcc), &issuer));
        assert_eq!(found, [Step::Content]);
    }
    let other = json!({ "ver": "1.0.0", "nam": { "fnt": "A" }, "dob": "1979-04-14", "pa": [7] });
    let report = checked(&Draft::of(&issuer, other), &issuer);
    assert_eq!(faults(&report), [Step::Content]);
    assert_eq!(report.status(Step::KeyUsage), Status::NotChecked);
}

#[test]
fn a_positive_test_and_one_of_the_future_are_no_proof() {
    let issuer = Issuer::ec(&[]);
    let dcc = |result: &str, sampled: &str| {
        json!({
            "ver": "1.3.0", "nam": { "fnt": "A" }, "dob": "",
            "t": [{
                "tg": "840539006", "tt": "LP6464-4", "sc": sampled, "tr": result, "co": "AT",
                "is": "Ministry", "ci": "URN:UVCI:01:AT:3"
            }]
        })
    };
    let cases = [
        ("260415000", "2021-05-03T18:01:00Z", None),
        ("260373001", "2021-05-03T18:01:00Z", Some(Step::Content)),
        (
            "260415000",
            "2021-05-03T20:01:01+02:00",
            Some(Step::Content),
        ),
    ];
    for (result, sampled, fault) in cases {
        let report = checked(&Draft::of(&issuer, dcc(result, sampled)), &issuer);
        assert_eq!(faults(&report), Vec::from_iter(fault));
    }
}

#[test]
fn certificates_are_read_in_every_form_and_their_faults_are_named() {
    use base64::Engine;
    let issuer = Issuer::ec(&[VACCINATION]);
    let base64 = base64::engine::general_purpose::STANDARD.encode(&issuer.der);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    for form in [
        issuer.der.clone(),
        base64.into_bytes(),
        pem.clone().into_bytes(),
        pem.replace('\n', "").into_bytes(),
        pem.replace('\n', "\\n").into_bytes(),
        base64::engine::general_purpose::STANDARD
            .encode(&pem)
            .into_bytes(),
    ] {
        assert_eq!(
            SignerCertificate::all_of(&form).unwrap()[0].kid.to_vec(),
            issuer.kid
        );
    }
    let two = SignerCertificate::all_of(pem.repeat(2).as_bytes()).unwrap();
    assert_eq!(two.len(), 2);
    for wrong in [
        b"x".to_vec(),
        b"\xff\xfe".to_vec(),
        issuer.der[..100].to_vec(),
        [issuer.der.as_slice(), b"x"].concat(),
        b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_vec(),
        b"-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n".to_vec(),
        b"-----BEGIN CERTIFICATE-----\nMAA=\n".to_vec(),
    ] {
        assert!(SignerCertificate::all_of(&wrong).is_err());
    }
}

/// An issuer and a good message of it.
static GOOD: LazyLock<(Issuer, Vec<u8>)> = LazyLock::new(|| {
    let issuer = Issuer::ec(&[]);
    let cose = Draft::of(&issuer, vaccination()).signed_by(&issuer);
    (issuer, cose)
});

proptest! {
    #[test]
    fn any_bytes_in_the_container_are_told_apart_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let report = check::text(&container::to_text(&bytes), &[], at(ISSUED));
        prop_assert_ne!(report.ending(), Ending::Valid);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_a_fault(place in 0_usize..10_000, bit in 0_u8..8) {
        let mut cose = GOOD.1.clone();
        let place = place % cose.len();
        cose[place] ^= 1 << bit;
        let report = check(&container::to_text(&cose), &GOOD.0);
        prop_assert_eq!(report.ending(), Ending::Invalid);
    }
}
