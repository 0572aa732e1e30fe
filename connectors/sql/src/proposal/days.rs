//! The days of a fact: when it took place, and when an illness began.

use connector_kit::Feed;

use super::candidates::{SURE, is_code, is_date};
use super::columns::best_column;
use super::facts::{Draft, Place};
use super::names::{Name, Words};
use super::{systems, words};
use crate::catalog::{Column, Shape};

/// Words of a name that is one of a day; a text with another name is none.
const DAY_WORDS: [&str; 14] = [
    "date", "data", "dates", "datetime", "day", "den", "jour", "dt", "le", "on", "at", "time",
    "when", "moment",
];

/// True for a column that may hold a day: of a type of days, or a text that is called so.
fn is_day(words: &Words, column: &Column) -> bool {
    let name = Name::new(&column.plain);
    let is_called = || {
        words.score(&name) >= SURE
            || DAY_WORDS.iter().any(|word| name.has_word(word))
            || name.joined.contains("date")
            || name.joined.contains("data")
    };
    column.shape.is_time() || (is_date(column.shape) && is_called())
}

impl Draft<'_> {
    /// The best day of each table on the way to the person.
    fn days(&self, words: &Words) -> Vec<Place> {
        self.places_of(words, |_, column| is_day(words, column))
    }

    /// The best day, in the fact's own table first.
    pub(super) fn find_day(&self, words: &Words) -> Option<Place> {
        let places = self.days(words).into_iter().rev();
        places.max_by_key(|place| place.score)
    }

    /// The day of the fact; of a test that of the sample, if it is known.
    pub(super) fn day(&mut self, words: &Words) -> Option<String> {
        let mut places = match self.feed {
            Feed::Tests => self.days(&words::SAMPLED),
            _ => Vec::new(),
        };
        places.extend(self.find_day(words));
        if self.feed == Feed::Tests {
            places.extend(self.find_day(&words::REQUESTED));
        }
        let shape = places.first()?.column.shape;
        self.guess("occurred_on", &places[0]);
        let mut columns: Vec<String> = Vec::new();
        for place in places.iter().filter(|place| place.column.shape == shape) {
            columns.push(self.moment("occurred_on", place));
            if !place.column.is_nullable {
                break;
            }
        }
        columns.dedup();
        match columns.as_slice() {
            [one] => Some(one.clone()),
            several => Some(format!("COALESCE({})", several.join(", "))),
        }
    }

    /// The day on which the entry of an illness was last changed, where nothing says when it ended
    /// but a status whose words a person has to tell.
    pub(super) fn day_of_change(&mut self) -> Option<String> {
        if self.feed != Feed::Recoveries {
            return None;
        }
        let main = self.select.main().to_owned();
        let table = self.main_table();
        best_column(table, &words::STATUS, is_code).filter(|(score, _)| *score >= 100)?;
        let (score, column) = best_column(table, &words::CHANGED, Shape::is_time)?;
        let place = Place {
            alias: main,
            column: column.clone(),
            score,
        };
        self.has_day_of_change = true;
        self.notes.push(format!(
            "nothing says when an illness ended: occurred_on is the day on which its entry was \
             last changed, so no word of its status is taken for recovered. Give one the meaning \
             \"final\" only if an entry is closed on the day of the recovery and not touched later \
             ({})",
            place.column.name
        ));
        Some(self.moment("occurred_on", &place))
    }

    /// A column with a day or a moment. Where the system keeps moments in UTC without saying so,
    /// the day would be another one near midnight.
    pub(super) fn moment(&mut self, name: &str, place: &Place) -> String {
        let column = self.select.column(&place.alias, &place.column.name);
        let Place { column: kept, .. } = place;
        let is_moment = kept.shape == Shape::Moment && !kept.is_instant;
        let Some(system) = systems::in_utc(self.select.catalog).filter(|_| is_moment) else {
            return column;
        };
        self.notes.push(format!(
            "{name} is made of {column}, which {system} keeps in UTC without a zone; check with a \
             fact of the night"
        ));
        self.select.driver.syntax().of_utc(&column)
    }
}
