//! Names of suite `voprf` under the key services' next key: each is multiplied by a factor.

use contract::{Epoch, Scheme, Suite};
use oprf::{Element, Factor};

use crate::batch::{Assertion, IncomingEvent, OpenBatch};
use crate::second_layer::{CityPseudonym, SecondLayerKey};

/// Change of stored names from one key epoch to another one, where the key services' keys changed
/// by a known factor.
#[derive(Debug)]
pub struct Rekeying {
    from: Epoch,
    to: Epoch,
    /// Factors of the schemes, in the order of [`Scheme::ALL`].
    factors: [Factor; Scheme::ALL.len()],
    check: [u8; 32],
}

impl Rekeying {
    /// Change of the names of epoch `from` to names of epoch `to`, where the product of the
    /// services' keys of `to` is `change` times that of `from`. The second layer has a factor of
    /// its own for each scheme and epoch, so that a stored name changes by another factor than a
    /// pseudonym.
    #[must_use]
    pub fn new(key: &SecondLayerKey, from: Epoch, to: Epoch, change: &Factor) -> Self {
        let factors = Scheme::ALL.map(|scheme| {
            let layers = key.factor(scheme, to).divided_by(&key.factor(scheme, from));
            layers.times(change)
        });
        Self {
            from,
            to,
            factors,
            check: key.check_change(from, to, change),
        }
    }

    /// Epoch whose names change.
    #[must_use]
    pub const fn from(&self) -> Epoch {
        self.from
    }

    /// Epoch that they change to.
    #[must_use]
    pub const fn to(&self) -> Epoch {
        self.to
    }

    /// Value that tells this change from another, and says nothing else to whoever lacks the
    /// second layer's key.
    #[must_use]
    pub const fn check_value(&self) -> [u8; 32] {
        self.check
    }

    /// True where a name changes.
    #[must_use]
    pub fn concerns(&self, name: &CityPseudonym) -> bool {
        name.suite == Suite::Voprf && name.epoch == self.from
    }

    /// Values that stored names of these schemes change to, in their order; `None` where one of
    /// them is no element. Many at once take less time than one by one.
    #[must_use]
    pub fn values(&self, names: &[([u8; 32], Scheme)]) -> Option<Vec<[u8; 32]>> {
        let names = names.iter();
        let products = Element::products(names.map(|(value, scheme)| (*value, self.of(*scheme))))?;
        Some(products.into_iter().map(Element::to_bytes).collect())
    }

    /// Factor of the names of a scheme.
    fn of(&self, scheme: Scheme) -> &Factor {
        let place = Scheme::ALL.iter().position(|one| *one == scheme);
        &self.factors[place.expect("every scheme is among all")]
    }

    /// Name that a name changes to; others stay as they are.
    #[must_use]
    pub fn name(&self, name: &CityPseudonym) -> CityPseudonym {
        let changed = self
            .concerns(name)
            .then(|| Element::from_bytes(name.value))
            .flatten();
        changed.map_or(*name, |element| CityPseudonym {
            epoch: self.to,
            value: element.times(self.of(name.scheme)).to_bytes(),
            ..*name
        })
    }

    /// The batch as it would have come under the new key.
    #[must_use]
    pub fn batch(&self, batch: &OpenBatch) -> OpenBatch {
        let event = |event: &IncomingEvent| {
            let asserted = event.asserted.as_ref().map(|asserted| {
                let names = asserted.pseudonyms.iter().map(|name| self.name(name));
                Assertion::new(asserted.fact.clone(), names.collect())
            });
            IncomingEvent {
                asserted,
                ..event.clone()
            }
        };
        OpenBatch {
            id: batch.id,
            name: batch.name,
            tokens: batch.tokens,
            events: batch.events.iter().map(event).collect(),
            refusals: batch.refusals.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use contract::Pseudonym;

    use super::*;

    /// Compressed generator of ristretto255 (RFC 9496, appendix A.1).
    const GENERATOR: &str = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";

    fn generator() -> Element {
        let mut bytes = [0; 32];
        hex::decode_to_slice(GENERATOR, &mut bytes).unwrap();
        Element::from_bytes(bytes).unwrap()
    }

    fn stored(key: &SecondLayerKey, scheme: Scheme, epoch: Epoch, value: Element) -> CityPseudonym {
        let pseudonym = Pseudonym {
            scheme,
            suite: Suite::Voprf,
            epoch,
            value: value.to_bytes(),
        };
        key.apply(&pseudonym).unwrap()
    }

    #[test]
    fn a_name_becomes_what_the_new_key_would_have_made() {
        let key = SecondLayerKey::generate();
        let change = Factor::derive(b"change of a test", &[3; 32]);
        let rekeying = Rekeying::new(&key, 1, 2, &change);
        for scheme in Scheme::ALL {
            let old = generator().times(&Factor::derive(b"a person", &[scheme as u8; 32]));
            let new = old.times(&change);
            let name = rekeying.name(&stored(&key, scheme, 1, old));
            assert_eq!(name, stored(&key, scheme, 2, new));
            assert_eq!(rekeying.name(&name), name, "it changes once");
            let before = stored(&key, scheme, 1, old).value;
            assert_eq!(rekeying.values(&[(before, scheme)]), Some(vec![name.value]));
        }
    }

    #[test]
    fn names_of_other_suites_and_epochs_stay() {
        let key = SecondLayerKey::generate();
        let change = Factor::derive(b"change of a test", &[3; 32]);
        let rekeying = Rekeying::new(&key, 1, 2, &change);
        let name = stored(&key, Scheme::Snils, 1, generator());
        let others = [
            CityPseudonym { epoch: 3, ..name },
            CityPseudonym {
                suite: Suite::Hmac,
                ..name
            },
        ];
        for other in others {
            assert!(!rekeying.concerns(&other));
            assert_eq!(rekeying.name(&other), other);
        }
    }

    #[test]
    fn another_factor_or_epoch_is_another_change() {
        let key = SecondLayerKey::generate();
        let one = Factor::derive(b"change of a test", &[3; 32]);
        let other = Factor::derive(b"change of a test", &[4; 32]);
        let check = |from, to, change| Rekeying::new(&key, from, to, change).check_value();
        assert_eq!(check(1, 2, &one), check(1, 2, &one));
        for differs in [check(1, 2, &other), check(1, 3, &one), check(2, 1, &one)] {
            assert_ne!(check(1, 2, &one), differs);
        }
    }
}
