//! Identifiers of every scheme: text and, where there is one, a country.

use std::sync::LazyLock;

use connector_kit::{Identifier, IdentifierKind};
use pseudonym::fuzzing::normal_form;
use pseudonym::{Policy, PolicyConfig};

static POLICY: LazyLock<Policy> =
    LazyLock::new(|| Policy::new(&PolicyConfig::default()).expect("the defaults are a policy"));

const KINDS: [IdentifierKind; 8] = [
    IdentifierKind::Snils,
    IdentifierKind::Oms,
    IdentifierKind::PassportRu,
    IdentifierKind::NationalId,
    IdentifierKind::PassportForeign,
    IdentifierKind::Ehic,
    IdentifierKind::ResidencePermit,
    IdentifierKind::BirthCertificate,
];

/// The first line is an identifier, the second its country. Every scheme: a normal form normalises
/// to itself, and separators do not count.
pub fn identifiers(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let (value, country) = text
        .split_once('\n')
        .map_or((&*text, None), |(value, country)| (value, Some(country)));
    let accepted = KINDS.map(|kind| {
        let normal = |value: &str, country: Option<&str>| {
            let identifier = Identifier {
                kind,
                value: value.into(),
                country: country.map(Into::into),
            };
            normal_form(&identifier, &POLICY)
        };
        let Ok(form) = normal(value, country) else {
            return false;
        };
        assert!(
            (5..=64).contains(&form.len()),
            "{kind:?}: a normal form of {} bytes",
            form.len()
        );
        let (issuer, number) = form
            .split_once(':')
            .map_or((None, &*form), |(issuer, rest)| (Some(issuer), rest));
        let issuer = issuer.or(country);
        assert_eq!(
            normal(number, issuer).as_deref(),
            Ok(&*form),
            "{kind:?}: not its own normal form"
        );
        let spaced: String = number.chars().flat_map(|char| [char, ' ']).collect();
        assert_eq!(
            normal(&spaced, issuer).as_deref(),
            Ok(&*form),
            "{kind:?}: separators count"
        );
        true
    });
    accepted.contains(&true)
}
