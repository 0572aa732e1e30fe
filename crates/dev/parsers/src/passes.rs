//! Passes, the trust bundle, the list of ended passes, and what others issue, as verifiers read them.

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use pass::claims::Claims;
use pass::container::{Envelope, from_text, to_text};
use pass::keys::SigningKey;
use pass::revocation::{Edition, RevocationList, RevocationPayload, TagSet};
use pass::trust::{HeldBundle, TrustBundle, TrustedKey, take_revocations};
use pass::verify::{Held, Verdict, verify};
use pass::{PassId, Product};

/// Issuer of the passes of the corpus.
const ISSUER: &str = "RU-MOW";

/// Keys of the corpus. For nothing else.
const ROOT: &str = include_str!("../../../../fuzz/pass-keys/root-test-only.pem");
const SIGNER: &str = include_str!("../../../../fuzz/pass-keys/signer-test-only.pem");

/// 2026-11-30T09:00:00Z, when everything of the corpus is checked.
const NOW: i64 = 1_796_029_200;

/// A city whose bundle and list are fresh.
struct City {
    root: SigningKey,
    signer: SigningKey,
    trust: TrustBundle,
    list: RevocationList,
}

static CITY: LazyLock<City> = LazyLock::new(|| {
    let key = |text: &str| SigningKey::from_pem(&text.to_owned().into()).expect("a key in PEM");
    let signer = key(SIGNER);
    let trusted = TrustedKey {
        key: *signer.public(),
        from: now() - TimeDelta::days(30),
        until: now() + TimeDelta::days(30),
        products: vec![Product::City, Product::Hcert, Product::Revocations],
    };
    let edition = Edition::new(3, now() - TimeDelta::hours(1)).expect("an edition");
    City {
        root: key(ROOT),
        trust: TrustBundle {
            sequence: 3,
            issued_at: now() - TimeDelta::hours(1),
            keys: vec![trusted],
            lowest_revocations: 3,
            issuer: ISSUER.to_owned(),
        },
        list: RevocationList::new(edition, TagSet::default()),
        signer,
    }
});

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).expect("a time")
}

fn verdict(text: &str) -> Verdict {
    let held = Held {
        trust: &CITY.trust,
        revocations: &CITY.list,
    };
    verify(text, Some(held), now())
}

/// Text of a code at the door; accepted if it is a pass that holds.
pub fn pass_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    if let Ok(cose) = from_text(text) {
        assert_eq!(from_text(&to_text(&cose)), Ok(cose), "a text comes back");
    }
    matches!(verdict(text), Verdict::Valid(_))
}

/// `COSE_Sign1` inside a text; accepted if it is one.
pub fn pass_cose(bytes: &[u8]) -> bool {
    let text = to_text(bytes);
    let verdict = verdict(&text);
    let opened = Envelope::open(bytes);
    assert!(
        opened.is_ok() || matches!(verdict, Verdict::Invalid(_)),
        "what cannot be opened is no pass"
    );
    opened.is_ok()
}

/// Claims inside a right signature; accepted if they are a pass that holds.
pub fn pass_claims(bytes: &[u8]) -> bool {
    let holds = matches!(
        verdict(&to_text(&CITY.signer.seal(bytes.to_vec()))),
        Verdict::Valid(_)
    );
    match Claims::decode(bytes) {
        Ok(Claims::City(claims)) => {
            let again = Claims::decode(&claims.encode());
            assert_eq!(again, Ok(Claims::City(claims)), "claims come back");
        }
        Ok(Claims::Hcert(claims)) => {
            let again = claims.encode().expect("what was read can be written");
            let again = Claims::decode(&again);
            assert_eq!(again, Ok(Claims::Hcert(claims)), "claims come back");
        }
        Err(_) => assert!(!holds, "a pass that holds has claims"),
    }
    holds
}

/// Payload of a trust bundle inside the root's signature.
pub fn trust_bundle(bytes: &[u8]) -> bool {
    let root = CITY.root.public();
    let signed = CITY.root.seal(bytes.to_vec());
    let Ok(held) = HeldBundle::open(&signed, root, ISSUER) else {
        return false;
    };
    // A bundle may name products of the future, which are not kept: the bytes need not come back.
    let again = held
        .bundle()
        .sign(&CITY.root)
        .expect("what was read can be signed");
    let again = TrustBundle::open(&again, root, ISSUER);
    assert_eq!(again.as_ref(), Ok(held.bundle()), "a bundle comes back");
    true
}

/// Payload of a revocation list or delta inside a signature of the city.
pub fn revocations(bytes: &[u8]) -> bool {
    let signed = CITY.signer.seal(bytes.to_vec());
    if let Ok(payload) = RevocationPayload::from_bytes(bytes) {
        // Another Rice parameter than the best is accepted: the bytes need not come back.
        let again = RevocationPayload::from_bytes(&payload.to_bytes());
        assert_eq!(again, Ok(payload), "a list comes back");
    }
    let Ok(payload) = CITY.trust.open_revocations(&signed) else {
        return false;
    };
    if let Ok(list) = take_revocations(Some(&CITY.list), payload, &CITY.trust) {
        assert!(list.edition().sequence() >= CITY.list.edition().sequence());
        let _ = list.revokes(PassId(*b"any pass").0);
    }
    true
}

/// Text of a health certificate of any issuer, and the same bytes as a file of signers' certificates;
/// accepted if they are such a file, or a certificate of the corpus's signer that is valid.
pub fn hcert_text(bytes: &[u8]) -> bool {
    let is_signer = verifier::fuzzing::certificates(bytes).is_some_and(|count| count > 0);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return is_signer;
    };
    let is_valid = verifier::fuzzing::health_certificate(text, HCERT_SIGNER, hcert_now());
    is_signer || is_valid.expect("the signer of the corpus is one")
}

/// Signer of the health certificates of the corpus: an invented one.
const HCERT_SIGNER: &[u8] = include_bytes!("../../../../fuzz/pass-keys/hcert-signer.pem");

/// 2021-05-03T18:30:00Z, when health certificates of the corpus are checked.
fn hcert_now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_620_066_600, 0).expect("a time")
}

/// Test vector of health certificates.
pub fn hcert_vector(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| verifier::fuzzing::vector(text, hcert_now()))
}

/// Picture with a QR code.
pub fn picture(bytes: &[u8]) -> bool {
    verifier::fuzzing::picture(bytes).is_some_and(|texts| !texts.is_empty())
}
