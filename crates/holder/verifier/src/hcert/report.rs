//! Findings about a certificate, step by step.

use serde::Serialize;

use crate::ending::Ending;

/// Step of opening and checking a certificate, in the order in which they are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// The QR code is found in the picture and read.
    Qr,
    /// The text begins with `HC1:`.
    Prefix,
    /// The rest is base45 (RFC 9285).
    Base45,
    /// The bytes are a zlib stream (RFC 1950).
    Zlib,
    /// Message, headers and claims are one item of CBOR each (RFC 8949).
    Cbor,
    /// The tags around the signed message are such as are allowed (RFC 9052, section 2; RFC 8392,
    /// section 6).
    Tag,
    /// The message is a `COSE_Sign1` (RFC 9052, section 4.2).
    Cose,
    /// The algorithm is ES256 or PS256.
    Algorithm,
    /// The key identifier is that of a given certificate.
    Kid,
    /// The signer's certificate is valid at the time of the check and was at the time of issue.
    Certificate,
    /// The signature is right.
    Signature,
    /// The claims have the structure of a CWT with a health certificate in it.
    Claims,
    /// The time of the check is not before the issue and before the expiry.
    Clock,
    /// The signer's certificate permits this kind of health certificate.
    KeyUsage,
    /// The health certificate agrees with the schema of its version.
    Schema,
    /// Exactly one vaccination, test or recovery is certified, and it can be true.
    Content,
}

impl Step {
    /// Every step in its order.
    pub(crate) const ALL: [Self; 16] = [
        Self::Qr,
        Self::Prefix,
        Self::Base45,
        Self::Zlib,
        Self::Cbor,
        Self::Tag,
        Self::Cose,
        Self::Algorithm,
        Self::Kid,
        Self::Certificate,
        Self::Signature,
        Self::Claims,
        Self::Clock,
        Self::KeyUsage,
        Self::Schema,
        Self::Content,
    ];

    /// Stable name of the step.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Qr => "qr",
            Self::Prefix => "prefix",
            Self::Base45 => "base45",
            Self::Zlib => "zlib",
            Self::Cbor => "cbor",
            Self::Tag => "tag",
            Self::Cose => "cose",
            Self::Algorithm => "algorithm",
            Self::Kid => "kid",
            Self::Certificate => "certificate",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Clock => "clock",
            Self::KeyUsage => "key-usage",
            Self::Schema => "schema",
            Self::Content => "content",
        }
    }
}

/// Outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    /// Step without a fault.
    Ok,
    /// Step with a fault.
    Fault,
    /// The step could not be done, because an earlier one failed or something was not given.
    NotChecked,
}

impl Status {
    /// Name of the outcome.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fault => "fault",
            Self::NotChecked => "not checked",
        }
    }
}

/// Step and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Step that was done.
    pub(crate) step: Step,
    /// Outcome of the step.
    pub(crate) status: Status,
    /// Finding in words; never a value that says something about the holder.
    pub(crate) words: String,
}

/// Findings about one certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Notes that nothing is wrong in a step.
    pub(crate) fn ok(&mut self, step: Step, words: impl Into<String>) {
        self.add(step, Status::Ok, words.into());
    }

    /// Notes a fault.
    pub(crate) fn fault(&mut self, step: Step, words: impl Into<String>) {
        self.add(step, Status::Fault, words.into());
    }

    /// Notes that a step could not be done.
    pub(crate) fn not_checked(&mut self, step: Step, words: impl Into<String>) {
        self.add(step, Status::NotChecked, words.into());
    }

    /// Findings in the order of the steps; a step that nothing was noted for is missing.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        let of_step = |step: Step| self.findings.iter().filter(move |found| found.step == step);
        Step::ALL.into_iter().flat_map(of_step)
    }

    /// Steps with a fault, in their order; one with several faults comes as often.
    pub(crate) fn faulty(&self) -> impl Iterator<Item = Step> {
        let faults = self
            .findings()
            .filter(|found| found.status == Status::Fault);
        faults.map(|found| found.step)
    }

    /// Outcome of a step: a fault if there is one, else "not checked" if that was noted or nothing
    /// was.
    pub(crate) fn status(&self, step: Step) -> Status {
        let has = |status: Status| {
            let mut of_step = self.findings.iter().filter(|found| found.step == step);
            of_step.any(|found| found.status == status)
        };
        if has(Status::Fault) {
            Status::Fault
        } else if has(Status::Ok) && !has(Status::NotChecked) {
            Status::Ok
        } else {
            Status::NotChecked
        }
    }

    /// Verdict: invalid with any fault; "cannot tell" if a step was not checked; else valid.
    pub(crate) fn ending(&self) -> Ending {
        let has = |status: Status| self.findings.iter().any(|found| found.status == status);
        if has(Status::Fault) {
            Ending::Invalid
        } else if has(Status::NotChecked) || self.findings.is_empty() {
            Ending::CannotTell
        } else {
            Ending::Valid
        }
    }

    fn add(&mut self, step: Step, status: Status, words: String) {
        self.findings.push(Finding {
            step,
            status,
            words,
        });
    }
}
