//! Second layer of suite `voprf`: V = k·U keeps the group, so that stored names can follow a new
//! key of the key services.

use contract::{Epoch, Pseudonym, Scheme, Suite};
use oprf::{Element, Factor};

/// Beginning of the domain that a factor is derived for; scheme and key epoch follow.
const FACTOR_DOMAIN: &[u8] = b"clinic-gateway/registry/voprf/v1";

/// True where the value of a pseudonym is one that its suite can have: under [`Suite::Voprf`] the
/// canonical encoding of a ristretto255 element other than the identity (RFC 9496, section 4.3.1),
/// under the others any 32 bytes.
#[must_use]
pub fn has_fitting_value(pseudonym: &Pseudonym) -> bool {
    match pseudonym.suite {
        Suite::Hmac | Suite::HmacStreebog => true,
        Suite::Voprf => Element::from_bytes(pseudonym.value).is_some(),
    }
}

/// Factor k of the names of one scheme and key epoch, derived from K_registry for the domain
/// `clinic-gateway/registry/voprf/v1` 0 scheme 0 epoch; the epoch in decimal. A factor that were
/// common to all would let a sender give one element under two schemes, and the two names
/// would have one value.
pub(crate) fn factor(key: &[u8; 32], scheme: Scheme, epoch: Epoch) -> Factor {
    let epoch = epoch.to_string();
    let parts = [FACTOR_DOMAIN, scheme.as_str().as_bytes(), epoch.as_bytes()];
    Factor::derive(&parts.join(&0), key)
}

/// V = k·U; `None` where U is no element.
pub(crate) fn multiplied(value: [u8; 32], factor: &Factor) -> Option<[u8; 32]> {
    let element = Element::from_bytes(value)?;
    Some(element.times(factor).to_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::{ExposeSecret, SecretString};

    use super::*;
    use crate::second_layer::SecondLayerKey;

    /// The group's generator (RFC 9496, appendix A.1).
    const GENERATOR: &str = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";

    fn bytes(hex: &str) -> [u8; 32] {
        hex::decode(hex).unwrap().try_into().unwrap()
    }

    fn element(number: u64) -> Element {
        let generator = Element::from_bytes(bytes(GENERATOR)).unwrap();
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        generator.times(&Factor::derive(b"element of a test", &seed))
    }

    fn pseudonym(scheme: Scheme, epoch: Epoch, value: [u8; 32]) -> Pseudonym {
        Pseudonym {
            scheme,
            suite: Suite::Voprf,
            epoch,
            value,
        }
    }

    fn stored(key: &SecondLayerKey, scheme: Scheme, epoch: Epoch, value: Element) -> Element {
        let name = key.apply(&pseudonym(scheme, epoch, value.to_bytes()));
        Element::from_bytes(name.unwrap().value).unwrap()
    }

    proptest! {
        #[test]
        fn a_factor_on_the_pseudonym_is_the_same_factor_on_the_stored_name(
            number: u64,
            seed: [u8; 32],
            delta: [u8; 32],
            scheme in prop::sample::select(&Scheme::ALL[..]),
            epoch: Epoch,
        ) {
            let text = SecretString::from(hex::encode(seed));
            let key = SecondLayerKey::from_text(&text).unwrap();
            let delta = Factor::derive(b"a services' new key", &delta);
            let element = element(number);
            let before = stored(&key, scheme, epoch, element);
            let after = stored(&key, scheme, epoch, element.times(&delta));
            prop_assert_eq!(before.times(&delta), after);
            prop_assert_ne!(before, after);
        }
    }

    #[test]
    fn key_scheme_and_epoch_all_matter_and_the_element_does_not_rest() {
        let key = SecondLayerKey::generate();
        let one = element(1);
        let base = stored(&key, Scheme::Snils, 1, one);
        assert_eq!(base, stored(&key, Scheme::Snils, 1, one));
        let others = [
            stored(&key, Scheme::Oms, 1, one),
            stored(&key, Scheme::Snils, 2, one),
            stored(&key, Scheme::Snils, 1, element(2)),
            stored(&SecondLayerKey::generate(), Scheme::Snils, 1, one),
            one,
        ];
        for other in others {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn scheme_and_epoch_are_apart_in_the_domain() {
        let key = SecondLayerKey::generate().to_text();
        let key = bytes(key.expose_secret());
        let made = element(1).times(&factor(&key, Scheme::Snils, 12));
        let domain = b"clinic-gateway/registry/voprf/v1\0snils\x0012";
        assert_eq!(made, element(1).times(&Factor::derive(domain, &key)));
    }

    #[test]
    fn bytes_that_are_no_element_are_no_name() {
        let key = SecondLayerKey::generate();
        // The identity, p (zero that is not canonical), a negative and a non-canonical field
        // element, and a square that is none (RFC 9496, appendix A.3).
        let none = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
        ];
        for hex in none {
            let bad = pseudonym(Scheme::Snils, 1, bytes(hex));
            assert!(
                !has_fitting_value(&bad) && key.apply(&bad).is_none(),
                "{hex}"
            );
            for suite in [Suite::Hmac, Suite::HmacStreebog] {
                let digest = Pseudonym { suite, ..bad };
                assert!(has_fitting_value(&digest) && key.apply(&digest).is_some());
            }
        }
        let good = pseudonym(Scheme::Snils, 1, bytes(GENERATOR));
        assert!(has_fitting_value(&good) && key.apply(&good).is_some());
    }
}
