//! Tests of keys: ids as RFC 7638 says them, PEM and JWK there and back, refusals.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::*;
use crate::container::Envelope;

fn coordinate(text: &str) -> [u8; 32] {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    bytes.try_into().unwrap()
}

#[test]
fn the_thumbprint_is_that_of_an_independent_computation() {
    // The P-256 key of RFC 7517 appendix A.1; python3: base64.urlsafe_b64encode(hashlib.sha256(
    // b'{"crv":"P-256","kty":"EC","x":"MKBC…","y":"4Etl…"}').digest())
    let key = PublicKey::new(
        coordinate("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"),
        coordinate("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"),
    );
    assert_eq!(
        key.thumbprint(),
        "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"
    );
    assert_eq!(key.kid().to_string(), key.thumbprint()[..8]);
    // python3: [int.from_bytes(digest[at : at + 2], "big") % 10_000 for at in range(0, 10, 2)]
    assert_eq!(key.fingerprint(), "9311 5069 5420 2647 1353");
}

#[test]
fn a_key_comes_back_from_its_pem_text() {
    let key = SigningKey::generate();
    let again = SigningKey::from_pem(&key.to_pem()).unwrap();
    assert_eq!(again.public(), key.public());
    let with_carriage_returns = key.to_pem().expose_secret().replace('\n', "\r\n");
    let again = SigningKey::from_pem(&SecretString::from(with_carriage_returns)).unwrap();
    assert_eq!(again.kid(), key.kid());
    let sealed = Envelope::open(&again.seal(vec![0xa0])).unwrap();
    assert!(key.public().verifies(&sealed));
    assert_eq!(sealed.kid, key.kid().0);
}

#[test]
fn a_key_made_by_openssl_is_read() {
    // openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256
    let text = SecretString::from(include_str!("tests/openssl.pem"));
    let key = SigningKey::from_pem(&text).unwrap();
    assert_eq!(key.kid().to_string(), "19tv5HFX");
}

#[test]
fn what_is_no_private_key_block_is_refused() {
    let key = SigningKey::generate().to_pem();
    let text = key.expose_secret();
    for bad in [
        String::new(),
        text.replace("PRIVATE", "EC PRIVATE"),
        text.replace("PRIVATE", "ENCRYPTED PRIVATE"),
        text.replace("MIG", "M!G"),
        format!("{text}{text}"),
    ] {
        let fault = SigningKey::from_pem(&SecretString::from(bad)).unwrap_err();
        assert_eq!(fault, KeyFault::Pem);
    }
}

#[test]
fn a_document_of_another_kind_is_refused() {
    let key = SigningKey::generate().to_pem();
    let body = key.expose_secret().lines().filter(|l| !l.contains('-'));
    let mut der = BASE64_STANDARD.decode(body.collect::<String>()).unwrap();
    let last = der.len() - 1;
    for place in [0, 20, last] {
        der[place] ^= 1;
        let fault = SigningKey::from_der(SecretSlice::from(der.clone())).unwrap_err();
        assert!(matches!(fault, KeyFault::Pkcs8(_)), "{place}");
        der[place] ^= 1;
    }
    assert!(SigningKey::from_der(SecretSlice::from(der)).is_ok());
}

#[test]
fn a_key_does_not_print_its_secret() {
    let key = SigningKey::generate();
    assert_eq!(format!("{key:?}"), format!("SigningKey({}, …)", key.kid()));
}

#[test]
fn a_signature_of_another_key_or_length_is_none() {
    let key = SigningKey::generate();
    let sealed = key.seal(vec![0xa0]);
    let mut envelope = Envelope::open(&sealed).unwrap();
    assert!(!SigningKey::generate().public().verifies(&envelope));
    envelope.signature.pop();
    assert!(!key.public().verifies(&envelope));
}

#[test]
fn a_point_outside_the_curve_verifies_nothing() {
    let key = SigningKey::generate();
    let envelope = Envelope::open(&key.seal(vec![0xa0])).unwrap();
    let mut y = *key.public().y();
    y[31] ^= 1;
    let outside = PublicKey::new(*key.public().x(), y);
    assert!(!outside.verifies(&envelope));
}

#[test]
fn keys_come_back_from_their_set() {
    let keys = [
        *SigningKey::generate().public(),
        *SigningKey::generate().public(),
    ];
    assert_eq!(read_jwk_set(&jwk_set(&keys)).unwrap(), keys);
    assert_eq!(read_jwk_set(r#"{"keys":[]}"#).unwrap(), []);
}

#[test]
fn a_set_may_have_the_greatest_number_of_keys_and_no_more() {
    let key = *SigningKey::generate().public();
    let most = jwk_set(&vec![key; MAX_JWK_SET_KEYS]);
    assert_eq!(read_jwk_set(&most).unwrap().len(), MAX_JWK_SET_KEYS);
    let more = jwk_set(&vec![key; MAX_JWK_SET_KEYS + 1]);
    assert_eq!(read_jwk_set(&more), Err(KeyFault::JwkSetTooLong));
}

#[test]
fn a_set_may_have_the_greatest_number_of_bytes_and_no_more() {
    let mut text = jwk_set(&[]);
    text.push_str(&" ".repeat(MAX_JWK_SET_BYTES - text.len()));
    assert!(read_jwk_set(&text).is_ok());
    text.push(' ');
    assert_eq!(read_jwk_set(&text), Err(KeyFault::JwkSetTooLong));
}

#[test]
fn a_member_that_is_not_as_wanted_is_named() {
    let text = jwk_set(&[*SigningKey::generate().public()]);
    let cases = [
        ("kty", "\"EC\"", "\"RSA\""),
        ("crv", "\"P-256\"", "\"P-384\""),
        ("alg", "\"ES256\"", "7"),
        ("use", "\"sig\"", "\"enc\""),
        ("x", "\"x\": \"", "\"x\": \"A"),
        ("y", "\"y\"", "\"z\""),
        ("kid", "\"kid\": \"", "\"kid\": \"other"),
    ];
    for (member, from, to) in cases {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        let fault = read_jwk_set(&changed).unwrap_err();
        let named = matches!(fault, KeyFault::Jwk { number: 1, member: m, .. } if m == member);
        assert!(named, "{fault}");
    }
    for bad in ["", "[]", "{}", r#"{"keys":{}}"#] {
        assert_eq!(read_jwk_set(bad), Err(KeyFault::JwkSet));
    }
}
