//! Parts of a vector that several expectations need, computed once.

use chrono::{DateTime, Utc};
use ciborium::Value as Cbor;
use pass::container;
use serde_json::Value;

use super::file::Vector;
use crate::hcert::cbor;
use crate::hcert::certificate::SignerCertificate;
use crate::hcert::check;
use crate::hcert::moments;
use crate::hcert::report::{Report, Step};
use crate::hcert::unwrap;
use crate::input;

/// Claim "health certificate" as a member of the likeness in JSON.
const HEALTH_CERTIFICATE: &str = "-260";
/// Claim "expiration time" (RFC 8392, section 3.1.4).
const EXPIRY: i64 = 4;
/// Claim "issued at" (RFC 8392, section 3.1.6).
const ISSUED_AT: i64 = 6;

/// A vector's signed message, checked, and the parts of the vector that several expectations need.
pub(super) struct Fixed<'a> {
    /// The vector.
    pub(super) vector: &'a Vector,
    /// Time of the check.
    pub(super) moment: DateTime<Utc>,
    /// Certificates of the signer that could be read.
    pub(super) signers: Vec<SignerCertificate>,
    /// Texts of the QR codes in the picture, or words of its fault; `None` without a picture.
    picture: Option<Result<Vec<String>, String>>,
    /// Findings about the signed message, or about the way to it where that ends before; `None` if
    /// the vector has neither message nor text.
    pub(super) report: Option<Report>,
    /// Health certificate in the signed message.
    pub(super) certificate: Option<Value>,
    /// Claims of the signed message.
    pub(super) claims: Option<Claims>,
    /// Findings about the whole way from the picture or the text on.
    pub(super) way: Report,
}

/// Claims of a signed message, read without a check.
pub(super) struct Claims {
    /// Likeness in JSON.
    pub(super) json: Value,
    /// Time of issue.
    pub(super) issued_at: Option<DateTime<Utc>>,
    /// Time of expiry.
    pub(super) expires_at: Option<DateTime<Utc>>,
}

impl<'a> Fixed<'a> {
    /// Computes the parts of a vector; `now` counts where it has no clock of its own.
    pub(super) fn new(vector: &'a Vector, now: DateTime<Utc>) -> Self {
        let signers = vector.signers().and_then(Result::ok).unwrap_or_default();
        let moment = vector.clock().and_then(Result::ok).unwrap_or(now);
        let picture = vector
            .picture()
            .map(|png| png.and_then(|png| input::codes(&png).map_err(|fault| fault.to_string())));
        let mut fixed = Self {
            vector,
            moment,
            signers,
            picture,
            report: None,
            certificate: None,
            claims: None,
            way: Report::default(),
        };
        let found = fixed.message();
        fixed.way = fixed.walk(found.as_ref());
        match found {
            Some(Ok(bytes)) => {
                let mut report = Report::default();
                fixed.certificate = check::message(&bytes, &fixed.signers, moment, &mut report);
                fixed.report = Some(report);
                fixed.claims = claims_of(&bytes);
            }
            Some(Err(fault)) => fixed.report = Some(fault),
            None => {}
        }
        fixed
    }

    /// Comparison of the QR code in the picture with PREFIX; `None` if there is no picture.
    pub(super) fn picture(&self) -> Option<Result<String, String>> {
        let texts = match self.picture.as_ref()? {
            Ok(texts) => texts,
            Err(words) => return Some(Err(words.clone())),
        };
        let bare = |text: &str| text.trim_end_matches(['\r', '\n']).to_owned();
        let differs = |prefix: &str| !texts.iter().any(|text| bare(text) == bare(prefix));
        if self.vector.text("PREFIX").is_some_and(differs) {
            return Some(Err("the QR code says something else than PREFIX".to_owned()));
        }
        Some(Ok("the QR code was read".to_owned()))
    }

    /// Health certificate that the text of the QR code leads to.
    pub(super) fn of_text(&self) -> Option<Result<Value, String>> {
        let text = self.text()?;
        let bytes = match container::from_text(text) {
            Ok(bytes) => bytes,
            Err(fault) => return Some(Err(format!("the text of the QR code: {fault}"))),
        };
        let certificate = claims_of(&bytes).and_then(|claims| within(&claims.json).cloned());
        Some(certificate.ok_or_else(|| {
            "the text of the QR code: there is no health certificate in it".to_owned()
        }))
    }

    /// Text of the QR code: PREFIX, or where it is missing what the picture says.
    fn text(&self) -> Option<&str> {
        self.vector.text("PREFIX").or_else(|| {
            let texts = self.picture.as_ref()?.as_ref().ok()?;
            texts.first().map(String::as_str)
        })
    }

    /// Checks the text of the vector as a verifier would, and whether the picture has it.
    fn walk(&self, message: Option<&Result<Vec<u8>, Report>>) -> Report {
        let mut way = match (self.text(), message) {
            (Some(text), _) => check::text(text, &self.signers, self.moment),
            (None, Some(Ok(bytes))) => {
                let mut report = Report::default();
                check::message(bytes, &self.signers, self.moment, &mut report);
                report
            }
            (None, Some(Err(fault))) => fault.clone(),
            (None, None) => Report::default(),
        };
        if let Some(found) = self.picture() {
            match found {
                Ok(words) => way.ok(Step::Qr, words),
                Err(words) => way.fault(Step::Qr, words),
            }
        }
        way
    }

    /// Bytes of the signed message: the member COSE, or what the first of the wrapped forms that is
    /// there leads to; the fault on the way if it leads to none.
    fn message(&self) -> Option<Result<Vec<u8>, Report>> {
        if let Some(bytes) = self.vector.bytes("COSE") {
            // Digits that are none are a message that cannot be read.
            return Some(Ok(bytes.unwrap_or_default()));
        }
        let mut report = Report::default();
        if let Some(compressed) = self.vector.bytes("COMPRESSED") {
            let inflated = compressed.and_then(|compressed| {
                container::inflate(&compressed).map_err(|fault| fault.to_string())
            });
            return Some(inflated.map_err(|words| {
                report.fault(Step::Zlib, words);
                report
            }));
        }
        let bytes = match (self.vector.text("BASE45"), self.text()) {
            (Some(base45), _) => unwrap::without_prefix(base45, &mut report),
            (None, Some(text)) => unwrap::unwrap(text, &mut report),
            (None, None) => return None,
        };
        Some(bytes.ok_or(report))
    }
}

/// Claims of a signed message.
fn claims_of(bytes: &[u8]) -> Option<Claims> {
    let mut item = cbor::decode(bytes).ok()?;
    while let Cbor::Tag(_, inner) = item {
        item = *inner;
    }
    let payload = cbor::decode(item.as_array()?.get(2)?.as_bytes()?).ok()?;
    let moment = |key: i64| moments::moment(cbor::entry(payload.as_map()?, key)?);
    Some(Claims {
        json: cbor::to_json(&payload),
        issued_at: moment(ISSUED_AT),
        expires_at: moment(EXPIRY),
    })
}

/// Health certificate within claims; if they are one already, they themselves.
pub(super) fn within(claims: &Value) -> Option<&Value> {
    match claims.get(HEALTH_CERTIFICATE) {
        Some(kinds) => kinds.get("1"),
        None => Some(claims),
    }
}
