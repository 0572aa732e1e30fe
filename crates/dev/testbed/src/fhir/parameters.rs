//! Search parameters and includes that the server knows.

/// The search parameters of a type, with FHIR's types.
pub(super) fn parameters(kind: &str) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![("_id", "token"), ("_lastUpdated", "date")];
    match kind {
        "Immunization" => {
            all.extend([
                ("vaccine-code", "token"),
                ("status", "token"),
                ("patient", "reference"),
            ]);
        }
        "Observation" => all.extend([
            ("code", "token"),
            ("status", "token"),
            ("patient", "reference"),
        ]),
        "Patient" => all.push(("link", "reference")),
        "Condition" => all.extend([("code", "token"), ("patient", "reference")]),
        _ => {}
    }
    all
}

/// The references that `_include` follows. All of them lead to the patient.
pub(super) fn includes(kind: &str) -> &'static [&'static str] {
    match kind {
        "Immunization" => &["patient"],
        "Observation" | "Condition" => &["patient", "subject"],
        _ => &[],
    }
}
