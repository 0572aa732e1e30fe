//! A test vector file and its fields.
//!
//! Files of many authors differ from the published form. What can be read beyond doubt is read:
//! names in another case, a certificate as text within the JSON, base64 where hexadecimal digits
//! are wanted, truth values as text.

use serde_json::{Map, Value};
use thiserror::Error;

use super::clock;
use crate::hcert::base64_text;
use crate::hcert::certificate::SignerCertificate;

/// Member with the expected results, which makes a JSON object a test vector.
const EXPECTED_RESULTS: &str = "EXPECTEDRESULTS";
/// Member with what the vector says of itself.
const CONTEXT: &str = "TESTCTX";

/// Reason why a file is no test vector.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum VectorFault {
    /// The text is no JSON.
    #[error("this is no JSON: line {line}, column {column}")]
    NoJson {
        /// Line of the fault, from 1 on.
        line: usize,
        /// Column of the fault, from 1 on.
        column: usize,
    },
    /// The JSON is something else than a vector.
    #[error("this is no test vector: EXPECTEDRESULTS is missing")]
    Other,
    /// The expected results are no object.
    #[error("this is no test vector: EXPECTEDRESULTS is no object")]
    ResultsUnreadable,
}

/// Test vector as it stands in its file.
pub(crate) struct Vector {
    members: Map<String, Value>,
    context: Map<String, Value>,
    expected: Map<String, Value>,
    json: Option<Value>,
}

impl Vector {
    /// Reads a file's text.
    pub(crate) fn read(text: &str) -> Result<Self, VectorFault> {
        let value: Value = serde_json::from_str(text).map_err(|error| VectorFault::NoJson {
            line: error.line(),
            column: error.column(),
        })?;
        let Value::Object(members) = value else {
            return Err(VectorFault::Other);
        };
        let mut members = upper_case(members);
        let expected = match members.remove(EXPECTED_RESULTS) {
            None => return Err(VectorFault::Other),
            Some(Value::Object(expected)) => upper_case(expected),
            Some(_) => return Err(VectorFault::ResultsUnreadable),
        };
        let context = match members.remove(CONTEXT) {
            Some(Value::Object(context)) => upper_case(context),
            _ => Map::new(),
        };
        let json = members.remove("JSON").and_then(certificate);
        Ok(Self {
            members,
            context,
            expected,
            json,
        })
    }

    /// Description that the vector gives of itself.
    pub(crate) fn description(&self) -> &str {
        let text = self.context.get("DESCRIPTION").and_then(Value::as_str);
        text.unwrap_or("(no description)")
    }

    /// Expected result of a name, if it is set.
    pub(crate) fn expected(&self, name: &str) -> Option<bool> {
        match self.expected.get(name)? {
            Value::Bool(expected) => Some(*expected),
            Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
            _ => None,
        }
    }

    /// Names of expected results, in the order of the alphabet.
    pub(crate) fn expected_names(&self) -> impl Iterator<Item = &str> {
        self.expected.keys().map(String::as_str)
    }

    /// The health certificate that the vector was made of.
    pub(crate) fn json(&self) -> Option<&Value> {
        self.json.as_ref()
    }

    /// Text of a member, unless it is missing or empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let text = self.members.get(name)?.as_str()?;
        (!text.is_empty()).then_some(text)
    }

    /// Bytes of a member in hexadecimal digits, or in base64, which some vectors have. `None` if it
    /// is missing, an error if it is neither.
    pub(crate) fn bytes(&self, name: &str) -> Option<Result<Vec<u8>, String>> {
        let text = self.text(name)?;
        let digits: String = text.split_whitespace().collect();
        let bytes = hex::decode(digits)
            .ok()
            .or_else(|| base64_text::decode(text));
        Some(bytes.ok_or_else(|| format!("{name} is neither in hexadecimal digits nor in base64")))
    }

    /// The picture.
    pub(crate) fn picture(&self) -> Option<Result<Vec<u8>, String>> {
        let text = self.text("2DCODE")?;
        // A data URL has its kind before the data.
        let text = text.rsplit_once("base64,").map_or(text, |(_, data)| data);
        Some(base64_text::decode(text).ok_or_else(|| "2DCODE is not in base64".to_owned()))
    }

    /// Certificates of the signer, at least one; usually there is only one.
    pub(crate) fn signers(&self) -> Option<Result<Vec<SignerCertificate>, String>> {
        let text = self.context.get("CERTIFICATE")?.as_str()?;
        if text.trim().is_empty() {
            return None;
        }
        let read = SignerCertificate::all_of(text.as_bytes());
        Some(read.map_err(|fault| format!("TESTCTX.CERTIFICATE: {fault}")))
    }

    /// Version of the schema that the context names.
    pub(crate) fn schema(&self) -> Option<&str> {
        self.context.get("SCHEMA")?.as_str().map(str::trim)
    }

    /// Time of the check, if the context has one.
    pub(crate) fn clock(&self) -> Option<Result<clock::Moment, String>> {
        let clock = self.context.get("VALIDATIONCLOCK")?;
        if clock.is_null() || clock.as_str().is_some_and(|text| text.trim().is_empty()) {
            return None;
        }
        Some(clock::read(clock).ok_or_else(|| "TESTCTX.VALIDATIONCLOCK is no time".to_owned()))
    }
}

/// Members by their names in capital letters. Of two that differ in case only, the one whose name
/// is in capital letters already counts.
fn upper_case(members: Map<String, Value>) -> Map<String, Value> {
    let mut named = Map::new();
    for (name, value) in members {
        let upper = name.trim().to_ascii_uppercase();
        if upper == name || !named.contains_key(&upper) {
            named.insert(upper, value);
        }
    }
    named
}

/// The health certificate of the member JSON, which some vectors have as a text. `None` for `null`.
fn certificate(json: Value) -> Option<Value> {
    let parsed = json
        .as_str()
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .filter(Value::is_object);
    parsed.or(Some(json)).filter(|json| !json.is_null())
}
