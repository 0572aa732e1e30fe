//! What a query knows of the questions that its rows answer.

/// What stands for a reference into a list.
pub(super) struct Label {
    /// The entry's name.
    pub expression: String,
    /// Where names of entries are looked up: the tables, the entry's key and its name.
    pub from: String,
    pub key: String,
    pub name: String,
}

/// Question that the rows of a query answer.
pub(super) struct Question {
    /// Its column in the query's first table.
    pub column: String,
    pub label: Label,
}

/// Rows beside those of a query that answer other questions of the same group.
pub(super) struct Beside {
    pub group: String,
    pub question: String,
    /// Keys of the other questions, as literals.
    pub keys: Vec<String>,
}
