//! Parts of a vector that several expectations need, computed once.

use chrono::{DateTime, Utc};
use ciborium::Value as Cbor;
use pass::container;
use serde_json::Value;

use super::file::Vector;
use crate::hcert::cbor;
use crate::hcert::certificate::SignerCertificate;
use crate::hcert::check;
use crate::hcert::report::{Report, Step};
use crate::hcert::unwrap;
use crate::input;

/// Claim "health certificate" as a member of the likeness in JSON.
const HEALTH_CERTIFICATE: &str = "-260";

/// A vector's signed message, checked, and the parts of the vector that several expectations need.
pub(super) struct Fixed<'a> {
    /// The vector.
    pub(super) vector: &'a Vector,
    /// Findings about the signed message; `None` if the vector has none.
    pub(super) report: Option<Report>,
    /// Health certificate in the signed message.
    pub(super) certificate: Option<Value>,
    /// Claims of the signed message.
    pub(super) claims: Option<Value>,
    /// Findings about the whole way from the picture or the text on.
    pub(super) way: Report,
    /// Whether the vector has a certificate of the signer that can be read.
    pub(super) has_signer: bool,
}

impl<'a> Fixed<'a> {
    /// Computes the parts of a vector; `now` counts where it has no clock of its own.
    pub(super) fn new(vector: &'a Vector, now: DateTime<Utc>) -> Self {
        let signers: Vec<SignerCertificate> =
            vector.signer().and_then(Result::ok).into_iter().collect();
        let moment = vector.clock().and_then(Result::ok).unwrap_or(now);
        let has_signer = !signers.is_empty();
        let mut fixed = Self {
            vector,
            report: None,
            certificate: None,
            claims: None,
            way: way(vector, &signers, moment),
            has_signer,
        };
        if let Some(bytes) = message(vector) {
            let mut report = Report::default();
            fixed.certificate = check::message(&bytes, &signers, moment, &mut report);
            fixed.report = Some(report);
            fixed.claims = claims(&bytes);
        }
        fixed
    }

    /// Health certificate that the text of the QR code leads to.
    pub(super) fn of_prefix(&self) -> Option<Result<Value, String>> {
        let text = self.vector.text("PREFIX")?;
        let bytes = match container::from_text(text) {
            Ok(bytes) => bytes,
            Err(fault) => return Some(Err(format!("PREFIX: {fault}"))),
        };
        let certificate = claims(&bytes).and_then(|claims| within(&claims).cloned());
        Some(certificate.ok_or_else(|| "PREFIX: no health certificate in it".to_owned()))
    }
}

/// Checks the text of the vector as a verifier would, and whether the picture has it.
fn way(vector: &Vector, signers: &[SignerCertificate], moment: DateTime<Utc>) -> Report {
    let mut way = match (vector.text("PREFIX"), message(vector)) {
        (Some(text), _) => check::text(text, signers, moment),
        (None, Some(bytes)) => {
            let mut report = Report::default();
            check::message(&bytes, signers, moment, &mut report);
            report
        }
        (None, None) => Report::default(),
    };
    if let Some(found) = picture(vector) {
        match found {
            Ok(words) => way.ok(Step::Qr, words),
            Err(words) => way.fault(Step::Qr, words),
        }
    }
    way
}

/// Whether the picture has a QR code that says PREFIX; `None` if there is no picture.
pub(super) fn picture(vector: &Vector) -> Option<Result<String, String>> {
    let read = |png: Vec<u8>| input::codes(&png).map_err(|fault| fault.to_string());
    let texts = match vector.picture()?.and_then(read) {
        Ok(texts) => texts,
        Err(words) => return Some(Err(words)),
    };
    let differs = |prefix: &str| !texts.iter().any(|text| text == prefix);
    if vector.text("PREFIX").is_some_and(differs) {
        return Some(Err("the QR code says something else than PREFIX".to_owned()));
    }
    Some(Ok("the QR code was read".to_owned()))
}

/// Bytes of the signed message: the member COSE, or what one of the wrapped forms leads to.
fn message(vector: &Vector) -> Option<Vec<u8>> {
    if let Some(bytes) = vector.bytes("COSE") {
        // Digits that are none are a message that cannot be read.
        return Some(bytes.unwrap_or_default());
    }
    if let Some(Ok(compressed)) = vector.bytes("COMPRESSED") {
        return container::inflate(&compressed).ok();
    }
    let mut steps = Report::default();
    let text = vector.text("PREFIX").or_else(|| vector.text("BASE45"))?;
    unwrap::unwrap(text, &mut steps)
}

/// Claims of a signed message, in JSON.
fn claims(bytes: &[u8]) -> Option<Value> {
    let mut item = cbor::decode(bytes).ok()?;
    while let Cbor::Tag(_, inner) = item {
        item = *inner;
    }
    let payload = item.as_array()?.get(2)?.as_bytes()?;
    Some(cbor::to_json(&cbor::decode(payload).ok()?))
}

/// Health certificate within claims; if they are one already, they themselves.
pub(super) fn within(claims: &Value) -> Option<&Value> {
    match claims.get(HEALTH_CERTIFICATE) {
        Some(kinds) => kinds.get("1"),
        None => Some(claims),
    }
}
