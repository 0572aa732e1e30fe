//! The CloudEvents 1.0 envelope (JSON event format), with the extension attributes `record`,
//! `version`, `content` and `owner`.

#![cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "fields that always say the same are checked when they are read"
    )
)]

use std::borrow::Cow;

use serde::Deserialize;

use super::fixed::fixed;

fixed! {
    SpecVersion = "1.0";
    Source = "urn:clinic-gateway";
    FactType = "clinic-gateway.fact.v2";
    WithdrawalType = "clinic-gateway.withdrawal.v2";
    FhirJson = "application/fhir+json";
}

/// Event; `T` is its type, `D` its data. No time, no subject: neither may leave a clinic.
#[derive(Debug, Deserialize)]
#[cfg_attr(
    test,
    derive(serde::Serialize, schemars::JsonSchema),
    schemars(rename = "{D}Event")
)]
#[serde(deny_unknown_fields)]
pub(crate) struct Envelope<'a, T, D> {
    /// Always `1.0`.
    pub(crate) specversion: SpecVersion,
    /// `<record>/<version>`: the same record and version always say the same.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{64}/[1-9][0-9]{0,18}$")))]
    pub(crate) id: Cow<'a, str>,
    /// The same for every clinic.
    pub(crate) source: Source,
    /// A fact that holds, or a withdrawal of the record.
    #[serde(rename = "type")]
    pub(crate) event_type: T,
    /// Always `application/fhir+json`.
    pub(crate) datacontenttype: FhirJson,
    /// Keyed digest of the source record: the same for all its versions.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{64}$")))]
    pub(crate) record: Cow<'a, str>,
    /// Version of the record: a number in decimal digits, at most 2^63 - 1; the larger one
    /// holds.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(regex(pattern = r"^[1-9][0-9]{0,18}$")))]
    pub(crate) version: Cow<'a, str>,
    /// Keyed digest of the record and of what the event says: with the same version it is always
    /// the same.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{32}$")))]
    pub(crate) content: Cow<'a, str>,
    /// Secret of the record and of its clinic: the same for all versions of the record.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{32}$")))]
    pub(crate) owner: Cow<'a, str>,
    /// A FHIR R4 resource.
    pub(crate) data: D,
}

/// The type attribute of an event whose kind is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum EventType {
    #[serde(rename = "clinic-gateway.fact.v2")]
    Fact,
    #[serde(rename = "clinic-gateway.withdrawal.v2")]
    Withdrawal,
}
