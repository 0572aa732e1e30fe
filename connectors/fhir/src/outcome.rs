//! An `OperationOutcome` put in words: severity, issue type and error codes, never the server's
//! free text.

use crate::model::OperationOutcome;

/// The most issues that are described.
const MAX_ISSUES: usize = 3;

/// Description of the server's complaint, for a sentence; `None` if the body is no OperationOutcome
/// with issues.
pub(crate) fn describe(body: &[u8]) -> Option<String> {
    let head: crate::model::Head = serde_json::from_slice(body).ok()?;
    if head.resource_type != "OperationOutcome" {
        return None;
    }
    let outcome: OperationOutcome = serde_json::from_slice(body).ok()?;
    let issues: Vec<String> = outcome
        .issue
        .iter()
        .take(MAX_ISSUES)
        .map(describe_issue)
        .collect();
    if issues.is_empty() {
        return None;
    }
    let rest = outcome.issue.len().saturating_sub(MAX_ISSUES);
    let more = if rest == 0 {
        String::new()
    } else {
        format!(" and {rest} more")
    };
    Some(format!("{}{more}", issues.join(", ")))
}

/// Consequence of an OperationOutcome for the answer it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// The answer is whole.
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

/// True if the issues say no more than that something asked for is not there.
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

fn describe_issue(issue: &crate::model::Issue) -> String {
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
        .filter_map(|coding| error_code(coding.code.as_deref()?))
        .collect();
    if codes.is_empty() {
        format!("{severity}: {what}")
    } else {
        format!("{severity}: {what} [{}]", codes.join(", "))
    }
}

/// Error codes of FHIR itself (R4, <http://terminology.hl7.org/CodeSystem/operation-outcome>).
/// Codes of a server's own are not repeated: any word could stand there.
const ERROR_CODES: [&str; 50] = [
    "DELETE_MULTIPLE_MATCHES",
    "MSG_AUTH_REQUIRED",
    "MSG_BAD_FORMAT",
    "MSG_BAD_SYNTAX",
    "MSG_CANT_PARSE_CONTENT",
    "MSG_CANT_PARSE_ROOT",
    "MSG_CREATED",
    "MSG_DATE_FORMAT",
    "MSG_DELETED",
    "MSG_DELETED_DONE",
    "MSG_DELETED_ID",
    "MSG_DUPLICATE_ID",
    "MSG_ERROR_PARSING",
    "MSG_ID_INVALID",
    "MSG_ID_TOO_LONG",
    "MSG_INVALID_ID",
    "MSG_JSON_OBJECT",
    "MSG_LOCAL_FAIL",
    "MSG_NO_EXIST",
    "MSG_NO_MATCH",
    "MSG_NO_MODULE",
    "MSG_NO_SUMMARY",
    "MSG_OP_NOT_ALLOWED",
    "MSG_PARAM_CHAINED",
    "MSG_PARAM_INVALID",
    "MSG_PARAM_MODIFIER_INVALID",
    "MSG_PARAM_NO_REPEAT",
    "MSG_PARAM_UNKNOWN",
    "MSG_RESOURCE_EXAMPLE_PROTECTED",
    "MSG_RESOURCE_ID_FAIL",
    "MSG_RESOURCE_ID_MISMATCH",
    "MSG_RESOURCE_ID_MISSING",
    "MSG_RESOURCE_NOT_ALLOWED",
    "MSG_RESOURCE_REQUIRED",
    "MSG_RESOURCE_TYPE_MISMATCH",
    "MSG_SORT_UNKNOWN",
    "MSG_TRANSACTION_DUPLICATE_ID",
    "MSG_TRANSACTION_MISSING_ID",
    "MSG_UNHANDLED_NODE_TYPE",
    "MSG_UNKNOWN_CONTENT",
    "MSG_UNKNOWN_OPERATION",
    "MSG_UNKNOWN_TYPE",
    "MSG_UPDATED",
    "MSG_VERSION_AWARE",
    "MSG_VERSION_AWARE_CONFLICT",
    "MSG_VERSION_AWARE_URL",
    "MSG_WRONG_NS",
    "SEARCH_MULTIPLE",
    "SEARCH_NONE",
    "UPDATE_MULTIPLE_MATCHES",
];

/// The code as the list has it, if it is on the list.
fn error_code(code: &str) -> Option<&'static str> {
    ERROR_CODES.into_iter().find(|known| *known == code)
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

    fn described(value: &serde_json::Value) -> Option<String> {
        describe(value.to_string().as_bytes())
    }

    #[test]
    fn severity_type_and_codes_are_described_and_free_text_is_not() {
        let codes = [
            "MSG_PARAM_UNKNOWN",
            "11223344595",
            "A112233445",
            "two words",
            "IVANOV_IVAN",
            "MSG_PARAM_UNKNOWN_IVANOV",
            "msg_param_unknown",
        ];
        let coding: Vec<_> = codes.iter().map(|code| json!({"code": code})).collect();
        let outcome = json!({"resourceType": "OperationOutcome", "issue": [
            {"severity": "error", "code": "not-supported",
             "diagnostics": "Patient Ivanov 112-233-445 95",
             "details": {"text": "Ivanov", "coding": coding}},
            {"severity": "warning", "code": "Ivanov"}]});
        assert_eq!(
            described(&outcome).unwrap(),
            "error: the interaction, search parameter or resource is not supported \
             [MSG_PARAM_UNKNOWN], warning: an unnamed problem"
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        let issues = vec![json!({"severity": "fatal", "code": "exception"}); 5];
        let outcome = json!({"resourceType": "OperationOutcome", "issue": issues});
        let text = described(&outcome).unwrap();
        assert!(text.ends_with("and 2 more"), "{text}");
    }

    #[test]
    fn anything_else_has_no_words() {
        assert_eq!(
            described(&json!({"resourceType": "Patient", "issue": [{"code": "invalid"}]})),
            None
        );
        assert_eq!(
            described(&json!({"resourceType": "OperationOutcome"})),
            None
        );
        assert_eq!(describe(b"<html>"), None);
    }
}
