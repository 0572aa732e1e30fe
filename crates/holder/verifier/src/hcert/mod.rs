//! Checks health certificates of any issuer (EU Digital COVID Certificate), step by step.

mod base64_text;
mod cbor;
mod certificate;
mod check;
mod claims;
mod cose;
mod moments;
mod report;
mod schema;
mod show;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unwrap;
mod vector;

use chrono::{DateTime, Utc};

use crate::cli::HcertArguments;
use crate::ending::Ending;
use crate::input::{self, Content, InputError, Source};
use certificate::{CertificateFault, MAX_CERTIFICATES, SignerCertificate};
use report::{Report, Step};

/// Runs `pass hcert`.
pub(crate) fn run(asked: &HcertArguments, now: DateTime<Utc>) -> Result<Ending, InputError> {
    let moment = asked.at.unwrap_or(now);
    if !asked.vectors.is_empty() {
        return vector::run(&asked.vectors, moment, asked.json);
    }
    let signers = signers(&asked.certificates)?;
    let source = Source::of(&asked.file);
    let reports: Vec<Report> = match input::read_passes(&source)? {
        Content::Texts(texts) => texts
            .iter()
            .map(|text| check::text(text, &signers, moment))
            .collect(),
        Content::Picture(png) => picture(&png, &signers, moment),
    };
    if asked.json {
        show::json(&reports, moment);
    } else {
        show::words(&reports, moment);
    }
    let ends = reports.iter().map(Report::ending);
    Ok(ends.fold(Ending::Valid, Ending::max))
}

/// Runs a test vector file; true if it is one.
#[cfg(feature = "fuzzing")]
pub(crate) fn run_vector(text: &str, now: DateTime<Utc>) -> bool {
    vector::run_text(text, now)
}

/// Checks a text with the certificates in a signer's file.
#[cfg(feature = "fuzzing")]
pub(crate) fn check_text(text: &str, signers: &[u8], now: DateTime<Utc>) -> Result<Report, String> {
    let signers = SignerCertificate::all_of(signers).map_err(|fault| fault.to_string())?;
    Ok(check::text(text, &signers, now))
}

/// Number of certificates in a signer's file; `None` if they cannot be read.
#[cfg(feature = "fuzzing")]
pub(crate) fn count_certificates(bytes: &[u8]) -> Option<usize> {
    Some(SignerCertificate::all_of(bytes).ok()?.len())
}

fn picture(png: &[u8], signers: &[SignerCertificate], moment: DateTime<Utc>) -> Vec<Report> {
    match input::codes(png) {
        Ok(texts) => texts
            .iter()
            .map(|text| {
                let mut report = check::text(text, signers, moment);
                report.ok(Step::Qr, "read from the picture");
                report
            })
            .collect(),
        Err(fault) => {
            let mut report = Report::default();
            report.fault(Step::Qr, fault.to_string());
            vec![report]
        }
    }
}

fn signers(paths: &[std::path::PathBuf]) -> Result<Vec<SignerCertificate>, InputError> {
    let mut signers = Vec::new();
    for path in paths {
        let source = Source::of(path);
        let unfit = |fault: CertificateFault| InputError::Unfit(source.name(), fault.to_string());
        signers.extend(SignerCertificate::all_of(&source.read()?).map_err(unfit)?);
        if signers.len() > MAX_CERTIFICATES {
            return Err(unfit(CertificateFault::TooMany));
        }
    }
    Ok(signers)
}
