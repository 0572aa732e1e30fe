//! Entry of a certificate that states what the rules let be stated.

use eligibility::{Rules, Statement};
use pass::hcert::{Entry, Recovery, Test, Vaccination};
use pass::window::WindowError;

use super::codes::{COUNTRY, eu_test, eu_vaccine};
use super::day_start;

/// Entry of a statement; `None` where no code names the vaccine or the kind of test.
pub(super) fn of(rules: &Rules, statement: &Statement) -> Result<Option<Entry>, WindowError> {
    let country = COUNTRY.to_owned();
    Ok(match *statement {
        Statement::Dose {
            vaccine,
            number,
            series,
            given_on,
        } => eu_vaccine(vaccine).map(|codes| {
            Entry::Vaccination(Vaccination {
                prophylaxis: codes.prophylaxis.to_owned(),
                product: codes.product.to_owned(),
                manufacturer: codes.manufacturer.to_owned(),
                dose: number,
                doses: series,
                date: given_on,
                country,
            })
        }),
        Statement::Recovery {
            first_positive,
            from,
            last,
        } => Some(Entry::Recovery(Recovery {
            first_positive,
            from,
            until: last,
            country,
        })),
        // The contract has days without a time.
        Statement::NegativeTest { test, sampled_on } => {
            let sampled = day_start(rules, sampled_on)?;
            eu_test(test).map(|kind| {
                Entry::Test(Test {
                    kind,
                    name: None,
                    sampled,
                    centre: None,
                    country,
                })
            })
        }
    })
}

/// Text that stands for a statement in the digest of a certificate's content.
pub(super) fn statement_text(statement: &Statement) -> String {
    match statement {
        Statement::Dose {
            vaccine,
            number,
            series,
            given_on,
        } => format!("dose {} {number}/{series} {given_on}", vaccine.as_str()),
        Statement::Recovery {
            first_positive,
            from,
            last,
        } => format!("recovery {first_positive} {from} {last}"),
        Statement::NegativeTest { test, sampled_on } => {
            format!("negative test {} {sampled_on}", test.loinc())
        }
    }
}
