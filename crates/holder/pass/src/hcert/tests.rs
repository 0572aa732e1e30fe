//! Tests of certificates: the map of schema 1.3.0, the way back, and faults by their field.

use chrono::{DateTime, NaiveDate, Utc};
use ciborium::Value;

use super::*;
use crate::claims::{Claims, ClaimsFault};
use crate::holder::Initial;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn vaccination() -> Vaccination {
    Vaccination {
        prophylaxis: "J07BX03".into(),
        product: "Sputnik-V".into(),
        manufacturer: "Gamaleya-Research-Institute".into(),
        dose: 2,
        doses: 2,
        date: day("2026-03-01"),
        country: "RU".into(),
    }
}

fn recovery() -> Recovery {
    Recovery {
        first_positive: day("2026-10-01"),
        from: day("2026-10-12"),
        until: day("2027-03-30"),
        country: "RU".into(),
    }
}

fn test() -> Test {
    Test {
        kind: TestKind::Naat,
        name: Some("a PCR".into()),
        sampled: at("2026-11-28T09:05:00Z"),
        centre: None,
        country: "RU".into(),
    }
}

fn claims(entry: Entry) -> HcertClaims {
    HcertClaims {
        issuer: "RU-MOW".into(),
        issued_at: at("2026-11-28T21:00:00Z"),
        expires: at("2026-12-28T21:00:00Z"),
        id: PassId([0xab, 2, 3, 4, 5, 6, 7, 8]),
        certificate: Certificate {
            given_initial: Initial::try_from('A').ok(),
            family_initial: None,
            entry,
        },
    }
}

fn entries() -> [Entry; 3] {
    [
        Entry::Vaccination(vaccination()),
        Entry::Recovery(recovery()),
        Entry::Test(test()),
    ]
}

/// The EU DCC of the claims in JSON, to be compared.
fn dcc(claims: &HcertClaims) -> serde_json::Value {
    let item: Value = ciborium::from_reader(claims.encode().unwrap().as_slice()).unwrap();
    let find = |map: &Value, key: i64| {
        let entries = map.as_map().unwrap().iter();
        let entry = entries.clone().find(|entry| entry.0 == Value::from(key));
        entry.unwrap().1.clone()
    };
    let certificate = find(&find(&item, HCERT), EU_DCC);
    certificate.deserialized().unwrap()
}

#[test]
fn a_vaccination_is_the_map_of_the_schema() {
    let expected = serde_json::json!({
        "ver": "1.3.0",
        "nam": {"fnt": "", "gnt": "A"},
        "dob": "",
        "v": [{
            "tg": "840539006",
            "vp": "J07BX03",
            "mp": "Sputnik-V",
            "ma": "Gamaleya-Research-Institute",
            "dn": 2,
            "sd": 2,
            "dt": "2026-03-01",
            "co": "RU",
            "is": "RU-MOW",
            "ci": "URN:UVCI:01:RU:AB02030405060708",
        }],
    });
    assert_eq!(dcc(&claims(Entry::Vaccination(vaccination()))), expected);
}

#[test]
fn a_recovery_and_a_test_are_the_maps_of_the_schema() {
    let recovered = dcc(&claims(Entry::Recovery(recovery())));
    let expected = serde_json::json!([{
        "tg": "840539006",
        "fr": "2026-10-01",
        "df": "2026-10-12",
        "du": "2027-03-30",
        "co": "RU",
        "is": "RU-MOW",
        "ci": "URN:UVCI:01:RU:AB02030405060708",
    }]);
    assert_eq!(recovered["r"], expected);
    let tested = dcc(&claims(Entry::Test(test())));
    let expected = serde_json::json!([{
        "tg": "840539006",
        "tt": "LP6464-4",
        "nm": "a PCR",
        "sc": "2026-11-28T09:05:00Z",
        "tr": "260415000",
        "co": "RU",
        "is": "RU-MOW",
        "ci": "URN:UVCI:01:RU:AB02030405060708",
    }]);
    assert_eq!(tested["t"], expected);
}

#[test]
fn every_kind_comes_back() {
    let rapid = Test {
        kind: TestKind::Rat,
        name: None,
        centre: Some("a centre".into()),
        ..test()
    };
    for entry in entries().into_iter().chain([Entry::Test(rapid)]) {
        let claims = claims(entry);
        let payload = claims.encode().unwrap();
        assert_eq!(Claims::decode(&payload).unwrap(), Claims::Hcert(claims));
    }
}

#[test]
fn a_certificate_fits_a_code_that_a_phone_reads() {
    let key = crate::keys::SigningKey::generate();
    for entry in entries() {
        let text = crate::strip::issue_certificate(&key, &claims(entry)).unwrap();
        let code = crate::qr::QrCode::of_text(&text).unwrap();
        assert!(code.version() <= 18, "{}", code.version());
    }
}

fn field_of(claims: &HcertClaims) -> &'static str {
    match claims.encode() {
        Err(FieldFault::Value { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_that_the_schema_forbids_are_not_written() {
    let long = "x".repeat(MAX_CODE_CHARS + 1);
    type Change = fn(&mut Vaccination, String);
    let changes: [(Change, &str); 6] = [
        (|given, _| given.prophylaxis.clear(), "vp"),
        (|given, long| given.product = long, "mp"),
        (|given, long| given.manufacturer = long, "ma"),
        (|given, _| given.dose = 0, "dn"),
        (|given, _| given.doses = 0, "sd"),
        (|given, _| given.country = "ru".into(), "co"),
    ];
    for (change, field) in changes {
        let mut given = vaccination();
        change(&mut given, long.clone());
        assert_eq!(field_of(&claims(Entry::Vaccination(given))), field);
    }
    for country in ["", "ABCDEFGHIJK"] {
        let mut recovery = recovery();
        recovery.country = country.into();
        assert_eq!(field_of(&claims(Entry::Recovery(recovery))), "co");
    }
    for place in ["nm", "tc"] {
        let mut tested = test();
        let text = Some(long.clone());
        if place == "nm" {
            tested.name = text;
        } else {
            tested.centre = text;
        }
        assert_eq!(field_of(&claims(Entry::Test(tested))), place);
    }
}

#[test]
fn texts_and_dates_at_their_edges_are_written() {
    let mut given = vaccination();
    given.product = "Я".repeat(MAX_CODE_CHARS);
    given.country = "ABCDEFGHIJ".into();
    given.dose = 255;
    let mut edge = claims(Entry::Vaccination(given));
    edge.issuer = "x".repeat(MAX_ISSUER_CHARS);
    let payload = edge.encode().unwrap();
    assert_eq!(
        Claims::decode(&payload).unwrap(),
        Claims::Hcert(edge.clone())
    );
    edge.issuer.push('x');
    assert_eq!(field_of(&edge), "the issuer");
    edge.issuer.clear();
    assert_eq!(field_of(&edge), "the issuer");
    let mut recovery = recovery();
    recovery.from = recovery.first_positive;
    recovery.until = recovery.from;
    assert!(claims(Entry::Recovery(recovery.clone())).encode().is_ok());
    recovery.until = day("2026-09-30");
    assert_eq!(field_of(&claims(Entry::Recovery(recovery))), "du");
    let mut over = claims(Entry::Test(test()));
    over.expires = over.issued_at;
    assert_eq!(field_of(&over), "the expiry");
}

/// Claims whose EU DCC had a piece of its encoding replaced by one of the same length.
fn replaced(entry: Entry, from: &str, to: &str) -> ClaimsFault {
    let payload = claims(entry).encode().unwrap();
    assert_eq!(from.len(), to.len());
    let place = payload
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .unwrap();
    let mut changed = payload;
    changed[place..place + to.len()].copy_from_slice(to.as_bytes());
    Claims::decode(&changed).unwrap_err()
}

#[test]
fn a_certificate_that_is_not_ours_is_refused_by_its_field() {
    let [vaccinated, recovered, tested] = entries();
    let cases = [
        (&vaccinated, "1.3.0", "1.2.0", "ver"),
        (&vaccinated, "840539006", "840539007", "tg"),
        (&vaccinated, "AB02030405060708", "AB02030405060709", "ci"),
        (&vaccinated, "2026-03-01", "2026-02-30", "dt"),
        (&vaccinated, "2026-03-01", "2026-03- 1", "dt"),
        (&recovered, "2026-10-12", "2026-13-12", "df"),
        (&recovered, "2026-10-12", "2026-09-12", "du"),
        (&tested, "LP6464-4", "LP6464-5", "tt"),
        // A positive result.
        (&tested, "260415000", "260373001", "tr"),
        (&tested, "09:05:00Z", "25:05:00Z", "sc"),
        (&tested, "09:05:00Z", "09:05:00+", "sc"),
    ];
    for (entry, from, to, wanted) in cases {
        match replaced(entry.clone(), from, to) {
            ClaimsFault::Field(FieldFault::Value { field, .. }) => assert_eq!(field, wanted),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn two_entries_and_none_are_refused() {
    let payload = |groups: &[&str]| {
        let certificate = claims(Entry::Recovery(recovery()));
        let item = certificate.certificate.item("RU-MOW", certificate.id);
        let mut entries = item.into_map().unwrap();
        let place = entries.iter().position(|entry| entry.0 == "r".into());
        let group = entries.remove(place.unwrap()).1;
        entries.extend(
            groups
                .iter()
                .map(|name| (Value::from(*name), group.clone())),
        );
        encode(&map(vec![
            (ISSUER.into(), "RU-MOW".into()),
            (EXPIRY.into(), 2_000_000_000.into()),
            (ISSUED_AT.into(), 1_000_000_000.into()),
            (PASS_ID.into(), Value::Bytes(certificate.id.0.to_vec())),
            (HCERT.into(), map(vec![(EU_DCC.into(), map(entries))])),
        ]))
    };
    assert!(Claims::decode(&payload(&["r"])).is_ok());
    for groups in [&[][..], &["r", "v"], &["t"], &["r", "x"]] {
        assert!(Claims::decode(&payload(groups)).is_err(), "{groups:?}");
    }
}
