//! A test vector file and its fields.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde_json::{Map, Value};

use crate::hcert::certificate::SignerCertificate;

/// Forms of a validation clock without a zone, which is read as UTC.
const LOCAL_TIMES: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
/// Forms of a validation clock with a zone that RFC 3339 does not have.
const ZONED_TIMES: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"];

/// Test vector as it stands in its file.
pub(crate) struct Vector {
    members: Map<String, Value>,
}

impl Vector {
    /// Reads a file's text.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            format!(
                "this is no JSON: line {}, column {}",
                error.line(),
                error.column()
            )
        })?;
        let Value::Object(members) = value else {
            return Err("this is no test vector: the JSON is no object".to_owned());
        };
        if !members.get("EXPECTEDRESULTS").is_some_and(Value::is_object) {
            return Err("this is no test vector: EXPECTEDRESULTS is missing".to_owned());
        }
        Ok(Self { members })
    }

    /// Description that the vector gives of itself.
    pub(crate) fn description(&self) -> &str {
        let text = self.context("DESCRIPTION").and_then(Value::as_str);
        text.unwrap_or("(no description)")
    }

    /// Expected result of a name, if it is set.
    pub(crate) fn expected(&self, name: &str) -> Option<bool> {
        self.members.get("EXPECTEDRESULTS")?.get(name)?.as_bool()
    }

    /// Names of expected results that are set, in the file's order.
    pub(crate) fn expected_names(&self) -> impl Iterator<Item = &str> {
        let members = self
            .members
            .get("EXPECTEDRESULTS")
            .and_then(Value::as_object);
        members.into_iter().flat_map(Map::keys).map(String::as_str)
    }

    /// The health certificate that the vector was made of.
    pub(crate) fn json(&self) -> Option<&Value> {
        self.members.get("JSON").filter(|value| !value.is_null())
    }

    /// Text of a member, unless it is missing or empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let text = self.members.get(name)?.as_str()?;
        (!text.is_empty()).then_some(text)
    }

    /// Bytes of a member in hexadecimal digits. `None` if it is missing, an error if it is none.
    pub(crate) fn bytes(&self, name: &str) -> Option<Result<Vec<u8>, String>> {
        let text = self.text(name)?.trim();
        Some(hex::decode(text).map_err(|_| format!("{name} is not in hexadecimal digits")))
    }

    /// The picture.
    pub(crate) fn picture(&self) -> Option<Result<Vec<u8>, String>> {
        let text: String = self.text("2DCODE")?.split_whitespace().collect();
        let text = text
            .rsplit_once("base64,")
            .map_or(text.as_str(), |(_, data)| data);
        Some(
            STANDARD
                .decode(text)
                .map_err(|_| "2DCODE is not in base64".to_owned()),
        )
    }

    /// Certificate of the signer.
    pub(crate) fn signer(&self) -> Option<Result<SignerCertificate, String>> {
        let text = self.context("CERTIFICATE")?.as_str()?;
        if text.trim().is_empty() {
            return None;
        }
        let read = SignerCertificate::all_of(text.as_bytes());
        let first = read.map(|certificates| certificates.into_iter().next());
        match first {
            Ok(first) => first.map(Ok),
            Err(fault) => Some(Err(format!("TESTCTX.CERTIFICATE: {fault}"))),
        }
    }

    /// Version of the schema that the context names.
    pub(crate) fn schema(&self) -> Option<&str> {
        self.context("SCHEMA")?.as_str()
    }

    /// Time of the check, if the context has one.
    pub(crate) fn clock(&self) -> Option<Result<DateTime<Utc>, String>> {
        let text = self.context("VALIDATIONCLOCK")?.as_str()?.trim();
        if text.is_empty() {
            return None;
        }
        Some(moment(text).ok_or_else(|| "TESTCTX.VALIDATIONCLOCK is no time".to_owned()))
    }

    fn context(&self, name: &str) -> Option<&Value> {
        self.members.get("TESTCTX")?.get(name)
    }
}

/// Moment in one of the forms of ISO 8601 that test vectors have.
pub(super) fn moment(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.to_utc());
    }
    let zoned = |form: &&str| DateTime::parse_from_str(text, form).ok();
    if let Some(moment) = ZONED_TIMES.iter().find_map(zoned) {
        return Some(moment.to_utc());
    }
    let local = |form: &&str| NaiveDateTime::parse_from_str(text, form).ok();
    let local = LOCAL_TIMES.iter().find_map(local).or_else(|| {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(date.and_time(NaiveTime::MIN))
    });
    local.map(|local| local.and_utc())
}
