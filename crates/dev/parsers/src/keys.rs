//! The texts of keys: every kind that is read from a file or a setting.

use contract::{PrivateKey, PublicKey, ReceiptSigner, ReceiptVerifier};
use pseudonym::{KeyRing, SharedKeys};
use registry::SecondLayerKey;
use secrecy::{ExposeSecret as _, SecretString};

/// Reads the text as every kind of key; what is written of a key reads as the same key.
pub fn keys(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let secret = SecretString::from(text);
    let again = |one: &SecretString, two: Option<SecretString>| {
        let two = two.expect("what was written can be read");
        assert!(
            one.expose_secret() == two.expose_secret(),
            "another key came back"
        );
        true
    };
    let accepted = [
        PublicKey::from_text(text)
            .is_ok_and(|key| PublicKey::from_text(&key.to_text()).ok() == Some(key)),
        ReceiptVerifier::from_text(text)
            .is_ok_and(|key| ReceiptVerifier::from_text(&key.to_text()).ok() == Some(key)),
        PrivateKey::from_text(&secret).is_ok_and(|key| {
            let text = key.to_text();
            again(
                &text,
                PrivateKey::from_text(&text).ok().map(|key| key.to_text()),
            )
        }),
        ReceiptSigner::from_text(&secret).is_ok_and(|key| {
            let text = key.to_text();
            again(
                &text,
                ReceiptSigner::from_text(&text)
                    .ok()
                    .map(|key| key.to_text()),
            )
        }),
        SecondLayerKey::from_text(&secret).is_some_and(|key| {
            let text = key.to_text();
            again(
                &text,
                SecondLayerKey::from_text(&text).map(|key| key.to_text()),
            )
        }),
        SharedKeys::parse(&secret).is_ok_and(|keys| {
            let text = keys.to_text();
            again(
                &text,
                SharedKeys::parse(&text).ok().map(|keys| keys.to_text()),
            )
        }),
        KeyRing::parse(&secret).is_ok_and(|ring| {
            let text = ring.to_text();
            again(&text, KeyRing::parse(&text).ok().map(|ring| ring.to_text()))
        }),
    ];
    accepted.contains(&true)
}
