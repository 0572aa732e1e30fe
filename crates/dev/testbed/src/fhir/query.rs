//! Search parameters as FHIR writes them: percent-encoding, dates with prefixes, tokens.

use super::answer::RequestProblem;
use chrono::{DateTime, Days, Months, NaiveDate, TimeDelta, TimeZone, Utc};
use serde_json::Value;

pub(super) type Params = Vec<(String, String)>;

/// Splits and decodes a query string; `+` stays itself only when it is percent-encoded (RFC 1866
/// forms).
pub(super) fn parse(query: &str) -> Result<Params, RequestProblem> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, RequestProblem> {
    let wrong = || RequestProblem::new(400, "invalid", "the query is not percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let high = digit(rest.next());
                let low = digit(rest.next());
                let value = high
                    .zip(low)
                    .map(|(high, low)| high * 16 + low)
                    .ok_or_else(wrong)?;
                u8::try_from(value).map_err(|_| wrong())?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// Encodes a value for a link.
pub(super) fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:,|/".contains(&byte);
    text.bytes()
        .map(|byte| {
            if keep(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// A `_lastUpdated` condition: a comparison with the span of time that the value's precision
/// covers (FHIR R4, search, "date").
pub(super) struct DateTest {
    prefix: Prefix,
    low: DateTime<Utc>,
    /// End of the span, not in it.
    high: DateTime<Utc>,
}

#[derive(Clone, Copy)]
enum Prefix {
    Eq,
    Ge,
    Gt,
    Le,
    Lt,
}

impl DateTest {
    pub(super) fn parse(text: &str) -> Result<Self, RequestProblem> {
        let known = [
            ("eq", Prefix::Eq),
            ("ge", Prefix::Ge),
            ("gt", Prefix::Gt),
            ("le", Prefix::Le),
            ("lt", Prefix::Lt),
        ];
        let found = known
            .iter()
            .find_map(|(name, prefix)| Some((*prefix, text.strip_prefix(name)?)));
        let (prefix, value) = found.unwrap_or((Prefix::Eq, text));
        let (low, high) = span(value).ok_or_else(|| {
            RequestProblem::new(
                400,
                "value",
                "_lastUpdated takes eq, ge, gt, le or lt and a date or an instant with a zone",
            )
        })?;
        Ok(Self { prefix, low, high })
    }

    pub(super) fn matches(&self, instant: DateTime<Utc>) -> bool {
        match self.prefix {
            Prefix::Eq => self.low <= instant && instant < self.high,
            Prefix::Ge => instant >= self.low,
            Prefix::Gt => instant >= self.high,
            Prefix::Le => instant < self.high,
            Prefix::Lt => instant < self.low,
        }
    }
}

/// Year, month, day, or an instant to the second or finer.
fn span(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        let low = instant.to_utc();
        let digits = text.split_once('.').map_or(0, |(_, rest)| {
            rest.bytes().take_while(u8::is_ascii_digit).count()
        });
        let width = 1_000_000_000 / 10_i64.pow(u32::try_from(digits).ok()?.min(9));
        return Some((low, low + TimeDelta::nanoseconds(width)));
    }
    let midnight = |date: NaiveDate| Some(Utc.from_utc_datetime(&date.and_hms_opt(0, 0, 0)?));
    let day = |text: &str| text.parse::<NaiveDate>().ok();
    let (low, high) = match text.len() {
        4 => day(&format!("{text}-01-01"))
            .map(|date| (date, date.checked_add_months(Months::new(12)))),
        7 => day(&format!("{text}-01")).map(|date| (date, date.checked_add_months(Months::new(1)))),
        _ => day(text).map(|date| (date, date.checked_add_days(Days::new(1)))),
    }?;
    Some((midnight(low)?, midnight(high?)?))
}

/// Returns whether a CodeableConcept has one of the codings in a token list: `system|code`,
/// `|code` (no system), `system|` (any code of it) or `code` (of any system), separated by commas.
pub(super) fn has_coding(concept: &Value, tokens: &str) -> bool {
    let codings = concept["coding"].as_array().map_or(&[][..], Vec::as_slice);
    tokens.split(',').any(|token| {
        codings.iter().any(|coding| {
            let system = coding["system"].as_str().unwrap_or("");
            let code = coding["code"].as_str().unwrap_or("");
            match token.split_once('|') {
                Some((wanted, "")) => system == wanted,
                Some((wanted, wanted_code)) => system == wanted && code == wanted_code,
                None => code == token,
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(test: &str, instant: &str) -> bool {
        DateTest::parse(test)
            .unwrap()
            .matches(instant.parse().unwrap())
    }

    #[test]
    fn dates_cover_their_whole_precision() {
        assert!(matches("ge2021-07-01", "2021-07-01T00:00:00Z"));
        assert!(!matches("gt2021-07-01", "2021-07-01T23:59:59.999Z"));
        assert!(matches("gt2021-07-01", "2021-07-02T00:00:00Z"));
        assert!(
            matches("2021-07", "2021-07-31T23:00:00Z")
                && !matches("2021-07", "2021-08-01T00:00:00Z")
        );
        assert!(
            matches("le2021", "2021-12-31T23:59:59Z") && !matches("lt2021", "2021-01-01T00:00:00Z")
        );
        assert!(matches(
            "ge2021-07-01T12:00:00+03:00",
            "2021-07-01T09:00:00Z"
        ));
        assert!(!matches(
            "gt2021-07-01T09:00:00Z",
            "2021-07-01T09:00:00.500Z"
        ));
        assert!(matches(
            "gt2021-07-01T09:00:00.400Z",
            "2021-07-01T09:00:00.500Z"
        ));
        for wrong in [
            "yesterday",
            "ge2021-13",
            "ge2021-07-01T09:00:00",
            "",
            "ge20211",
        ] {
            assert!(DateTest::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_tell_systems_apart() {
        let loinc = json!({"system": "http://loinc.org", "code": "94500-6"});
        let concept = json!({"coding": [loinc, {"code": "local"}]});
        for yes in [
            "http://loinc.org|94500-6",
            "94500-6",
            "http://loinc.org|",
            "|local",
            "x|y,local",
        ] {
            assert!(has_coding(&concept, yes), "{yes}");
        }
        for no in [
            "|94500-6",
            "http://loinc.org|local",
            "http://loinc.org|9450",
            "",
        ] {
            assert!(!has_coding(&concept, no), "{no}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let params =
            parse("code=a%7Cb%2Cc&_lastUpdated=ge2021-07-01T09%3A00%3A00%2B03:00&x+y").unwrap();
        assert_eq!(params[0], ("code".into(), "a|b,c".into()));
        assert_eq!(params[1].1, "ge2021-07-01T09:00:00+03:00");
        assert_eq!(params[2], ("x y".into(), String::new()));
        assert_eq!(parse("a=%4").unwrap_err().status, 400);
        assert_eq!(
            parse(&format!("a={}", encode("ё +&"))).unwrap()[0].1,
            "ё +&"
        );
    }
}
