//! Entries of a health certificate: a vaccination, a test, a recovery.

use serde_json::{Map, Value};

use super::Version;
use super::values::Checker;
use crate::hcert::certificate::Kind;

/// Form that a member of an entry must have.
#[derive(Clone, Copy)]
enum Form {
    /// Text of any length.
    AnyText,
    /// Text within the length of the version.
    Text,
    /// A country code.
    Country,
    /// A number of doses.
    Doses,
    /// A date.
    Date,
}

/// Member of an entry.
struct Member {
    name: &'static str,
    form: Form,
    required: bool,
}

const fn required(name: &'static str, form: Form) -> Member {
    Member {
        name,
        form,
        required: true,
    }
}

const fn optional(name: &'static str, form: Form) -> Member {
    Member {
        name,
        form,
        required: false,
    }
}

const VACCINATION: &[Member] = &[
    required("tg", Form::AnyText),
    required("vp", Form::AnyText),
    required("mp", Form::AnyText),
    required("ma", Form::AnyText),
    required("dn", Form::Doses),
    required("sd", Form::Doses),
    required("dt", Form::Date),
    required("co", Form::Country),
    required("is", Form::Text),
    required("ci", Form::Text),
];

const TEST: &[Member] = &[
    required("tg", Form::AnyText),
    required("tt", Form::AnyText),
    optional("nm", Form::AnyText),
    optional("ma", Form::AnyText),
    required("sc", Form::Date),
    // In versions 1.0.x only.
    optional("dr", Form::Date),
    required("tr", Form::AnyText),
    required("tc", Form::Text),
    required("co", Form::Country),
    required("is", Form::Text),
    required("ci", Form::Text),
];

/// Testing centre, which is not required from 1.3 on.
const TESTING_CENTRE: &str = "tc";

const RECOVERY: &[Member] = &[
    required("tg", Form::AnyText),
    required("fr", Form::Date),
    required("co", Form::Country),
    required("is", Form::Text),
    required("df", Form::Date),
    required("du", Form::Date),
    required("ci", Form::Text),
];

/// Checks an entry. Members that no version has are left alone.
pub(super) fn check(checker: &mut Checker, kind: Kind, path: &str, entry: &Map<String, Value>) {
    let members = match kind {
        Kind::Vaccination => VACCINATION,
        Kind::Test => TEST,
        Kind::Recovery => RECOVERY,
    };
    let centre_required = checker.version() < Version::EmptyBirth;
    for member in members {
        let required = member.required && (centre_required || member.name != TESTING_CENTRE);
        let path = format!("{path}.{}", member.name);
        match entry.get(member.name) {
            None if required => checker.add(&path, "is missing"),
            None => {}
            Some(value) => check_form(checker, member.form, &path, value),
        }
    }
}

fn check_form(checker: &mut Checker, form: Form, path: &str, value: &Value) {
    match form {
        Form::AnyText => checker.any_text(path, value),
        Form::Text => checker.text(path, value),
        Form::Country => checker.country(path, value),
        Form::Doses => checker.doses(path, value),
        Form::Date => checker.date(path, value),
    }
}
