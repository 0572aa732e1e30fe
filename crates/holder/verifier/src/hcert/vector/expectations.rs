//! The expectations of a test vector, and what is found for each.
//!
//! The description of the public test data and the public program that checks them define some
//! expectations differently. All definitions are applied; a vector differs only if none gives what
//! it expects.

use std::collections::BTreeMap;

use pass::container::{self, PREFIX};
use serde::Serialize;
use serde_json::Value;

use super::compare::same;
use super::fixed::{Fixed, within};
use crate::hcert::cbor;
use crate::hcert::certificate::Kind;
use crate::hcert::report::{Report, Status, Step};
use crate::hcert::schema::{self, Formats, Version};

/// Outcome of one definition of an expectation: `Ok` if it holds; words in either case.
type Found = Result<String, String>;

/// Definitions of an expectation that could be applied; empty if the vector lacks what they need.
type Definitions = Vec<Found>;

/// Finds what holds of an expectation.
type Finder = fn(&Fixed<'_>) -> Definitions;

/// Expectations by name.
const EXPECTATIONS: [(&str, Finder); 12] = [
    ("EXPECTEDVALIDOBJECT", valid_object),
    ("EXPECTEDSCHEMAVALIDATION", schema_validation),
    ("EXPECTEDENCODE", encode),
    ("EXPECTEDDECODE", decode),
    ("EXPECTEDVERIFY", verify),
    ("EXPECTEDCOMPRESSION", compression),
    ("EXPECTEDKEYUSAGE", key_usage),
    ("EXPECTEDUNPREFIX", unprefix),
    ("EXPECTEDVALIDJSON", valid_json),
    ("EXPECTEDB45DECODE", base45_decode),
    ("EXPECTEDPICTUREDECODE", picture_decode),
    ("EXPECTEDEXPIRATIONCHECK", expiration_check),
];

/// An expectation and what was found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Outcome {
    name: String,
    expected: bool,
    /// True where the expectation holds; `None` if the vector lacks what is needed.
    found: Option<bool>,
    words: String,
}

impl Outcome {
    /// True where the outcome is what was expected.
    pub(super) fn agrees(&self) -> bool {
        self.found == Some(self.expected)
    }

    /// True where the outcome is the contrary of what was expected.
    pub(super) fn differs(&self) -> bool {
        self.found == Some(!self.expected)
    }

    /// Name of an expectation that does not hold.
    pub(super) fn fault(&self) -> Option<&str> {
        (self.found == Some(false)).then_some(self.name.as_str())
    }

    /// Row of the printed table.
    pub(super) fn row(&self) -> [String; 4] {
        let found = self
            .found
            .map_or("not checked".to_owned(), |found| found.to_string());
        [
            self.name.clone(),
            self.expected.to_string(),
            found,
            self.words.clone(),
        ]
    }
}

/// Outcome of each expectation that a vector sets.
pub(super) fn outcomes(fixed: &Fixed<'_>) -> Vec<Outcome> {
    let finders: BTreeMap<&str, Finder> = EXPECTATIONS.into_iter().collect();
    let mut outcomes = Vec::new();
    for name in fixed.vector.expected_names() {
        let Some(expected) = fixed.vector.expected(name) else {
            continue;
        };
        let outcome = match finders.get(name) {
            Some(finder) => outcome(name, expected, &finder(fixed)),
            None => Outcome {
                name: name.to_owned(),
                expected,
                found: None,
                words: "an expectation that is not known here".to_owned(),
            },
        };
        outcomes.push(outcome);
    }
    outcomes
}

/// The first definition that gives what is expected, or else the first one.
fn outcome(name: &str, expected: bool, definitions: &[Found]) -> Outcome {
    let chosen = definitions
        .iter()
        .find(|found| found.is_ok() == expected)
        .or_else(|| definitions.first());
    let words = match chosen {
        None => "the vector lacks what is needed".to_owned(),
        Some(Ok(words) | Err(words)) => words.clone(),
    };
    Outcome {
        name: name.to_owned(),
        expected,
        found: chosen.map(Result::is_ok),
        words,
    }
}

/// The object JSON fits the schema that the context names, or its own version.
fn valid_object(fixed: &Fixed<'_>) -> Definitions {
    let json = fixed.vector.json();
    json.map_or_else(Vec::new, |json| fits_schemas(fixed, json))
}

/// The certificate fits the schema of its own version, or the one that the context names, each with
/// the formats of dates checked and without: the public program leaves them unchecked. A version
/// that is not known is checked by the newest schema, as that program does.
fn fits_schemas(fixed: &Fixed<'_>, certificate: &Value) -> Definitions {
    let own = schema::version_of(certificate);
    let mut definitions = Vec::new();
    if let Err(fault) = &own {
        definitions.push(Err(fault.clone()));
    }
    let named = fixed.vector.schema().and_then(Version::named);
    let mut versions = vec![own.unwrap_or(Version::NEWEST)];
    versions.extend(named.filter(|named| !versions.contains(named)));
    for version in versions {
        for formats in [Formats::Checked, Formats::Unchecked] {
            definitions.push(fits(certificate, version, formats));
        }
    }
    definitions
}

fn fits(certificate: &Value, version: Version, formats: Formats) -> Found {
    let faults = schema::faults(certificate, version, formats);
    if faults.is_empty() {
        Ok("fits the schema".to_owned())
    } else {
        Err(faults.join("; "))
    }
}

/// The health certificate in COSE fits the schema; and it is one only, which can be true.
fn schema_validation(fixed: &Fixed<'_>) -> Definitions {
    if let Some(report) = &fixed.report {
        let mut definitions = vec![
            steps(report, &[Step::Schema]),
            steps(report, &[Step::Schema, Step::Content]),
        ];
        if let Some(certificate) = &fixed.certificate {
            definitions.extend(fits_schemas(fixed, certificate));
        }
        return definitions;
    }
    let certificate = fixed.vector.bytes("CBOR").and_then(Result::ok);
    let certificate = certificate.and_then(|bytes| cbor::decode(&bytes).ok());
    let json = certificate.map(|item| cbor::to_json(&item));
    let certificate = json.as_ref().and_then(within).or(fixed.vector.json());
    certificate.map_or_else(Vec::new, |certificate| fits_schemas(fixed, certificate))
}

/// The object JSON and the member CBOR say the same.
fn encode(fixed: &Fixed<'_>) -> Definitions {
    cbor_and_json(fixed).into_iter().collect()
}

/// CBOR says the same as JSON; COSE the same as CBOR; COSE the same as JSON.
fn decode(fixed: &Fixed<'_>) -> Definitions {
    let cose = fixed.report.as_ref().map(|_| fixed.certificate.as_ref());
    let of_cbor = fixed
        .vector
        .bytes("CBOR")
        .map(|bytes| bytes.and_then(|bytes| item(&bytes)));
    let mut definitions = Vec::new();
    if let (Some(cose), Some(of_cbor)) = (cose, of_cbor) {
        definitions.push(of_cbor.and_then(|of_cbor| match (cose, &fixed.claims) {
            (Some(cose), _) if same(cose, &of_cbor) => Ok("COSE and CBOR say the same".to_owned()),
            (_, Some(claims)) if same(&claims.json, &of_cbor) => {
                Ok("COSE and CBOR have the same claims".to_owned())
            }
            (None, _) => Err("COSE has no health certificate".to_owned()),
            _ => Err("COSE says something else than CBOR".to_owned()),
        }));
    }
    if let (Some(cose), Some(json)) = (cose, fixed.vector.json()) {
        definitions.push(match cose {
            Some(cose) if same(cose, json) => Ok("COSE and JSON say the same".to_owned()),
            Some(_) => Err("COSE says something else than JSON".to_owned()),
            None => Err("COSE has no health certificate".to_owned()),
        });
    }
    definitions.extend(cbor_and_json(fixed));
    definitions
}

/// The signature of COSE is right and made with the key of the context's certificate, which the kid
/// names.
fn verify(fixed: &Fixed<'_>) -> Definitions {
    const STEPS: [Step; 5] = [
        Step::Tag,
        Step::Cose,
        Step::Algorithm,
        Step::Kid,
        Step::Signature,
    ];
    if let Some(Err(fault)) = fixed.vector.signers() {
        return vec![Err(fault)];
    }
    by_signer(fixed, &[&STEPS])
}

/// The certificate permits this kind; and the signature is right. By the public program a
/// certificate that names other usages permits no kind.
fn key_usage(fixed: &Fixed<'_>) -> Definitions {
    if let Some(Err(fault)) = fixed.vector.signers() {
        return vec![Err(fault)];
    }
    let mut definitions = by_signer(
        fixed,
        &[
            &[Step::KeyUsage],
            &[Step::KeyUsage, Step::Kid, Step::Signature],
        ],
    );
    definitions.extend(strict_key_usage(fixed));
    definitions
}

fn strict_key_usage(fixed: &Fixed<'_>) -> Option<Found> {
    let certificate = fixed.certificate.as_ref()?;
    let has = |kind: &Kind| certificate.get(kind.member()).is_some();
    let kind = Kind::ALL.into_iter().find(has)?;
    let signer = fixed.signers.first()?;
    Some(if signer.permits_strictly(kind) {
        Ok(format!("the certificate permits a {}", kind.as_str()))
    } else {
        Err(format!(
            "the certificate names usages, but not that of a {}",
            kind.as_str()
        ))
    })
}

/// The time of the check is from the issue until the expiry; both lie in the validity of the
/// certificate.
fn expiration_check(fixed: &Fixed<'_>) -> Definitions {
    if let Some(Err(fault)) = fixed.vector.clock() {
        return vec![Err(fault)];
    }
    let Some(report) = &fixed.report else {
        return Vec::new();
    };
    let mut definitions = vec![steps(report, &[Step::Clock])];
    if !fixed.signers.is_empty() {
        definitions.push(steps(report, &[Step::Clock, Step::Certificate]));
    }
    definitions.extend(within_signer(fixed));
    definitions
}

/// The order in time that the public program asks for: the signer's certificate begins, the issue,
/// the check, the expiry, the signer's certificate ends; any two may be at the same time.
fn within_signer(fixed: &Fixed<'_>) -> Option<Found> {
    let signer = fixed.signers.first()?;
    let claims = fixed.claims.as_ref()?;
    let order = [
        signer.not_before,
        claims.issued_at?,
        fixed.moment,
        claims.expires_at?,
        signer.not_after,
    ];
    Some(if order.is_sorted() {
        Ok("certificate, issue, check and expiry are in order".to_owned())
    } else {
        Err("certificate, issue, check and expiry are not in order".to_owned())
    })
}

/// COMPRESSED inflates to COSE.
fn compression(fixed: &Fixed<'_>) -> Definitions {
    let (Some(compressed), Some(cose)) =
        (fixed.vector.bytes("COMPRESSED"), fixed.vector.bytes("COSE"))
    else {
        return Vec::new();
    };
    let found = compressed.and_then(|compressed| {
        let inflated = container::inflate(&compressed).map_err(|fault| fault.to_string())?;
        equal(
            &inflated,
            &cose?,
            "COMPRESSED inflates to COSE",
            "COMPRESSED inflates to something else than COSE",
        )
    });
    vec![found]
}

/// PREFIX is `HC1:` and BASE45.
fn unprefix(fixed: &Fixed<'_>) -> Definitions {
    let Some(prefix) = fixed.vector.text("PREFIX") else {
        return Vec::new();
    };
    let Some(rest) = prefix.strip_prefix(PREFIX) else {
        return vec![Err(format!("PREFIX does not begin with {PREFIX}"))];
    };
    let found = match fixed.vector.text("BASE45") {
        Some(base45) if base45 != rest => Err(format!(
            "after {PREFIX} PREFIX is something else than BASE45"
        )),
        _ => Ok(format!("PREFIX begins with {PREFIX}")),
    };
    vec![found]
}

/// BASE45 decodes to COMPRESSED, or to what inflates to COSE.
fn base45_decode(fixed: &Fixed<'_>) -> Definitions {
    let Some(text) = fixed.vector.text("BASE45") else {
        return Vec::new();
    };
    let Ok(bytes) = container::from_base45(text) else {
        return vec![Err("BASE45 is no base45".to_owned())];
    };
    let mut definitions = Vec::new();
    if let Some(compressed) = fixed.vector.bytes("COMPRESSED") {
        definitions.push(compressed.and_then(|compressed| {
            equal(
                &bytes,
                &compressed,
                "BASE45 is COMPRESSED",
                "BASE45 is something else than COMPRESSED",
            )
        }));
    }
    if let Some(cose) = fixed.vector.bytes("COSE") {
        let inflated = container::inflate(&bytes).map_err(|fault| format!("BASE45: {fault}"));
        definitions.push(inflated.and_then(|inflated| {
            equal(
                &inflated,
                &cose?,
                "BASE45 leads to COSE",
                "BASE45 leads to something else than COSE",
            )
        }));
    }
    definitions
}

/// The picture has a QR code that says PREFIX.
fn picture_decode(fixed: &Fixed<'_>) -> Definitions {
    fixed.picture().into_iter().collect()
}

/// CBOR says the same as JSON; and so does what the text of the QR code leads to.
fn valid_json(fixed: &Fixed<'_>) -> Definitions {
    let mut definitions: Definitions = cbor_and_json(fixed).into_iter().collect();
    if let (Some(of_text), Some(json)) = (fixed.of_text(), fixed.vector.json()) {
        definitions.push(of_text.and_then(|certificate| {
            if same(&certificate, json) {
                Ok("the text of the QR code and JSON say the same".to_owned())
            } else {
                Err("the text of the QR code says something else than JSON".to_owned())
            }
        }));
    }
    definitions
}

fn cbor_and_json(fixed: &Fixed<'_>) -> Option<Found> {
    let json = fixed.vector.json()?;
    let of_cbor = fixed.vector.bytes("CBOR")?.and_then(|bytes| item(&bytes));
    Some(of_cbor.and_then(|of_cbor| match within(&of_cbor) {
        Some(certificate) if same(certificate, json) => Ok("CBOR and JSON say the same".to_owned()),
        _ => Err("CBOR says something else than JSON".to_owned()),
    }))
}

fn item(bytes: &[u8]) -> Result<Value, String> {
    let item = cbor::decode(bytes).map_err(|fault| format!("CBOR: {fault}"))?;
    Ok(cbor::to_json(&item))
}

/// Definitions, one for each list of steps, if the vector has a message and a certificate.
fn by_signer(fixed: &Fixed<'_>, lists: &[&[Step]]) -> Definitions {
    let Some(report) = fixed.report.as_ref().filter(|_| !fixed.signers.is_empty()) else {
        return Vec::new();
    };
    lists.iter().map(|list| steps(report, list)).collect()
}

/// Outcome of several steps: ok where all are, with the words of the last; else those of the first
/// that is not, or of the fault that it was not reached for.
fn steps(report: &Report, list: &[Step]) -> Found {
    let not_ok = |step: &Step| {
        let mut findings = report.findings();
        findings.find(|found| found.step == *step && found.status != Status::Ok)
    };
    let last = list.last().and_then(|last| {
        let mut findings = report.findings();
        findings.find(|found| found.step == *last)
    });
    if list.iter().all(|step| report.status(*step) == Status::Ok) {
        return Ok(last.map(|found| found.words.clone()).unwrap_or_default());
    }
    let fault = || {
        let mut findings = report.findings();
        findings.find(|found| found.status == Status::Fault)
    };
    let cause = list.iter().find_map(not_ok).or_else(fault);
    Err(cause.map_or_else(
        || "the step was not reached".to_owned(),
        |cause| format!("{}: {}", cause.step.as_str(), cause.words),
    ))
}

fn equal(left: &[u8], right: &[u8], yes: &str, no: &str) -> Found {
    if left == right {
        Ok(yes.to_owned())
    } else {
        Err(no.to_owned())
    }
}
