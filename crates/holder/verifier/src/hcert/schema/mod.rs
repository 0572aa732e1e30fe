//! Schema of the EU Digital COVID Certificate, versions 1.0.0 to 1.3.x.
//!
//! Written for this program after the published specification of the JSON schema; not a copy of it.
//! Value sets (product names, country codes) are not part of the check: they grew after every
//! release, and a verifier that is older than a set would refuse good certificates.

mod entries;
mod values;

use serde_json::{Map, Value};

use crate::hcert::certificate::Kind;
use values::Checker;

/// Version of the schema, as far as versions differ in what they ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// 1.0.x: a whole date of birth; any number of groups.
    First,
    /// 1.1.x: the date of birth may be a year or a month.
    PartialDates,
    /// 1.2.x: exactly one group with exactly one entry.
    OneEntry,
    /// 1.3.0 and 1.3.1: an empty date of birth, no greatest number of doses.
    EmptyBirth,
    /// 1.3.2 and later: people with one name only may have it as the forename.
    OneName,
}

/// Treatment of the formats of dates. By the JSON schema standard they are a remark only,
/// unless a checker is told to check them (draft 2020-12, validation, section 7.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Formats {
    /// A text that is no date is a fault.
    Checked,
    /// Any text will do.
    Unchecked,
}

/// Last number of the first version 1.3.x in which one name is enough.
const FIRST_PATCH_WITH_ONE_NAME: u32 = 2;

impl Version {
    /// Newest version that is known here.
    pub(crate) const NEWEST: Self = Self::OneName;

    /// Version that a text names, such as `1.3.0`; `None` for one that is not known here.
    pub(crate) fn named(text: &str) -> Option<Self> {
        let mut numbers = text.split('.');
        let mut number = || -> Option<u32> {
            let digits = numbers.next()?;
            let is_padded = digits.len() > 1 && digits.starts_with('0');
            let digits_only = digits.bytes().all(|byte| byte.is_ascii_digit());
            let plain = !digits.is_empty() && digits_only && !is_padded;
            if plain { digits.parse().ok() } else { None }
        };
        let major = number()?;
        let minor = number()?;
        let patch = number()?;
        if numbers.next().is_some() {
            return None;
        }
        match (major, minor) {
            (1, 0) => Some(Self::First),
            (1, 1) => Some(Self::PartialDates),
            (1, 2) => Some(Self::OneEntry),
            (1, 3) if patch < FIRST_PATCH_WITH_ONE_NAME => Some(Self::EmptyBirth),
            (1, 3) => Some(Self::OneName),
            _ => None,
        }
    }

    /// Greatest length of names, issuers and identifiers, in characters.
    pub(crate) const fn text_length(self) -> usize {
        match self {
            Self::First | Self::PartialDates => 50,
            // 1.2.1 raised the length within the minor version.
            Self::OneEntry | Self::EmptyBirth | Self::OneName => 80,
        }
    }

    /// Greatest number of doses.
    const fn doses(self) -> Option<u64> {
        match self {
            Self::First | Self::PartialDates | Self::OneEntry => Some(9),
            Self::EmptyBirth | Self::OneName => None,
        }
    }
}

/// Faults of a health certificate by the schema of a version, in words that name the member and
/// what is wanted, never the value.
pub(crate) fn faults(certificate: &Value, version: Version, formats: Formats) -> Vec<String> {
    let mut checker = Checker::new(version, formats);
    if let Some(members) = checker.object("certificate", certificate) {
        check_members(&mut checker, members);
    }
    checker.into_faults()
}

/// Version that a health certificate names.
pub(crate) fn version_of(certificate: &Value) -> Result<Version, String> {
    match certificate.get("ver") {
        None => Err("ver: is missing".to_owned()),
        Some(Value::String(text)) => Version::named(text)
            .ok_or_else(|| "ver: is no version that is known here; 1.0.0 to 1.3.x are".to_owned()),
        Some(_) => Err("ver: must be text".to_owned()),
    }
}

fn check_members(checker: &mut Checker, members: &Map<String, Value>) {
    checker.version_text(members);
    if let Some(name) = checker.required("nam", members.get("nam"))
        && let Some(name) = checker.object("nam", name)
    {
        check_name(checker, name);
    }
    if let Some(birth) = checker.required("dob", members.get("dob")) {
        checker.birth("dob", birth);
    }
    let version = checker.version();
    if version >= Version::OneEntry {
        let groups = Kind::ALL.into_iter();
        let present = groups.filter(|kind| members.contains_key(kind.member()));
        if present.count() != 1 {
            checker.add("certificate", "must have exactly one of v, t and r");
        }
    }
    for kind in Kind::ALL {
        if let Some(group) = members.get(kind.member()) {
            check_group(checker, kind, group);
        }
    }
}

fn check_name(checker: &mut Checker, name: &Map<String, Value>) {
    for member in ["fn", "gn"] {
        if let Some(value) = name.get(member) {
            checker.text(&format!("nam.{member}"), value);
        }
    }
    for member in ["fnt", "gnt"] {
        if let Some(value) = name.get(member) {
            checker.machine_readable(&format!("nam.{member}"), value);
        }
    }
    let one_of_both = checker.version() >= Version::OneName && name.contains_key("gnt");
    if !one_of_both && !name.contains_key("fnt") {
        checker.add("nam.fnt", "is missing");
    }
}

fn check_group(checker: &mut Checker, kind: Kind, group: &Value) {
    let member = kind.member();
    let Some(entries) = group.as_array() else {
        checker.add(member, "must be an array");
        return;
    };
    if entries.is_empty() {
        checker.add(member, "must have an entry");
    }
    if checker.version() >= Version::OneEntry && entries.len() > 1 {
        checker.add(member, "must have one entry only");
    }
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("{member}[{index}]");
        if let Some(entry) = checker.object(&path, entry) {
            entries::check(checker, kind, &path, entry);
        }
    }
}

#[cfg(test)]
mod tests;
