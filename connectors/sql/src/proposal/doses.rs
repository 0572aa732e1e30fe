//! Which dose a vaccination is, and of how many.

use super::candidates::is_date;
use super::facts::Draft;
use super::look::Look;
use super::names::Name;
use super::{attributes, words};
use crate::catalog::Shape;

impl Draft<'_> {
    pub(super) async fn add_doses(&mut self, look: &Look<'_>) {
        let may_count = |shape| matches!(shape, Shape::Text | Shape::Whole | Shape::Number);
        for (name, words) in [
            ("dose_number", &words::DOSE),
            ("series_doses", &words::SERIES),
        ] {
            if let Some(place) = self.find(words, may_count) {
                let taken = self.select.column(&place.alias, &place.column.name);
                if self.select.columns.iter().any(|(_, known)| *known == taken) {
                    continue;
                }
                let table = self.select.place_of(&place.alias);
                let from = format!("{} AS {}", self.select.typed_table(table), place.alias);
                if attributes::are_amounts(&look.values(&taken, &from).await) {
                    self.notes.push(format!(
                        "{} holds amounts, not numbers of doses, and is left out",
                        place.column.name
                    ));
                    continue;
                }
                let is_last = self.is_last_day();
                let name = match name {
                    "series_doses" if is_last => "dose_number",
                    name => name,
                };
                if self.select.columns.iter().any(|(known, _)| *known == name) {
                    continue;
                }
                self.guess(name, &place);
                if is_last {
                    self.notes.push(format!(
                        "the row tells of the last dose alone, and takes the place of an earlier \
                         one that was sent: {} is taken for its number; check",
                        place.column.name
                    ));
                }
                self.select.columns.push((name, taken));
            }
        }
    }

    /// True where a row has the day of the last vaccination only.
    fn is_last_day(&self) -> bool {
        let day = self.find(&words::GIVEN, is_date);
        day.is_some_and(|day| {
            let name = Name::new(&day.column.name);
            name.has_word("last") || name.joined.starts_with("last")
        })
    }
}
