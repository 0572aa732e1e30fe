//! Fingerprints of the clinic's key ring: for the outbox, and compared with the city's.

use contract::Suite;
use key_client::KeyClient;
use outbox::KeyFingerprints;
use pseudonym::KeyRing;

use crate::config::PseudonymFingerprint;

/// Key ring whose pseudonym keys are not the city's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CityKeysError {
    /// Key of an epoch that differs from the city's.
    #[error(
        "the pseudonym key of epoch {epoch} has the fingerprint {ring}, and the city's {city} \
         (registry.pseudonym_fingerprints): put the city's key ring in place, or, with key services, \
         name all of the city's with their public keys; or correct the configuration if the city \
         confirms the key"
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

/// Fingerprints of the keys, as the outbox writes them down: the pseudonym keys are the ring's, or
/// those of the key services.
pub(crate) fn fingerprints(
    ring: &KeyRing,
    suite: Suite,
    services: Option<&KeyClient>,
) -> KeyFingerprints {
    KeyFingerprints {
        record: ring.record_fingerprint(),
        suite,
        pseudonym: match services {
            Some(services) => services.fingerprints(),
            None => ring.pseudonym_fingerprints(),
        },
    }
}

/// Fingerprints of pseudonym keys, as `registry.pseudonym_fingerprints` takes them.
#[cfg(feature = "cli")]
pub(crate) fn fingerprint_list(keys: &[(contract::Epoch, String)]) -> String {
    let each = keys
        .iter()
        .map(|(epoch, fingerprint)| format!("\"{epoch}:{fingerprint}\""));
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}

/// Compares pseudonym keys with the city's fingerprints; without any, every key passes.
///
/// # Errors
/// [`CityKeysError`] of the first key that is not the city's.
pub(crate) fn compare_with_city(
    keys: Vec<(contract::Epoch, String)>,
    city: &[PseudonymFingerprint],
) -> Result<(), CityKeysError> {
    if city.is_empty() {
        return Ok(());
    }
    for (epoch, ring) in keys {
        match city.iter().find(|one| one.epoch == epoch) {
            Some(one) if one.fingerprint == ring => {}
            Some(one) => {
                let city = one.fingerprint.clone();
                return Err(CityKeysError::Differs { epoch, ring, city });
            }
            None => return Err(CityKeysError::Unknown { epoch, ring }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_must_be_one_of_the_citys() {
        let ring = KeyRing::generate();
        let keys = || ring.pseudonym_fingerprints();
        let (epoch, own) = keys().remove(0);
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
}
