//! Lists of vaccines and tests in the file.

use contract::{TestCode, Vaccine};
use settings::SettingsError;
use toml::Spanned;

use super::position::FilePosition;
use crate::names;

/// Reads the names of vaccines.
pub(super) fn vaccines(
    position: &FilePosition<'_>,
    listed: &[Spanned<String>],
) -> Result<Vec<Vaccine>, SettingsError> {
    let mut vaccines = Vec::with_capacity(listed.len());
    for name in listed {
        let vaccine = names::vaccine(name.get_ref()).ok_or_else(|| {
            let what = format!("no vaccine is called `{}`", name.get_ref());
            let help = format!("the vaccines are {}", names::all_vaccines());
            position.mistake(&name.span(), what, help)
        })?;
        if vaccines.contains(&vaccine) {
            let what = format!("`{}` is listed twice", name.get_ref());
            return Err(position.mistake(&name.span(), what, "remove one of the two"));
        }
        vaccines.push(vaccine);
    }
    Ok(vaccines)
}

/// Reads a list that must not be empty, of vaccines that the period accepts.
pub(super) fn accepted(
    position: &FilePosition<'_>,
    listed: &Spanned<Vec<Spanned<String>>>,
    accepted: &[Vaccine],
) -> Result<Vec<Vaccine>, SettingsError> {
    if listed.get_ref().is_empty() {
        let help = "name at least one vaccine, or remove the rule";
        return Err(position.mistake(&listed.span(), "no vaccine is listed", help));
    }
    let vaccines = vaccines(position, listed.get_ref())?;
    let stray = vaccines
        .iter()
        .zip(listed.get_ref())
        .find(|(vaccine, _)| !accepted.contains(vaccine));
    match stray {
        None => Ok(vaccines),
        Some((_, name)) => {
            let what = format!("`{}` is not accepted in this period", name.get_ref());
            let help = "add it to the period's accepted_vaccines, or remove it here";
            Err(position.mistake(&name.span(), what, help))
        }
    }
}

/// Reads a list of LOINC codes that must not be empty and must not repeat one of `before`.
pub(super) fn tests(
    position: &FilePosition<'_>,
    listed: &Spanned<Vec<Spanned<String>>>,
    before: &[TestCode],
) -> Result<Vec<TestCode>, SettingsError> {
    if listed.get_ref().is_empty() {
        let help = "name at least one LOINC code, or remove the rule";
        return Err(position.mistake(&listed.span(), "no test is listed", help));
    }
    let mut tests: Vec<TestCode> = Vec::new();
    for code in listed.get_ref() {
        let test = names::test(code.get_ref()).ok_or_else(|| {
            let what = format!("no fact can state the test `{}`", code.get_ref());
            let help = format!("the tests that facts can state are {}", names::all_tests());
            position.mistake(&code.span(), what, help)
        })?;
        if before.contains(&test) || tests.contains(&test) {
            let what = format!("the test `{}` is listed twice", code.get_ref());
            let help = "let one rule of the period name it, once";
            return Err(position.mistake(&code.span(), what, help));
        }
        if let Some(other) = tests.first().filter(|one| one.method() != test.method()) {
            let what = format!(
                "`{}` and `{}` look for different things: one for the virus's RNA, one for its \
                 antigen",
                other.loinc(),
                test.loinc()
            );
            let help = "write a section [[period.test]] for each of the two";
            return Err(position.mistake(&code.span(), what, help));
        }
        tests.push(test);
    }
    Ok(tests)
}
