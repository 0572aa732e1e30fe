//! Claims of a certificate: a CBOR Web Token (RFC 8392) with the health certificate in claim -260.

use chrono::{DateTime, Utc};
use ciborium::Value;

use super::cbor::{self, entry};
use super::moments::{moment, shown};
use super::report::{Report, Step};

/// Claim "issuer" (RFC 8392, section 3.1.1).
const ISSUER: i64 = 1;
/// Claim "expiration time" (RFC 8392, section 3.1.4).
const EXPIRY: i64 = 4;
/// Claim "not before" (RFC 8392, section 3.1.5).
const NOT_BEFORE: i64 = 5;
/// Claim "issued at" (RFC 8392, section 3.1.6).
const ISSUED_AT: i64 = 6;
/// Claim "health certificate" (hCert specification, section 3.3.1).
const HEALTH_CERTIFICATE: i64 = -260;
/// Key of a DCC in the map of the claim -260.
const DCC: i64 = 1;

/// Claims that were read.
#[derive(Debug, Clone)]
pub(crate) struct Claims {
    issued_at: Option<DateTime<Utc>>,
    not_before: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    /// Health certificate, as it stands in CBOR.
    pub(crate) certificate: Option<Value>,
}

impl Claims {
    /// Time of issue.
    pub(crate) fn issued_at(&self) -> Option<DateTime<Utc>> {
        self.issued_at
    }

    /// Notes the step "clock": the time of the check is not before the issue and before the expiry.
    pub(crate) fn check_clock(&self, now: DateTime<Utc>, report: &mut Report) {
        let (Some(issued_at), Some(expires_at)) = (self.issued_at, self.expires_at) else {
            report.not_checked(Step::Clock, "a time of issue or of expiry is missing");
            return;
        };
        let begins_at = self
            .not_before
            .map_or(issued_at, |begin| begin.max(issued_at));
        if now < begins_at {
            report.fault(
                Step::Clock,
                format!(
                    "at {} it is not valid yet: from {}",
                    shown(now),
                    shown(begins_at)
                ),
            );
        } else if now >= expires_at {
            report.fault(
                Step::Clock,
                format!("at {} it has expired: at {}", shown(now), shown(expires_at)),
            );
        } else {
            let words = format!("from {} until {}", shown(begins_at), shown(expires_at));
            report.ok(Step::Clock, words);
        }
    }
}

/// Reads the payload of a message and notes the steps "cbor" and "claims".
pub(crate) fn read(payload: &[u8], report: &mut Report) -> Option<Claims> {
    let item = match cbor::decode(payload) {
        Ok(item) => item,
        Err(fault) => {
            report.fault(Step::Cbor, format!("in the payload: {fault}"));
            return None;
        }
    };
    report.ok(Step::Cbor, "message, headers and claims");
    let Value::Map(claims) = item else {
        report.fault(Step::Claims, "the payload is no map of claims");
        return None;
    };
    let mut faults = Vec::new();
    if entry(&claims, ISSUER).is_some_and(|issuer| !issuer.is_text()) {
        faults.push("claim 1 (issuer) is no text".to_owned());
    }
    let read = Claims {
        issued_at: required_date(&claims, ISSUED_AT, "6 (issued at)", &mut faults),
        not_before: date(&claims, NOT_BEFORE, "5 (not before)", &mut faults),
        expires_at: required_date(&claims, EXPIRY, "4 (expiry)", &mut faults),
        certificate: certificate(&claims, &mut faults),
    };
    if faults.is_empty() {
        report.ok(Step::Claims, "CWT with a health certificate");
    }
    for fault in faults {
        report.fault(Step::Claims, fault);
    }
    Some(read)
}

fn certificate(claims: &[(Value, Value)], faults: &mut Vec<String>) -> Option<Value> {
    let found = match entry(claims, HEALTH_CERTIFICATE) {
        None => Err("claim -260 (health certificate) is missing"),
        Some(Value::Map(kinds)) => match entry(kinds, DCC) {
            None => Err("claim -260 holds a health certificate of an unknown kind"),
            Some(certificate) if certificate.is_map() => Ok(certificate.clone()),
            Some(_) => Err("the health certificate in claim -260 is no map"),
        },
        Some(_) => Err("claim -260 (health certificate) is no map"),
    };
    found.map_err(|words| faults.push(words.to_owned())).ok()
}

fn required_date(
    claims: &[(Value, Value)],
    key: i64,
    name: &str,
    faults: &mut Vec<String>,
) -> Option<DateTime<Utc>> {
    if entry(claims, key).is_none() {
        faults.push(format!("claim {name} is missing"));
    }
    date(claims, key, name, faults)
}

/// Reads a NumericDate: seconds since 1970, as an integer or a floating-point number, without a tag
/// (RFC 8392, section 2).
fn date(
    claims: &[(Value, Value)],
    key: i64,
    name: &str,
    faults: &mut Vec<String>,
) -> Option<DateTime<Utc>> {
    let moment = moment(entry(claims, key)?);
    if moment.is_none() {
        faults.push(format!("claim {name} is no number of seconds since 1970"));
    }
    moment
}
