//! `city-portal pseudonyms`: the pseudonyms of one person, for an operator of the registry whom that
//! person has asked for the deletion of everything that is known.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use program::Failure;
use program::terminal::print_line;
use pseudonym::{IdentifierKind, Pseudonym, RejectionReason, StatedIdentifier};
use secrecy::{ExposeSecret, SecretString};
use settings::read_regular_file;
use zeroize::Zeroizing;

use super::config_file::LoadedConfig;
use crate::open::pseudonym_source;
use crate::pseudonyms::PseudonymFault;

/// Most bytes of identifiers that are read.
const MAX_BYTES: u64 = 4096;
/// Most identifiers of one person.
const MAX_IDENTIFIERS: usize = 16;

/// Form of a line.
const SHAPE: &str = "write KIND NUMBER, or KIND:COUNTRY NUMBER; the kinds are snils, oms, \
                     passport-ru, national-id:COUNTRY and passport-foreign:COUNTRY, COUNTRY being \
                     of ISO 3166-1";

#[derive(Debug, Args)]
pub(super) struct PseudonymsArguments {
    /// File with the person's identifiers, each on a line of its own: KIND NUMBER, such as snils and
    /// the eleven digits; KIND:COUNTRY NUMBER for national-id and passport-foreign. Default:
    /// standard input.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) async fn pseudonyms(
    arguments: &PseudonymsArguments,
    loaded: &LoadedConfig,
) -> Result<(), Failure> {
    let text = read(arguments.file.as_deref())?;
    let stated = identifiers(&text)?;
    let source = pseudonym_source(&loaded.config, &loaded.base)?;
    let named = source.of(stated).await.map_err(|fault| match fault {
        PseudonymFault::Rejected(reason) => Failure::Usage(format!(
            "{} ({}); nothing was printed",
            explained(reason),
            reason.as_str()
        )),
        PseudonymFault::KeyServices(fault) => Failure::later(fault),
    })?;
    for pseudonym in &named {
        print_line(printed(pseudonym));
    }
    Ok(())
}

/// Sentence for whoever has typed a person's identifiers: which rule they break, and what to do.
/// Quotes none of them.
fn explained(reason: RejectionReason) -> &'static str {
    match reason {
        RejectionReason::IdentifierConflict => {
            "two different SNILS are stated, and a person has one: find out which is the person's, \
             and leave the other out; where two persons are meant, ask for each by itself"
        }
        RejectionReason::IdentifierCheckDigit => {
            "the check digits of an identifier do not fit its number, so a digit is mistyped: \
             compare it with the document"
        }
        RejectionReason::IdentifierInvalid => {
            "an identifier has the wrong length or characters for its kind: compare kind and number \
             with the document"
        }
        RejectionReason::IdentifierPlaceholder => {
            "an identifier is one digit repeated or digits in a row, which stands for no number: \
             write the real one, or leave it out"
        }
        RejectionReason::TooManyIdentifiers => {
            "more identifiers of a kind are stated than a fact of a person carries: leave old \
             documents out"
        }
        RejectionReason::CountryMissing => {
            "an identifier counts only with its issuing country: write KIND:COUNTRY"
        }
        RejectionReason::CountryUnknown => {
            "an issuing country is no code of ISO 3166-1, such as DEU: correct it"
        }
        _ => "none of the identifiers can be used: compare kinds and numbers with the documents",
    }
}

/// The pseudonym as `city-registry delete-subject` reads it.
fn printed(pseudonym: &Pseudonym) -> String {
    format!(
        "{}/{}/{}/{}",
        pseudonym.suite.as_str(),
        pseudonym.scheme.as_str(),
        pseudonym.epoch,
        hex::encode(pseudonym.value)
    )
}

fn read(file: Option<&Path>) -> Result<SecretString, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    match file {
        Some(path) => {
            *bytes = read_regular_file(path, MAX_BYTES + 1)
                .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        }
        None => {
            let mut input = std::io::stdin().lock().take(MAX_BYTES + 1);
            input.read_to_end(&mut bytes).map_err(|error| {
                Failure::Usage(format!("standard input cannot be read: {}", error.kind()))
            })?;
        }
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::Usage(format!(
            "there are more than {MAX_BYTES} bytes of identifiers; name those of one person"
        )));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Failure::usage("this is no UTF-8 text"))?;
    Ok(SecretString::from(text))
}

/// Identifiers of one person, one a line. Errors name the line and nothing of it.
fn identifiers(text: &SecretString) -> Result<Vec<StatedIdentifier>, Failure> {
    let lines = text.expose_secret().lines().map(str::trim);
    let lines = (1..).zip(lines).filter(|(_, line)| !line.is_empty());
    let read = |(number, line): (usize, &str)| {
        identifier(line).ok_or_else(|| Failure::Usage(format!("line {number}: {SHAPE}")))
    };
    let stated: Vec<StatedIdentifier> = lines.map(read).collect::<Result<_, _>>()?;
    match stated.len() {
        0 => Err(Failure::Usage(format!("there is no identifier; {SHAPE}"))),
        1..=MAX_IDENTIFIERS => Ok(stated),
        _ => Err(Failure::Usage(format!(
            "there are more than {MAX_IDENTIFIERS} identifiers; name those of one person"
        ))),
    }
}

fn identifier(line: &str) -> Option<StatedIdentifier> {
    let (kind, value) = line.split_once(char::is_whitespace)?;
    let (kind, country) = match kind.split_once(':') {
        Some((kind, country)) => (kind, Some(country)),
        None => (kind, None),
    };
    let kind = match (kind, country) {
        ("snils", None) => IdentifierKind::Snils,
        ("oms", None) => IdentifierKind::Oms,
        ("passport-ru", None) => IdentifierKind::PassportRu,
        ("national-id", Some(_)) => IdentifierKind::NationalId,
        ("passport-foreign", Some(_)) => IdentifierKind::PassportForeign,
        _ => return None,
    };
    Some(StatedIdentifier {
        kind,
        value: SecretString::from(value.trim()),
        country: country.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_line_by_line() {
        let text =
            SecretString::from("snils 112-233-445 95\n\n passport-foreign:DEU  C01X00T47 \n");
        let stated = identifiers(&text).unwrap();
        let kinds: Vec<IdentifierKind> = stated.iter().map(|one| one.kind).collect();
        assert_eq!(
            kinds,
            [IdentifierKind::Snils, IdentifierKind::PassportForeign]
        );
        assert_eq!(stated[0].value.expose_secret(), "112-233-445 95");
        assert_eq!(stated[1].value.expose_secret(), "C01X00T47");
        assert_eq!(stated[1].country.as_deref(), Some("DEU"));
    }

    #[test]
    fn a_mistake_names_its_line_and_nothing_of_it() {
        for bad in [
            "snils 1\nsecret",
            "snils 1\nsecret 2",
            "snils 1\nsnils:RUS secret",
            "snils 1\nnational-id secret",
        ] {
            let Err(Failure::Usage(told)) = identifiers(&SecretString::from(bad)) else {
                panic!("{bad} was read");
            };
            assert!(
                told.starts_with("line 2: ") && !told.contains("secret"),
                "{told}"
            );
        }
        assert!(identifiers(&SecretString::from("\n")).is_err());
        let many = "snils 1\n".repeat(17);
        assert!(identifiers(&SecretString::from(many)).is_err());
    }
}
