//! Vaccine codes: CVX, ATC, ICD-11 extension codes.

use contract::Vaccine;

use super::Meaning;
use super::names::VACCINES;
use super::system::System;
use super::table::{CodeTable, Standards};

/// Highest CVX code whose meaning was known when the lists below were written; later ones may be
/// anything.
const LAST_KNOWN_CVX: u16 = 313;

/// The table of vaccines.
pub(crate) fn vaccine_table() -> CodeTable<Vaccine> {
    CodeTable::new(
        VACCINES.iter().copied(),
        Standards {
            coded,
            bare,
            others_beside: false,
        },
    )
}

fn coded(system: System, code: &str) -> Meaning<Vaccine> {
    match system {
        System::Cvx => cvx(code),
        System::Atc => atc(code),
        System::Icd11 => icd_11(code),
        System::Snomed => snomed(code),
        System::Loinc | System::Icd10 | System::Interpretation => Meaning::Unrecognised,
    }
}

/// Without a system only codes that cannot be mistaken for a clinic's own numbering count.
fn bare(code: &str) -> Meaning<Vaccine> {
    icd_11(code)
}

/// CVX as published by the CDC: each product with its doses for children and its adapted versions.
fn cvx(code: &str) -> Meaning<Vaccine> {
    let Some(number) = code
        .parse::<u16>()
        .ok()
        .filter(|_| code.bytes().all(|byte| byte.is_ascii_digit()))
    else {
        return Meaning::Unrecognised;
    };
    if let Some(vaccine) = Vaccine::ALL
        .into_iter()
        .find(|vaccine| vaccine.cvx() == code)
    {
        return Meaning::Is(vaccine);
    }
    match number {
        217..=219 | 300..=302 | 308..=310 => Meaning::Is(Vaccine::Comirnaty),
        221 | 227..=230 | 311 | 312 => Meaning::Is(Vaccine::Spikevax),
        313 => Meaning::Is(Vaccine::Nuvaxovid),
        // Unspecified, Sanofi, and whatever else is in the block for vaccines not used in the
        // United States.
        213 | 225 | 226 | 500..=599 => Meaning::Unlisted,
        // "No vaccine administered" and "unknown vaccine": nothing to report on, nothing to map.
        998 => Meaning::OutOfScope,
        1..=LAST_KNOWN_CVX => Meaning::OutOfScope,
        _ => Meaning::Unrecognised,
    }
}

/// ATC names the technology, never the product.
fn atc(code: &str) -> Meaning<Vaccine> {
    let well_formed = code.len() >= 3 && code.is_ascii() && code.as_bytes()[0].is_ascii_uppercase();
    match code {
        // J07, J07B: too coarse to say; J07BX is "other viral vaccines".
        "J07" | "J07B" | "J07BX" => Meaning::Unrecognised,
        _ if code.starts_with("J07BN") || code == "J07BX03" => Meaning::Unlisted,
        _ if well_formed => Meaning::OutOfScope,
        _ => Meaning::Unrecognised,
    }
}

/// WHO's ICD-11 extension codes for COVID-19 vaccines.
fn icd_11(code: &str) -> Meaning<Vaccine> {
    Meaning::Is(match code {
        "XM5ZJ4" => Vaccine::SputnikV,
        "XM5QM6" => Vaccine::SputnikLight,
        "XM6SZ8" => Vaccine::EpiVacCorona,
        "XM85P5" => Vaccine::CoviVac,
        "XM8NQ0" => Vaccine::Comirnaty,
        "XM3DT5" => Vaccine::Spikevax,
        "XM4YL8" | "XM97T2" => Vaccine::Vaxzevria,
        "XM6QV1" => Vaccine::Jcovden,
        "XM7HT3" => Vaccine::CoronaVac,
        "XM8866" => Vaccine::BbibpCorV,
        "XM1G90" => Vaccine::Covaxin,
        "XM1AG7" => Vaccine::Convidecia,
        "XM97N6" => Vaccine::QazVac,
        // The group, the technologies, and products the contract does not list.
        "XM68M6" | "XM1NL1" | "XM5DF6" | "XM9QW8" | "XM0CX4" | "XM5JC5" | "XM3CT4" | "XM1J92"
        | "XM6AT1" | "XM0GQ8" | "XM9TQ1" | "XM9FQ7" | "XM2YG8" | "XM3U61" | "XM3PG0" | "XM4EC8"
        | "XM52P3" => {
            return Meaning::Unlisted;
        }
        _ => return Meaning::Unrecognised,
    })
}

/// SNOMED CT's COVID-19 vaccine groups; its products are national, so any other code says nothing.
fn snomed(code: &str) -> Meaning<Vaccine> {
    match code {
        "1119305005" | "1119349007" | "1157024006" | "1162643001" | "29061000087103"
        | "28531000087107" => Meaning::Unlisted,
        _ => Meaning::Unrecognised,
    }
}
