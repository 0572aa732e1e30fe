//! Fingerprints of the clinic's key ring: for the outbox, and compared with the city's.

use contract::Suite;
use key_client::KeyClient;
use outbox::{KeyFingerprint, KeyFingerprints};
use pseudonym::{KeyRing, MAX_OPEN_EPOCHS, Suites};

use crate::config::PseudonymFingerprint;

/// Key ring whose pseudonym keys are not the city's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CityKeysError {
    /// Key of an epoch that differs from the city's.
    #[error(
        "the pseudonym key of epoch {epoch} has the fingerprint {ring}, and the city's {city} \
         (registry.pseudonym_fingerprints): put the city's key ring in place, or, with key services, \
         name all of the city's with their public keys; or correct the configuration if the city \
         confirms the key. While the city moves from one suite to another, the keys of both stand \
         there, also under one number"
    )]
    Differs {
        /// Epoch of both keys.
        epoch: contract::Epoch,
        /// Fingerprint of the key in the ring.
        ring: String,
        /// Fingerprint in the configuration.
        city: String,
    },
    /// Key of an epoch that the city does not name.
    #[error(
        "registry.pseudonym_fingerprints has no entry for epoch {epoch}: if the city has opened it, \
         add \"{epoch}:{ring}\" after comparing it with the city's; else take the epoch out of the \
         ring (`clinic-gateway keys retire {epoch}`), or out of public_keys of the key services"
    )]
    Unknown {
        /// Epoch of the key.
        epoch: contract::Epoch,
        /// Fingerprint of the key in the ring.
        ring: String,
    },
}

/// Fingerprints of the keys, as the outbox writes them down: the pseudonym keys are those of the
/// key services, the ring's, or, while the city moves from one suite to the other, both.
pub(crate) fn fingerprints(
    ring: &KeyRing,
    suites: Suites,
    services: Option<&KeyClient>,
) -> KeyFingerprints {
    let of = |suite: Suite, keys: Vec<(contract::Epoch, String)>| {
        keys.into_iter()
            .map(move |(epoch, fingerprint)| KeyFingerprint {
                suite,
                epoch,
                fingerprint,
            })
    };
    let evaluated = services.map(KeyClient::fingerprints).unwrap_or_default();
    let keyed = suites.keyed();
    let of_ring = keyed.map(|suite| of(suite, ring.pseudonym_fingerprints()));
    KeyFingerprints {
        record: ring.record_fingerprint(),
        pseudonym: of(Suite::Voprf, evaluated)
            .chain(of_ring.into_iter().flatten())
            .collect(),
    }
}

/// Keys that cannot be used while the city moves from one suite to another: more names than an
/// event may have would leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "keys.moving_from is written, and {where_open} has {MAX_OPEN_EPOCHS} epochs open: every person \
     would have three names for each identifier. End that rotation first, at all clinics, and move \
     then"
)]
pub struct RotationWhileMoving {
    where_open: &'static str,
}

/// Refuses a rotation of either suite's keys while the city moves from one to the other.
///
/// # Errors
/// [`RotationWhileMoving`].
pub(crate) fn refuse_rotation_while_moving(
    ring: &KeyRing,
    suites: Suites,
    services: Option<&KeyClient>,
) -> Result<(), RotationWhileMoving> {
    if suites.moving_from.is_none() {
        return Ok(());
    }
    let of_ring = ring.pseudonym_fingerprints().len();
    let of_services = services.map_or(0, |services| services.epochs().len());
    let open = [(of_ring, "the key ring"), (of_services, "keys.services")];
    let mut rotating = open.into_iter().filter(|(epochs, _)| *epochs > 1);
    rotating.next().map_or(Ok(()), |(_, where_open)| {
        Err(RotationWhileMoving { where_open })
    })
}

/// Fingerprints of pseudonym keys, as `registry.pseudonym_fingerprints` takes them.
#[cfg(feature = "cli")]
pub(crate) fn fingerprint_list(keys: &[KeyFingerprint]) -> String {
    let each = keys
        .iter()
        .map(|key| format!("\"{}:{}\"", key.epoch, key.fingerprint));
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}

/// Compares pseudonym keys with the city's fingerprints; without any, every key passes.
///
/// # Errors
/// [`CityKeysError`] of the first key that is not the city's.
pub(crate) fn compare_with_city(
    keys: Vec<KeyFingerprint>,
    city: &[PseudonymFingerprint],
) -> Result<(), CityKeysError> {
    if city.is_empty() {
        return Ok(());
    }
    for key in keys {
        let epoch = key.epoch;
        let ring = key.fingerprint;
        // Keys of two suites may have one number.
        let mut of_epoch = city.iter().filter(|one| one.epoch == epoch);
        if of_epoch.clone().any(|one| one.fingerprint == ring) {
            continue;
        }
        return Err(match of_epoch.next() {
            Some(one) => CityKeysError::Differs {
                epoch,
                ring,
                city: one.fingerprint.clone(),
            },
            None => CityKeysError::Unknown { epoch, ring },
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_must_be_one_of_the_citys() {
        let ring = KeyRing::generate();
        let keys = || fingerprints(&ring, Suite::Hmac.into(), None).pseudonym;
        let own = keys().remove(0);
        let epoch = own.epoch;
        let own = own.fingerprint;
        let city = |texts: &[&str]| -> Vec<PseudonymFingerprint> {
            let parse = |text: &&str| text.parse().expect("a fingerprint");
            texts.iter().map(parse).collect()
        };
        let right = format!("1:{own}");
        assert_eq!(compare_with_city(keys(), &[]), Ok(()));
        assert_eq!(
            compare_with_city(keys(), &city(&["7:00000000", &right])),
            Ok(())
        );
        assert_eq!(
            compare_with_city(keys(), &city(&["1:00000000", &right])),
            Ok(()),
            "another suite's key of the same number"
        );
        let other = if own == "00000000" {
            "00000001"
        } else {
            "00000000"
        };
        assert_eq!(
            compare_with_city(keys(), &city(&[&format!("1:{other}")])),
            Err(CityKeysError::Differs {
                epoch,
                ring: own.clone(),
                city: other.to_owned()
            })
        );
        assert_eq!(
            compare_with_city(keys(), &city(&["2:00000000"])),
            Err(CityKeysError::Unknown { epoch, ring: own })
        );
    }

    #[test]
    fn no_key_is_rotated_while_the_city_moves() {
        let ring = KeyRing::generate();
        let moving = Suites {
            suite: Suite::Voprf,
            moving_from: Some(Suite::Hmac),
        };
        let refused = |ring: &KeyRing, suites| refuse_rotation_while_moving(ring, suites, None);
        assert_eq!(refused(&ring, moving), Ok(()));
        let rotating = ring.with_new_pseudonym_epoch().expect("an epoch more");
        let error = refused(&rotating, moving).expect_err("three names for each identifier");
        assert!(error.to_string().contains("the key ring has 2 epochs"));
        assert_eq!(refused(&rotating, Suite::Hmac.into()), Ok(()));
    }
}
