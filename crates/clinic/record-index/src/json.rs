//! Lists as parameters of set statements.

/// Writes numbers or places as a JSON array, for SQLite's `json_each`.
pub(crate) fn json(values: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(values).expect("numbers always have a JSON form")
}
