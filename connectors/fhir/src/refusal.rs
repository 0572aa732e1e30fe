//! Refusals of the server, put in words: what each HTTP status means for a request.

use std::time::Duration;

use chrono::{DateTime, Utc};
use connector_kit::SourceError;
use reqwest::StatusCode;

/// The longest time for which a server may ask to be left alone.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Kind of request, by which a refusal is put in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The capability statement.
    Metadata,
    /// The first page of a search for a resource type.
    Search(&'static str),
    /// A page of a search for a resource type, to which the server itself linked.
    NextPage(&'static str),
    /// A resource of a type, by its id.
    Read(&'static str),
    /// The beginning of a bulk export.
    ExportKickOff,
    /// The same, with a filter.
    FilteredKickOff,
    /// The status of a bulk export, and its manifest.
    ExportStatus,
    /// A file of a bulk export.
    ExportFile,
    /// The same, of which the server says that it needs no access token.
    OpenFile,
    /// The same, on one of `export_origins`.
    StoredFile,
}

impl Ask {
    /// Words for what is asked for.
    const fn target(self) -> &'static str {
        match self {
            Self::Metadata => "its capability statement",
            Self::Search(resource) | Self::Read(resource) => resource,
            Self::NextPage(_) => "the next page",
            Self::ExportKickOff | Self::FilteredKickOff => "a bulk export",
            Self::ExportStatus => "the status of the bulk export",
            Self::ExportFile | Self::OpenFile | Self::StoredFile => "a file of the bulk export",
        }
    }

    /// True for the beginning of an export.
    pub(crate) const fn is_kick_off(self) -> bool {
        matches!(self, Self::ExportKickOff | Self::FilteredKickOff)
    }

    /// True for the status of an export, and for its files.
    const fn is_of_export(self) -> bool {
        matches!(
            self,
            Self::ExportStatus | Self::ExportFile | Self::OpenFile | Self::StoredFile
        )
    }

    /// True for a request that the server may answer later (202).
    pub(crate) const fn may_be_later(self) -> bool {
        self.is_kick_off() || matches!(self, Self::ExportStatus)
    }

    /// True for a page link that the server no longer knows.
    pub(crate) const fn is_expired(self, refused: &HttpRefusal) -> bool {
        matches!(self, Self::NextPage(_)) && matches!(refused.status, Some(400 | 404 | 410))
    }

    /// Type of the resources asked for; empty for the answers of an export, which are none of FHIR.
    pub(crate) const fn resource_type(self) -> &'static str {
        match self {
            Self::Metadata => "CapabilityStatement",
            Self::ExportKickOff
            | Self::FilteredKickOff
            | Self::ExportStatus
            | Self::ExportFile
            | Self::OpenFile
            | Self::StoredFile => "",
            Self::Search(resource) | Self::NextPage(resource) | Self::Read(resource) => resource,
        }
    }
}

/// A refusal: its status code and what to say about it.
pub(crate) struct HttpRefusal {
    /// The HTTP status; `None` where there was no answer.
    pub status: Option<u16>,
    /// True for a failure that may pass within moments, so that the same request is worth another
    /// try at once.
    pub is_brief: bool,
    /// The error to report.
    pub error: SourceError,
}

impl HttpRefusal {
    /// True where the address says that there is no such resource, or no longer.
    pub(crate) const fn is_gone(&self) -> bool {
        matches!(self.status, Some(404 | 410))
    }

    /// True where another address of the same file may help: signed ones expire.
    pub(crate) const fn is_of_address(&self) -> bool {
        matches!(self.status, Some(400 | 401 | 403 | 404 | 410))
    }

    /// True where the server does not take a parameter of a search.
    pub(crate) const fn is_of_parameter(&self) -> bool {
        matches!(self.status, Some(400 | 422))
    }

    /// True where the server does not answer this kind of request at all.
    pub(crate) const fn is_unsupported(&self) -> bool {
        matches!(self.status, Some(400 | 405 | 422 | 501))
    }
}

impl From<SourceError> for HttpRefusal {
    fn from(error: SourceError) -> Self {
        Self {
            status: None,
            is_brief: false,
            error,
        }
    }
}

impl From<HttpRefusal> for SourceError {
    fn from(refusal: HttpRefusal) -> Self {
        refusal.error
    }
}

/// Error for a status other than 200. `words` is what the server's OperationOutcome says.
pub(crate) fn error_of_status(
    status: StatusCode,
    ask: Ask,
    after: Option<Duration>,
    words: Option<&str>,
) -> SourceError {
    let code = status.as_u16();
    let said = words
        .map(|words| format!(" (it says: {words})"))
        .unwrap_or_default();
    let target = ask.target();
    let server = if ask == Ask::StoredFile {
        "the store of the export's files"
    } else {
        "the FHIR server"
    };
    let wrong = |what: &str, help: &str| SourceError::misconfigured(format!("{what}{said}"), help);
    match code {
        400 | 422 | 501 if ask == Ask::FilteredKickOff => wrong(
            &format!(
                "the FHIR server does not begin the bulk export that first_load and export_filter \
                 ask for ({code})"
            ),
            "it may not take a filter by codes (_typeFilter): write export_filter = \"none\"; else \
             see what check says of its exports",
        ),
        400 | 404 | 405 | 410 | 422 | 501 if ask.is_kick_off() => wrong(
            &format!(
                "the FHIR server does not begin the bulk export that first_load asks for ({code})"
            ),
            "see what check says of its exports; write the kind of export that it has, or \
             first_load = \"search\"",
        ),
        408 | 429 => SourceError::Retry {
            what: format!("{server} is busy ({code}){said}"),
            after,
        },
        500.. => SourceError::Retry {
            what: format!("{server} failed ({code}){said}"),
            after,
        },
        400 | 401 | 403 if ask == Ask::StoredFile => wrong(
            &format!(
                "the store of the export's files refuses one of them ({code}), by an address that \
                 the FHIR server has just given"
            ),
            "see whether its addresses hold for some minutes and its clock is right, and whether \
             it wants a login: none is ever sent there",
        ),
        401 if ask == Ask::OpenFile => wrong(
            "the FHIR server says that the files of its bulk export need no access token \
             (requiresAccessToken is false), and refuses one without it (401)",
            "have the manifest say that they need it; or write first_load = \"search\"",
        ),
        401 => wrong(
            "the FHIR server refuses the credentials (401)",
            "check auth and what it points to",
        ),
        403 => wrong(
            &format!("the FHIR account may not read {target} (403)"),
            "give the account the right to read it, or leave that feed out of feeds",
        ),
        400 | 404 | 410 if matches!(ask, Ask::NextPage(_)) => SourceError::retry(format!(
            "the FHIR server no longer knows the next page it linked to ({code}){said}; the next \
             run starts again"
        )),
        404 | 410 if ask.is_of_export() => SourceError::retry(format!(
            "the FHIR server no longer has {target} ({code}){said}"
        )),
        404 | 410 => wrong(
            &format!("there is no FHIR server at base_url, or it has no {target} ({code})"),
            "set base_url to the FHIR base address, the part before /Patient",
        ),
        406 | 415 => wrong(
            &format!("the FHIR server does not speak JSON ({code})"),
            "enable application/fhir+json there",
        ),
        300..400 => wrong(
            &format!("the FHIR server answers with a redirect that leads nowhere ({code})"),
            "correct base_url",
        ),
        _ => wrong(
            &format!("the FHIR server refuses the request for {target} ({code})"),
            "compare the server's search parameters with this source's settings",
        ),
    }
}

/// Time to wait by a Retry-After header (RFC 9110 section 10.2.3): seconds, or a date, which is
/// compared with the server's own clock.
pub(crate) fn retry_after(text: &str, server_now: DateTime<Utc>) -> Option<Duration> {
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        (http_date(text)? - server_now).to_std().unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// A date in any of the three forms that a recipient has to accept (RFC 9110 section 5.6.7), or in
/// the looser form of mails (RFC 5322 section 3.3), which some servers write: without a date the
/// gateway's own clock would have to stand for the server's.
pub(crate) fn http_date(text: &str) -> Option<DateTime<Utc>> {
    let strict = httpdate::parse_http_date(text).ok().map(DateTime::from);
    strict.or_else(|| Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn retry_after_is_read_in_every_form_and_bounded() {
        let now = at("1994-11-06T08:49:07Z");
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(
                retry_after(date, now),
                Some(Duration::from_secs(30)),
                "{date}"
            );
        }
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now),
            Some(Duration::ZERO),
            "in the past"
        );
        assert_eq!(
            retry_after("99999999999999999999999", now),
            Some(MAX_RETRY_AFTER)
        );
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("", now), None);
    }

    #[test]
    fn a_status_is_worth_another_try_or_a_person() {
        let refused =
            |code, ask| error_of_status(StatusCode::from_u16(code).unwrap(), ask, None, None);
        let search = Ask::Search("Condition");
        for code in [408, 429, 500, 502, 503, 504] {
            assert!(
                matches!(refused(code, search), SourceError::Retry { .. }),
                "{code}"
            );
        }
        for code in [304, 400, 401, 403, 404, 406, 410, 422] {
            assert!(
                matches!(refused(code, search), SourceError::Misconfigured { .. }),
                "{code}"
            );
        }
        for code in [400, 404, 410] {
            assert!(
                matches!(
                    refused(code, Ask::NextPage("Condition")),
                    SourceError::Retry { .. }
                ),
                "an expired page: {code}"
            );
        }
        assert!(refused(403, search).to_string().contains("Condition"));
    }
}
