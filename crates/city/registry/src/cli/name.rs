//! Names of persons as commands take and print them: pseudonyms as clinics and portals compute them,
//! and names as the registry stores them. The two look different, so that neither is taken for the
//! other.

use contract::Pseudonym;
use linking::CityPseudonym;

use crate::Reader;
use crate::store::NameValue;

/// Beginning of a name as the registry stores it.
const STORED: &str = "stored:";

/// Form of a pseudonym.
const SHAPE: &str = "write SUITE/SCHEME/EPOCH/HEX, such as hmac/snils/1/ and 64 hex characters; \
                     before a name as this program prints it stands stored:";

/// Name as an operator gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameArgument {
    /// Name as the registry stores it and prints it.
    Stored(CityPseudonym),
    /// Value alone of a name as the registry stores it.
    Value(NameValue),
    /// Pseudonym as a portal computes it; or, as older programs printed it, a name as the registry
    /// stores it.
    Pseudonym(Pseudonym),
}

impl NameArgument {
    /// Values under which the registry may store the name, the likeliest first.
    pub(super) fn values(&self, reader: &Reader) -> Vec<NameValue> {
        match self {
            Self::Stored(name) => {
                let later = reader.later_names(name);
                let later = later.into_iter().map(|name| name.value);
                std::iter::once(name.value).chain(later).collect()
            }
            Self::Value(value) => vec![*value],
            Self::Pseudonym(pseudonym) => {
                let stored = reader.second_layer(pseudonym);
                let later = stored.iter().flat_map(|name| reader.later_names(name));
                let names = stored.into_iter().chain(later.collect::<Vec<_>>());
                let values = names.map(|name| name.value);
                values.chain([pseudonym.value]).collect()
            }
        }
    }
}

/// Parses a name as an operator gives it.
pub(super) fn name(text: &str) -> Result<NameArgument, &'static str> {
    let text = text.trim();
    if let Some(stored) = text.strip_prefix(STORED) {
        let name = parts(stored)?;
        return Ok(NameArgument::Stored(CityPseudonym {
            scheme: name.scheme,
            suite: name.suite,
            epoch: name.epoch,
            value: name.value,
        }));
    }
    if text.contains('/') {
        return parts(text).map(NameArgument::Pseudonym);
    }
    let mut value = [0; 32];
    match hex::decode_to_slice(text, &mut value) {
        Ok(()) => Ok(NameArgument::Value(value)),
        Err(_) => Err(SHAPE),
    }
}

/// Parses a pseudonym as a portal computes it, where nothing else will do.
pub(super) fn pseudonym(text: &str) -> Result<Pseudonym, &'static str> {
    let text = text.trim();
    if text.starts_with(STORED) {
        return Err(
            "this is a name as the registry stores it; wanted is the person's pseudonym as a \
             portal computes it",
        );
    }
    let pseudonym = parts(text)?;
    if linking::has_fitting_value(&pseudonym) {
        Ok(pseudonym)
    } else {
        Err(
            "under the suite voprf the 64 hex characters are an element of ristretto255, and these \
             are none",
        )
    }
}

/// Prints a name as the registry stores it, so that [`name`] reads it.
pub(super) fn printed(name: &CityPseudonym) -> String {
    let CityPseudonym {
        scheme,
        suite,
        epoch,
        value,
    } = name;
    let value = hex::encode(value);
    format!(
        "{STORED}{}/{}/{epoch}/{value}",
        suite.as_str(),
        scheme.as_str()
    )
}

/// Parses `SUITE/SCHEME/EPOCH/HEX`.
fn parts(text: &str) -> Result<Pseudonym, &'static str> {
    let parts: Vec<&str> = text.split('/').collect();
    let [suite, scheme, epoch, digits] = parts.as_slice() else {
        return Err(SHAPE);
    };
    let mut value = [0; 32];
    hex::decode_to_slice(digits, &mut value).map_err(|_| SHAPE)?;
    Ok(Pseudonym {
        scheme: scheme.parse().map_err(|_| "unknown scheme")?,
        suite: suite.parse().map_err(|_| "unknown suite")?,
        epoch: epoch.parse().map_err(|_| SHAPE)?,
        value,
    })
}

#[cfg(test)]
mod tests {
    use contract::{Scheme, Suite};

    use super::*;

    #[test]
    fn a_pseudonym_is_read_as_a_portal_writes_it() {
        let text = format!("hmac/passport-ru/2/{}", "ab".repeat(32));
        let expected = Pseudonym {
            scheme: Scheme::PassportRu,
            suite: Suite::Hmac,
            epoch: 2,
            value: [0xab; 32],
        };
        assert_eq!(pseudonym(&text), Ok(expected));
        assert_eq!(name(&text), Ok(NameArgument::Pseudonym(expected)));
        for bad in [
            "",
            "hmac/snils/1",
            "hmac/snils/1/abcd",
            "md5/snils/1/00",
            &format!("{text}/x"),
        ] {
            assert!(pseudonym(bad).is_err() && name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stored_name_is_read_as_it_is_printed_and_taken_for_nothing_else() {
        let stored = CityPseudonym {
            scheme: Scheme::Snils,
            suite: Suite::Hmac,
            epoch: 1,
            value: [0xcd; 32],
        };
        let text = printed(&stored);
        assert_eq!(text, format!("stored:hmac/snils/1/{}", "cd".repeat(32)));
        assert_eq!(name(&text), Ok(NameArgument::Stored(stored)));
        assert_eq!(
            name(&"cd".repeat(32)),
            Ok(NameArgument::Value(stored.value))
        );
        let refused = pseudonym(&text).expect_err("no portal computes it");
        assert!(refused.contains("as the registry stores it"), "{refused}");
        assert!(name("stored:").is_err());
    }
}
