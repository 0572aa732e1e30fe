//! Bodies of requests: read within limits, and checked without a word of them in any fault.

use std::str::FromStr;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use az::SaturatingAs;
use client_door::BodyError;
use contract::{Pseudonym, Scheme, Subject, Suite};
use pass::holder::{BirthDate, HolderAttributes, Initial};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::{Number, Value};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::limits::MAX_BODY_BYTES;
use super::problem::Problem;
use super::repeats::MAX_IDEMPOTENCY_KEY;

/// Header that tells a repeat of a request from a new one.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Largest whole number of a request.
const MAX_WHOLE: f64 = 65_535.0;

/// Words for a body that has other fields, or values of another type.
const OTHER_FORM: &str = "a field is missing, unknown, there twice, or of another type; \
                          /v1/openapi.json describes the body";

/// Question about a person.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EligibilityRequest {
    /// The person's pseudonyms, under every epoch that is open: at most two of one suite, scheme
    /// and epoch, and one of `snils`.
    #[schema(min_items = 1, max_items = 16)]
    pseudonyms: Vec<GivenPseudonym>,
}

/// Request for strips or a certificate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PassesRequest {
    /// The person's pseudonyms, as for eligibility.
    #[schema(min_items = 1, max_items = 16)]
    pseudonyms: Vec<GivenPseudonym>,
    /// Attributes of the holder that the strips disclose. A certificate discloses the initials, so
    /// for one they are to be chosen from the initials alone.
    holder: Holder,
    /// Kind of passes.
    pub form: Form,
}

/// Kind of passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// Strips of today and of the days ahead.
    Days,
    /// A single strip for paper, of up to seven days.
    Paper,
    /// A certificate of the newest dose, with its number.
    Vaccination,
    /// A certificate of the newest recovery.
    Recovery,
    /// A certificate of the newest test, if it was negative.
    Test,
}

/// Pseudonym of a person, as a portal computes it under the city's key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GivenPseudonym {
    /// Algorithm.
    #[schema(schema_with = suites)]
    suite: String,
    /// Kind of identifier.
    #[schema(schema_with = schemes)]
    scheme: String,
    /// Number of the key.
    #[serde(deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 65535)]
    epoch: u16,
    /// Value, 64 hex characters; of suite `voprf` those of an element of ristretto255.
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    value: String,
}

/// Attributes of the holder that a pass discloses: leave out the others. At least one person in
/// 1000 has to have the combination (problem `rare-holder`), by the table of shares that the crate
/// `pass` has; for whoever has no such combination all are left out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Holder {
    /// Initial of the given name, one Latin capital letter.
    #[serde(default)]
    #[schema(pattern = "^[A-Z]$")]
    given_initial: Option<String>,
    /// Initial of the family name, one Latin capital letter.
    #[serde(default)]
    #[schema(pattern = "^[A-Z]$")]
    family_initial: Option<String>,
    /// Day of birth.
    #[serde(default, deserialize_with = "whole_or_null")]
    #[schema(minimum = 1, maximum = 31)]
    birth_day: Option<u8>,
    /// Month of birth.
    #[serde(default, deserialize_with = "whole_or_null")]
    #[schema(minimum = 1, maximum = 12)]
    birth_month: Option<u8>,
}

fn names(values: impl Iterator<Item = &'static str>) -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.enum_values(Some(values.collect::<Vec<_>>())).build()
}

fn suites() -> Object {
    names(Suite::ALL.into_iter().map(Suite::as_str))
}

fn schemes() -> Object {
    names(Scheme::ALL.into_iter().map(Scheme::as_str))
}

/// Reads a body of JSON.
pub(super) async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next());
    if !media_type.is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Problem::MediaType);
    }
    let read = client_door::read_body(body, MAX_BODY_BYTES).await;
    read.map_err(|error| match error {
        BodyError::TooLarge => Problem::TooLarge,
        BodyError::TooSlow => Problem::TooSlow,
    })
}

/// Makes the body a request.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let value: Value = serde_json::from_slice(body).map_err(|_| Problem::NotJson)?;
    // The deriver of `Deserialize` takes a list of values for an object.
    if !has_objects_in_place(&value) {
        return Err(Problem::Form(OTHER_FORM));
    }
    // From the bytes again: a value does not show that a field is there twice.
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => Problem::Form(OTHER_FORM),
        Category::Syntax | Category::Eof | Category::Io => Problem::NotJson,
    })
}

/// Returns whether objects and lists are where a request has them.
fn has_objects_in_place(body: &Value) -> bool {
    let Some(fields) = body.as_object() else {
        return false;
    };
    fields.iter().all(|(name, value)| match name.as_str() {
        "pseudonyms" => value
            .as_array()
            .is_some_and(|given| given.iter().all(Value::is_object)),
        "holder" => value.is_object(),
        _ => !value.is_array() && !value.is_object(),
    })
}

/// Reads a whole number, which JSON may write as `1` or `1.0`.
fn whole<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    let number = Number::deserialize(deserializer)?;
    let whole = number.as_u64().or_else(|| {
        let number = number.as_f64()?;
        let is_whole = number.fract() == 0.0 && (0.0..=MAX_WHOLE).contains(&number);
        is_whole.then(|| number.saturating_as())
    });
    whole
        .and_then(|whole| T::try_from(whole).ok())
        .ok_or_else(|| D::Error::custom("no such number"))
}

/// Reads a whole number or null.
fn whole_or_null<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    struct Whole<T>(T);
    impl<'de, T: TryFrom<u64>> Deserialize<'de> for Whole<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            whole(deserializer).map(Self)
        }
    }
    let whole = Option::<Whole<T>>::deserialize(deserializer)?;
    Ok(whole.map(|Whole(whole)| whole))
}

/// Header Idempotency-Key.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    let value = value.filter(|value| {
        let length = 1..=MAX_IDEMPOTENCY_KEY;
        length.contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
    });
    value
        .filter(|_| values.next().is_none())
        .ok_or(Problem::IdempotencyKey)
}

impl EligibilityRequest {
    /// Person that is asked about.
    pub(super) fn subject(&self) -> Result<Subject, Problem> {
        subject(&self.pseudonyms)
    }
}

impl PassesRequest {
    /// Person that passes are asked for.
    pub(super) fn subject(&self) -> Result<Subject, Problem> {
        subject(&self.pseudonyms)
    }

    /// Attributes of the holder that are disclosed.
    pub(super) fn holder(&self) -> Result<HolderAttributes, Problem> {
        let holder = &self.holder;
        let birth = BirthDate::new(holder.birth_day, holder.birth_month).map_err(|_| {
            Problem::Form("birth_day is 1 to 31 and birth_month 1 to 12, and their day exists")
        })?;
        let given = initial(holder.given_initial.as_deref())?;
        let family = initial(holder.family_initial.as_deref())?;
        let holder = HolderAttributes::new(given, family, birth);
        // A portal with a fault must not make passes that name somebody.
        if holder.is_permitted() {
            Ok(holder)
        } else {
            Err(Problem::RareHolder)
        }
    }
}

fn initial(text: Option<&str>) -> Result<Option<Initial>, Problem> {
    let initial = text.map(Initial::try_from).transpose();
    initial.map_err(|_| Problem::Form("an initial is one Latin capital letter, A to Z"))
}

fn subject(given: &[GivenPseudonym]) -> Result<Subject, Problem> {
    if !(1..=Subject::MAX).contains(&given.len()) {
        return Err(Problem::Form("a person has 1 to 16 pseudonyms"));
    }
    let pseudonyms = given.iter().map(GivenPseudonym::read);
    let subject = Subject::new(pseudonyms.collect::<Result<_, _>>()?);
    subject.ok_or(Problem::Form(
        "at most two pseudonyms may have the same suite, scheme and epoch, and one of snils",
    ))
}

impl GivenPseudonym {
    fn read(&self) -> Result<Pseudonym, Problem> {
        let mut value = [0; 32];
        hex::decode_to_slice(&self.value, &mut value)
            .map_err(|_| Problem::Form("the value of a pseudonym is 64 hex characters"))?;
        if self.epoch == 0 {
            return Err(Problem::Form("epochs begin at 1"));
        }
        let unknown = "a suite or a scheme is none of those in /v1/openapi.json";
        let pseudonym = Pseudonym {
            scheme: Scheme::from_str(&self.scheme).map_err(|_| Problem::Form(unknown))?,
            suite: Suite::from_str(&self.suite).map_err(|_| Problem::Form(unknown))?,
            epoch: self.epoch,
            value,
        };
        if linking::has_fitting_value(&pseudonym) {
            Ok(pseudonym)
        } else {
            Err(Problem::Form(
                "the value of a pseudonym of suite voprf is an element of ristretto255",
            ))
        }
    }
}
