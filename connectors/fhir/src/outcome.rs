//! An `OperationOutcome` in words: severity, issue type and error codes, never the server's free
//! text.

use crate::model::OperationOutcome;

/// At most this many issues are told.
const MAX_ISSUES: usize = 3;

/// What the server complains about, for a sentence; `None` if the body is no OperationOutcome with
/// issues.
pub(crate) fn words(body: &[u8]) -> Option<String> {
    let head: crate::model::Head = serde_json::from_slice(body).ok()?;
    if head.resource_type != "OperationOutcome" {
        return None;
    }
    let outcome: OperationOutcome = serde_json::from_slice(body).ok()?;
    let told: Vec<String> = outcome
        .issue
        .iter()
        .take(MAX_ISSUES)
        .map(issue_words)
        .collect();
    if told.is_empty() {
        return None;
    }
    let rest = outcome.issue.len().saturating_sub(MAX_ISSUES);
    let more = if rest == 0 {
        String::new()
    } else {
        format!(" and {rest} more")
    };
    Some(format!("{}{more}", told.join(", ")))
}

/// What an OperationOutcome means for the answer it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// The answer stands.
    Remark,
    /// Something is missing; later it may be there.
    Passing,
    /// Something is missing, and will be until a person changes something.
    Lasting,
}

/// The weight of the gravest issue.
pub(crate) fn weight(body: &[u8]) -> Weight {
    let outcome: OperationOutcome = serde_json::from_slice(body).unwrap_or_default();
    outcome
        .issue
        .iter()
        .map(issue_weight)
        .max()
        .unwrap_or(Weight::Remark)
}

/// Whether its issues say no more than that something asked for is not there.
pub(crate) fn only_misses(body: &[u8]) -> bool {
    let outcome: OperationOutcome = serde_json::from_slice(body).unwrap_or_default();
    outcome
        .issue
        .iter()
        .all(|issue| matches!(issue.code.as_deref(), Some("not-found" | "deleted")))
}

fn issue_weight(issue: &crate::model::Issue) -> Weight {
    let is_failure = matches!(issue.severity.as_deref(), Some("error" | "fatal"));
    match issue.code.as_deref().unwrap_or_default() {
        // These say that something was left out, however lightly the server takes it.
        "incomplete" | "timeout" | "throttled" => Weight::Passing,
        "too-costly" => Weight::Lasting,
        _ if !is_failure => Weight::Remark,
        "invalid" | "structure" | "required" | "value" | "invariant" | "security" | "login"
        | "unknown" | "expired" | "forbidden" | "suppressed" | "not-supported" | "not-found"
        | "deleted" | "too-long" | "code-invalid" | "extension" | "business-rule" => {
            Weight::Lasting
        }
        _ => Weight::Passing,
    }
}

fn issue_words(issue: &crate::model::Issue) -> String {
    let severity = match issue.severity.as_deref() {
        Some("fatal") => "fatal",
        Some("error") => "error",
        Some("warning") => "warning",
        Some("information") => "note",
        _ => "issue",
    };
    let what = issue_type(issue.code.as_deref().unwrap_or_default());
    let codes: Vec<&str> = issue
        .details
        .coding
        .iter()
        .filter_map(|coding| coding.code.as_deref().filter(|c| is_plain(c)))
        .collect();
    if codes.is_empty() {
        format!("{severity}: {what}")
    } else {
        format!("{severity}: {what} [{}]", codes.join(", "))
    }
}

/// An error code such as MSG_PARAM_UNKNOWN. Anything that could be a number of a person is not
/// repeated.
fn is_plain(code: &str) -> bool {
    code.len() <= 40
        && code.starts_with(|first: char| first.is_ascii_alphabetic())
        && code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && code.bytes().filter(u8::is_ascii_digit).count() < 6
}

/// FHIR R4 value set `issue-type`, in words.
fn issue_type(code: &str) -> &'static str {
    match code {
        "invalid" => "invalid content",
        "structure" => "a structural fault in the content",
        "required" => "a required element is missing",
        "value" => "a value is not valid",
        "invariant" => "a rule of the profile is broken",
        "security" => "a security problem",
        "login" => "the client has to log in",
        "unknown" => "the user is unknown or may not log in",
        "expired" => "the session or the token has expired",
        "forbidden" => "the user may not do this",
        "suppressed" => "some information was withheld",
        "processing" => "a processing failure",
        "not-supported" => "the interaction, search parameter or resource is not supported",
        "duplicate" => "a duplicate",
        "multiple-matches" => "several matches where one was expected",
        "not-found" => "something referred to was not found",
        "deleted" => "something referred to has been deleted",
        "too-long" => "the content is too long",
        "code-invalid" => "a code or a code system is not known",
        "extension" => "an extension is not accepted",
        "too-costly" => "the request is too costly for the server",
        "business-rule" => "a rule of the server forbids it",
        "conflict" => "an edit conflict",
        "transient" => "a passing problem",
        "lock-error" => "something is locked",
        "no-store" => "the server's storage is not available",
        "exception" => "an unexpected failure inside the server",
        "timeout" => "the server ran out of time",
        "incomplete" => "not all of the data is available",
        "throttled" => "too many requests",
        "informational" => "information",
        _ => "an unnamed problem",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(value: &serde_json::Value) -> Option<String> {
        words(value.to_string().as_bytes())
    }

    #[test]
    fn severity_type_and_codes_are_told_and_free_text_is_not() {
        let told = told(&json!({"resourceType": "OperationOutcome", "issue": [
            {"severity": "error", "code": "not-supported", "diagnostics": "Patient Ivanov 112-233-445 95",
             "details": {"text": "Ivanov", "coding": [{"code": "MSG_PARAM_UNKNOWN"}, {"code": "11223344595"},
                                                      {"code": "A112233445"}, {"code": "two words"}]}},
            {"severity": "warning", "code": "Ivanov"}]}))
        .unwrap();
        assert_eq!(
            told,
            "error: the interaction, search parameter or resource is not supported \
             [MSG_PARAM_UNKNOWN], \
             warning: an unnamed problem"
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        let issues = vec![json!({"severity": "fatal", "code": "exception"}); 5];
        let told = told(&json!({"resourceType": "OperationOutcome", "issue": issues})).unwrap();
        assert!(told.ends_with("and 2 more"), "{told}");
    }

    #[test]
    fn anything_else_has_no_words() {
        assert_eq!(
            told(&json!({"resourceType": "Patient", "issue": [{"code": "invalid"}]})),
            None
        );
        assert_eq!(told(&json!({"resourceType": "OperationOutcome"})), None);
        assert_eq!(words(b"<html>"), None);
    }
}
