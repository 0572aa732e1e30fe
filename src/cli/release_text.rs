//! Words for what the release policy lets leave of a kind of fact, for `check` and `preview`.

use contract::Precision;
use pseudonym::OptionalFields;

/// Word for the precision of a date.
pub(super) const fn precision_word(precision: Precision) -> &'static str {
    match precision {
        Precision::Day => "day",
        Precision::Month => "month",
        Precision::Year => "year",
    }
}

/// Says which optional fields leave and which stay; begins with `; ` unless there are none.
pub(super) fn fields_text(fields: &OptionalFields) -> String {
    let list = |names: &[&str], verb: &str| match names {
        [] => String::new(),
        [one] => format!("; {one} {verb}s"),
        several => format!("; {} {verb}", several.join(", ")),
    };
    list(&fields.leave, "leave") + &list(&fields.stay, "stay")
}
