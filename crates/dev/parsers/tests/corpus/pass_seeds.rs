//! Seeds of what verifiers of passes read, made by the keys in `fuzz/pass-keys`.

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use pass::claims::CityClaims;
use pass::container::{from_text, to_text};
use pass::hcert::{Certificate, Entry, HcertClaims, Vaccination};
use pass::holder::{BirthDate, HolderAttributes, Initial};
use pass::keys::SigningKey;
use pass::revocation::{Delta, Edition, RevocationList, RevocationPayload, Tag, TagSet};
use pass::strip::issue_strip;
use pass::trust::{TrustBundle, TrustedKey};
use pass::window::Window;
use pass::{PassId, Product};

use crate::seeds::fuzz_folder;

/// 2026-11-29T21:00:00Z: 00:00 in Moscow on the day on which everything of the corpus is checked.
const MIDNIGHT: i64 = 1_795_986_000;

fn midnight() -> DateTime<Utc> {
    DateTime::from_timestamp(MIDNIGHT, 0).unwrap()
}

fn key(name: &str) -> SigningKey {
    let text = fs::read_to_string(fuzz_folder().join("pass-keys").join(name)).unwrap();
    SigningKey::from_pem(&text.into()).unwrap()
}

fn holder() -> HolderAttributes {
    let letter = |letter: &str| Initial::try_from(letter).ok();
    let birth = BirthDate::new(Some(17), Some(4)).unwrap();
    HolderAttributes::new(letter("A"), letter("Q"), birth)
}

fn city_claims() -> CityClaims {
    CityClaims {
        issuer: "RU-MOW".to_owned(),
        not_before: midnight(),
        expires: midnight() + TimeDelta::days(1),
        id: PassId(*b"a strip!"),
        holder: holder(),
    }
}

fn hcert_claims() -> HcertClaims {
    HcertClaims {
        issuer: "RU-MOW".to_owned(),
        issued_at: midnight(),
        expires: midnight() + TimeDelta::days(3),
        id: PassId(*b"a paper!"),
        certificate: Certificate {
            given_initial: Initial::try_from("A").ok(),
            family_initial: None,
            entry: Entry::Vaccination(Vaccination {
                prophylaxis: "J07BX03".to_owned(),
                product: "Sputnik-V".to_owned(),
                manufacturer: "Gamaleya-Research-Institute".to_owned(),
                dose: 2,
                doses: 2,
                date: midnight().date_naive(),
                country: "RU".to_owned(),
            }),
        },
    }
}

fn list(sequence: u64, ids: &[u8]) -> RevocationList {
    let edition = Edition::new(sequence, midnight() + TimeDelta::hours(11)).unwrap();
    let tags = ids.iter().map(|id| Tag::of_pass([*id; 8])).collect();
    RevocationList::new(edition, TagSet::new(tags).unwrap())
}

/// Makes the seeds of passes anew, after a format changed.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn write_pass_seeds() {
    let put = |target: &str, name: &str, bytes: &[u8]| {
        let folder = fuzz_folder().join("corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    };
    let root = key("root-test-only.pem");
    let signer = key("signer-test-only.pem");

    let window = |days: i64| {
        let start = midnight() + TimeDelta::days(days);
        Window::new(start, start + TimeDelta::days(1)).unwrap()
    };
    let strip = |days| {
        issue_strip(
            &signer,
            "RU-MOW",
            window(days),
            PassId(*b"a strip!"),
            holder(),
        )
    };
    put("pass_text", "valid-strip", strip(0).as_bytes());
    put(
        "pass_text",
        "valid-line-end",
        format!("{}\r\n", strip(0)).as_bytes(),
    );
    put("pass_text", "refused-yesterday", strip(-1).as_bytes());
    put("pass_text", "refused-cut", &strip(0).as_bytes()[..100]);
    put(
        "pass_text",
        "refused-prefix",
        strip(0).replace("HC1:", "HC2:").as_bytes(),
    );
    let certificate = to_text(&signer.seal(hcert_claims().encode().unwrap()));
    put("pass_text", "valid-certificate", certificate.as_bytes());

    let cose = from_text(&strip(0)).unwrap();
    put("pass_cose", "valid-tag-18", &cose);
    put("pass_cose", "valid-untagged", &cose[1..]);
    put(
        "pass_cose",
        "valid-tags-61-18",
        &[&[0xd8, 61], &cose[..]].concat(),
    );
    put(
        "pass_cose",
        "refused-tag-17",
        &[&[0xd1], &cose[1..]].concat(),
    );
    put("pass_cose", "refused-cut", &cose[..40]);
    put("pass_cose", "refused-map", &[0xa0]);

    put("pass_claims", "valid-city", &city_claims().encode());
    put(
        "pass_claims",
        "valid-hcert",
        &hcert_claims().encode().unwrap(),
    );
    let undisclosed = CityClaims {
        holder: HolderAttributes::default(),
        ..city_claims()
    };
    put(
        "pass_claims",
        "valid-nothing-disclosed",
        &undisclosed.encode(),
    );
    let tomorrow = CityClaims {
        not_before: midnight() + TimeDelta::days(1),
        expires: midnight() + TimeDelta::days(2),
        ..city_claims()
    };
    put("pass_claims", "refused-tomorrow", &tomorrow.encode());
    put("pass_claims", "refused-empty", &[0xa0]);

    let trusted = TrustedKey {
        key: *signer.public(),
        from: midnight(),
        until: midnight() + TimeDelta::days(30),
        products: vec![Product::City, Product::Revocations],
    };
    let bundle = TrustBundle {
        sequence: 4,
        issued_at: midnight(),
        keys: vec![trusted],
        lowest_revocations: 3,
        issuer: "RU-MOW".to_owned(),
    };
    let payload = |bundle: &TrustBundle| {
        let signed = bundle.sign(&root).unwrap();
        pass::container::Envelope::open_es256(&signed)
            .unwrap()
            .payload
    };
    let whole = payload(&bundle);
    put("trust_bundle", "valid-one-key", &whole);
    let without = TrustBundle {
        keys: Vec::new(),
        ..bundle.clone()
    };
    put("trust_bundle", "valid-no-key", &payload(&without));
    let other = TrustBundle {
        issuer: "RU-SPE".to_owned(),
        ..bundle
    };
    put("trust_bundle", "refused-issuer", &payload(&other));
    put("trust_bundle", "refused-cut", &whole[..whole.len() - 1]);

    let newer = list(5, &[1, 2, 9]);
    put(
        "revocations",
        "valid-whole",
        &RevocationPayload::Whole(newer.clone()).to_bytes(),
    );
    put(
        "revocations",
        "valid-empty",
        &RevocationPayload::Whole(list(3, &[])).to_bytes(),
    );
    let delta = Delta::between(&list(4, &[2, 7]), &newer).unwrap();
    let delta = RevocationPayload::Delta(delta).to_bytes();
    put("revocations", "valid-delta", &delta);
    put("revocations", "refused-cut", &delta[..delta.len() - 1]);
    put("revocations", "refused-empty", &[0xa0]);
}
