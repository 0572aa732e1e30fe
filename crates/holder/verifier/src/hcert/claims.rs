//! Claims of a certificate: a CBOR Web Token (RFC 8392) with the health certificate in claim -260.

use chrono::{DateTime, SecondsFormat, Utc};
use ciborium::Value;

use super::cbor::{self, entry};
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

/// Nanoseconds of a second.
const NANOSECONDS: f64 = 1e9;

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

/// Moment as it is shown, in UTC.
pub(crate) fn shown(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
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

/// Moment of a number of seconds since 1970; `None` if the item is no such number.
pub(crate) fn moment(seconds: &Value) -> Option<DateTime<Utc>> {
    match seconds {
        Value::Integer(seconds) => i64::try_from(*seconds)
            .ok()
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        Value::Float(seconds) => from_float(*seconds),
        _ => None,
    }
}

fn from_float(seconds: f64) -> Option<DateTime<Utc>> {
    let whole = seconds.floor();
    let fraction = (seconds - whole) * NANOSECONDS;
    let fraction: u32 = az::checked_cast(fraction)?;
    DateTime::from_timestamp(az::checked_cast(whole)?, fraction)
}

#[cfg(test)]
mod tests {
    use super::from_float;

    #[test]
    fn floats_become_moments_and_what_is_none_does_not() {
        let shown = |seconds: f64| from_float(seconds).map(super::shown);
        assert_eq!(
            shown(1_620_064_800.5).as_deref(),
            Some("2021-05-03T18:00:00Z")
        );
        assert_eq!(shown(-0.5).as_deref(), Some("1969-12-31T23:59:59Z"));
        for none in [f64::NAN, f64::INFINITY, 1e300, -1e300] {
            assert_eq!(shown(none), None);
        }
    }
}
