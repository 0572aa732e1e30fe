//! What a vaccination or a test is about, where a table holds those of many diseases.

use connector_kit::Feed;

use super::facts::Draft;
use super::look::Look;
use super::names::Name;
use super::select::literal;
use super::words;
use crate::catalog::Shape;

impl Draft<'_> {
    /// Names what is about another disease, where the rows say what they are about.
    pub(super) async fn of_disease(&mut self, look: &Look<'_>, code: String) -> String {
        if self.feed == Feed::Recoveries {
            return code;
        }
        let is_text = |shape| shape == Shape::Text;
        let Some(place) = self.find(&words::DISEASE, is_text) else {
            return code;
        };
        let disease = self.select.column(&place.alias, &place.column.name);
        let table = self.select.place_of(&place.alias);
        let from = format!("{} AS x", self.select.typed_table(table));
        let values = look
            .values(
                &format!("x.{}", self.select.typed(&place.column.name)),
                &from,
            )
            .await;
        let covid: Vec<String> = values
            .iter()
            .filter(|(value, _)| mentions_covid(value))
            .map(|(value, _)| literal(value))
            .collect();
        if covid.is_empty() {
            return code;
        }
        self.has_other_disease = true;
        format!(
            "CASE WHEN {disease} NOT IN ({}) THEN {} ELSE {code} END",
            covid.join(", "),
            literal(OTHER_DISEASE)
        )
    }
}

/// Word that the query makes of a fact about another disease.
pub const OTHER_DISEASE: &str = "another disease";

/// True for a word about COVID-19.
pub(super) fn mentions_covid(value: &str) -> bool {
    let joined = Name::new(value).joined;
    let words = [
        "covid", "corona", "korona", "sarscov", "ncov", "kovid", "u071",
    ];
    words.iter().any(|word| joined.contains(word))
}
