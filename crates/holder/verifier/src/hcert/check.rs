//! The way of a certificate through all steps.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::certificate::{Kind, SignerCertificate};
use super::claims::{self, Claims};
use super::cose::{self, Message};
use super::moments::shown;
use super::report::{Report, Step};
use super::schema::Formats;
use super::{cbor, schema, unwrap};

/// Code of the result "detected" of a test (SNOMED CT).
const DETECTED: &str = "260373001";

/// Checks the text of a certificate at a moment. A step that fails does not keep later ones from
/// being done where they still make sense.
pub(crate) fn text(text: &str, signers: &[SignerCertificate], moment: DateTime<Utc>) -> Report {
    let mut report = Report::default();
    if let Some(bytes) = unwrap::unwrap(text, &mut report) {
        message(&bytes, signers, moment, &mut report);
    }
    report
}

/// Checks a signed message at a moment; gives the health certificate in it, as JSON.
pub(crate) fn message(
    bytes: &[u8],
    signers: &[SignerCertificate],
    moment: DateTime<Utc>,
    report: &mut Report,
) -> Option<Value> {
    let message = cose::open(bytes, report)?;
    let signer = check_signature(&message, signers, report);
    let claims = claims::read(&message.payload, report)?;
    claims.check_clock(moment, report);
    if let Some(signer) = signer {
        check_validity(signer, &claims, moment, report);
    }
    let certificate = cbor::to_json(claims.certificate.as_ref()?);
    let kind = check_content(&certificate, moment, report);
    check_key_usage(signer, kind, report);
    check_schema(&certificate, report);
    Some(certificate)
}

/// Notes the steps "algorithm", "kid" and "signature"; gives the certificate that was used.
fn check_signature<'a>(
    message: &Message,
    signers: &'a [SignerCertificate],
    report: &mut Report,
) -> Option<&'a SignerCertificate> {
    let algorithm = message.algorithm();
    match &algorithm {
        Ok(algorithm) => report.ok(Step::Algorithm, algorithm.as_str()),
        Err(fault) => report.fault(Step::Algorithm, fault.to_string()),
    }
    let signer = find_signer(message, signers, report);
    let Some(signer) = signer else {
        report.not_checked(Step::Signature, "there is no certificate to check it with");
        return None;
    };
    match algorithm {
        Ok(algorithm) => match signer.verify(message, algorithm) {
            Ok(()) => report.ok(Step::Signature, "right"),
            Err(fault) => report.fault(Step::Signature, fault.to_string()),
        },
        Err(_) => report.not_checked(Step::Signature, "the algorithm is not accepted"),
    }
    Some(signer)
}

/// Certificate that the kid names. If it names none, but only one was given, that one is used, so
/// that the report says more than the wrong kid.
fn find_signer<'a>(
    message: &Message,
    signers: &'a [SignerCertificate],
    report: &mut Report,
) -> Option<&'a SignerCertificate> {
    let only = match signers {
        [only] => Some(only),
        _ => None,
    };
    let (kid, place) = match message.kid() {
        Ok(found) => found,
        Err(fault) => {
            report.fault(Step::Kid, fault.to_string());
            return only;
        }
    };
    let name = STANDARD.encode(kid);
    let place = place.as_str();
    if signers.is_empty() {
        let words = format!("{name} in the {place} header; give its --certificate");
        report.not_checked(Step::Kid, words);
        return None;
    }
    let found = signers.iter().find(|signer| signer.kid == kid);
    if found.is_some() {
        report.ok(Step::Kid, format!("{name} in the {place} header"));
        return found;
    }
    let words = format!("{name} in the {place} header is the kid of no given certificate");
    report.fault(Step::Kid, words);
    only
}

/// Notes the step "certificate": the signer's certificate is valid now, and was so at the issue.
fn check_validity(
    signer: &SignerCertificate,
    claims: &Claims,
    moment: DateTime<Utc>,
    report: &mut Report,
) {
    let from = shown(signer.not_before);
    let until = shown(signer.not_after);
    let validity = signer.not_before..=signer.not_after;
    let fault = if !validity.contains(&moment) {
        Some(format!(
            "at {} the signer's certificate is not valid",
            shown(moment)
        ))
    } else if claims
        .issued_at()
        .is_some_and(|issued| !validity.contains(&issued))
    {
        Some("the signer's certificate was not valid at the time of issue".to_owned())
    } else {
        None
    };
    match fault {
        Some(words) => report.fault(
            Step::Certificate,
            format!("{words}: from {from} until {until}"),
        ),
        None => report.ok(Step::Certificate, format!("from {from} until {until}")),
    }
}

/// Notes the step "content"; gives the kind of the one entry.
fn check_content(certificate: &Value, moment: DateTime<Utc>, report: &mut Report) -> Option<Kind> {
    let entries = |kind: Kind| certificate.get(kind.member());
    let present: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| entries(*kind).is_some_and(|group| !group.is_null()))
        .collect();
    let [kind] = present.as_slice() else {
        let words = if present.is_empty() {
            "there is no vaccination, test or recovery: a kind that is not known here"
        } else {
            "there are certificates of several kinds, where one is allowed"
        };
        report.fault(Step::Content, words);
        return None;
    };
    match entries(*kind).and_then(Value::as_array).map(Vec::as_slice) {
        Some([entry]) => match fault_of_entry(entry, moment) {
            Some(words) => report.fault(Step::Content, words),
            None => report.ok(Step::Content, format!("one {}", kind.as_str())),
        },
        Some(several) => {
            let count = several.len();
            let words = format!("there are {count} entries of one kind, where one is allowed");
            report.fault(Step::Content, words);
        }
        None => report.fault(Step::Content, "the entries are no list"),
    }
    Some(*kind)
}

/// Fault of an entry that fits the schema and is no proof all the same: a test with another result
/// than "not detected", or a sample that will be taken only after the check.
fn fault_of_entry(entry: &Value, moment: DateTime<Utc>) -> Option<&'static str> {
    let member = |name: &str| entry.get(name).and_then(Value::as_str);
    if member("tr") == Some(DETECTED) {
        return Some("the result of the test is none that a certificate is given for");
    }
    let sampled = member("sc").and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    if sampled.is_some_and(|sampled| sampled > moment) {
        return Some("the sample of the test is taken later than the time of the check");
    }
    None
}

/// Notes the step "key-usage".
fn check_key_usage(signer: Option<&SignerCertificate>, kind: Option<Kind>, report: &mut Report) {
    let Some(kind) = kind else {
        report.not_checked(Step::KeyUsage, "the kind is not known");
        return;
    };
    let Some(signer) = signer else {
        report.not_checked(Step::KeyUsage, "the signer's certificate is not known");
        return;
    };
    let permitted = signer.kinds_in_words();
    if signer.permits(kind) {
        report.ok(
            Step::KeyUsage,
            format!("the certificate permits {permitted}"),
        );
    } else {
        let kind = kind.as_str();
        let words = format!("the signer's certificate permits {permitted}, but this is a {kind}");
        report.fault(Step::KeyUsage, words);
    }
}

/// Notes the step "schema", by the version that the certificate names.
fn check_schema(certificate: &Value, report: &mut Report) {
    let faults = match schema::version_of(certificate) {
        Ok(version) => schema::faults(certificate, version, Formats::Checked),
        Err(fault) => vec![fault],
    };
    if faults.is_empty() {
        let version = certificate.get("ver").and_then(Value::as_str);
        report.ok(Step::Schema, format!("DCC {}", version.unwrap_or_default()));
    }
    for fault in faults {
        report.fault(Step::Schema, fault);
    }
}
