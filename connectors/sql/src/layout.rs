//! Layout of the query's columns: resolved once a run, so that rows are read by ordinal.

use connector_kit::{Feed, IdentifierKind};

use crate::columns::{self, COUNTRY, Column, Role};
use crate::driver::Described;
use crate::settings::FeedSettings;
use crate::value::Kind;

/// Ordinal of `record_id` among the selected columns.
pub(crate) const RECORD_ID: usize = 0;
/// Ordinal of `changed_at`.
pub(crate) const CHANGED_AT: usize = 1;

/// The documented columns a query has, in the order they are selected.
#[derive(Default)]
pub(crate) struct Layout {
    columns: Vec<Column>,
    /// The query's own spelling of each name.
    pub names: Vec<String>,
    pub kinds: Vec<Kind>,
    /// True where the query's own `changed_at` is read; in its place stands nothing otherwise.
    pub has_stamp: bool,
    /// Columns with a person's identifiers.
    pub identifiers: Vec<IdentifierColumn>,
}

/// Column with identifiers of a person.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdentifierColumn {
    /// Ordinal of the column.
    pub ordinal: usize,
    /// Numbering of its values.
    pub kind: IdentifierKind,
    /// Ordinal of the column with the issuing country.
    pub country: Option<usize>,
    /// True if a value holds any number of identifiers.
    pub is_list: bool,
}

/// Choices of who has no `changed_at`.
const WAYS_OF_NOTICING: &str = "choose how changes are noticed: add `… AS changed_at` (a timestamp \
     or a date that moves with every change of the row); or, where several tables have one each, \
     write a short query for each under `changes`; or, where there is none to trust, \
     change_detection = \"content\"";

/// Something wrong with a query's columns.
pub(crate) struct Problem {
    pub what: String,
    pub help: String,
}

/// The layout, if nothing is missing, and what there is to say.
#[derive(Default)]
pub(crate) struct Resolution {
    pub layout: Option<Layout>,
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

impl Layout {
    /// Ordinal of a documented column.
    pub(crate) fn ordinal(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// A layout of these columns, which are keys of rows.
    pub(crate) fn of_keys(described: &[Described]) -> Self {
        Self {
            names: described.iter().map(|column| column.name.clone()).collect(),
            kinds: described.iter().map(|column| column.kind).collect(),
            has_stamp: true,
            ..Self::default()
        }
    }

    /// Joins each column of identifiers with that of their issuing country.
    fn join_countries(&mut self) {
        for place in 0..self.identifiers.len() {
            let name = self.columns[self.identifiers[place].ordinal].name;
            let country = format!("{name}{COUNTRY}");
            self.identifiers[place].country = self.ordinal(&country);
        }
    }

    /// Number of columns that are read of the query.
    pub(crate) fn selected(&self) -> usize {
        self.names.len() - usize::from(!self.has_stamp)
    }

    /// Documented names, and their kinds.
    pub(crate) fn documented(&self) -> impl Iterator<Item = (&'static str, Kind)> {
        self.columns
            .iter()
            .map(|column| column.name)
            .zip(self.kinds.iter().copied())
    }
}

/// Finds the documented columns of a feed, or of one of its change queries, among those the
/// database describes.
pub(crate) fn resolve(feed: &FeedSettings, described: &[Described]) -> Resolution {
    if feed.change.is_some() {
        return resolve_keys(feed.feed, described);
    }
    let has_status_words = !feed.config.status_words.is_empty();
    resolve_all(feed.feed, described, has_status_words, feed.has_stamp())
}

/// The two columns of a change query. Whatever else it selects is not read.
fn resolve_keys(feed: Feed, described: &[Described]) -> Resolution {
    let mut found = Resolution::default();
    let mut layout = Layout {
        has_stamp: true,
        ..Layout::default()
    };
    for column in columns::of(feed).filter(|column| column.role.is_key()) {
        add(feed, column, described, &mut layout, &mut found.errors);
    }
    found.layout = found.errors.is_empty().then_some(layout);
    found
}

/// The documented columns of a feed's own query, with or without a `changed_at`.
pub(crate) fn resolve_all(
    feed: Feed,
    described: &[Described],
    has_status_words: bool,
    has_stamp: bool,
) -> Resolution {
    let mut found = Resolution::default();
    let mut layout = Layout {
        has_stamp,
        ..Layout::default()
    };
    for column in columns::of(feed) {
        if column.role == Role::ChangedAt && !has_stamp {
            layout.columns.push(column);
            layout.names.push(column.name.to_owned());
            layout.kinds.push(Kind::Timestamp);
            continue;
        }
        add(feed, column, described, &mut layout, &mut found.errors);
    }
    layout.join_countries();
    check_person(&layout, &mut found);
    check_status(&layout, has_status_words, &mut found.errors);
    for other in described {
        if columns::of(feed).all(|column| !other.name.eq_ignore_ascii_case(column.name)) {
            found.warnings.push(unknown(feed, &other.name));
        }
    }
    found.layout = found.errors.is_empty().then_some(layout);
    found
}

/// Finds one documented column, and adds it to the layout.
fn add(
    feed: Feed,
    column: Column,
    described: &[Described],
    layout: &mut Layout,
    errors: &mut Vec<Problem>,
) {
    let mut named = described
        .iter()
        .filter(|candidate| candidate.name.eq_ignore_ascii_case(column.name));
    match (named.next(), named.next()) {
        (Some(one), None) => take(column, one, layout, errors),
        (Some(_), Some(_)) => errors.push(Problem {
            what: format!("the query has two columns `{}`", column.name),
            help: "give each column an alias of its own".into(),
        }),
        (None, _) if column.required => errors.push(missing(feed, column, described)),
        (None, _) => {}
    }
}

fn take(column: Column, described: &Described, layout: &mut Layout, errors: &mut Vec<Problem>) {
    if !column.role.accepts(described.kind) {
        errors.push(Problem {
            what: format!(
                "column `{}` is of type {}",
                column.name, described.type_name
            ),
            help: format!(
                "it takes {}; add a CAST or a conversion to the query",
                column.role.wanted()
            ),
        });
    }
    if let Role::Identifier(kind) | Role::List(kind) = column.role {
        layout.identifiers.push(IdentifierColumn {
            ordinal: layout.columns.len(),
            kind,
            country: None,
            is_list: matches!(column.role, Role::List(_)),
        });
    }
    layout.columns.push(column);
    layout.names.push(described.name.clone());
    layout.kinds.push(described.kind);
}

fn missing(feed: Feed, column: Column, described: &[Described]) -> Problem {
    let similar = described
        .iter()
        .find(|other| columns::nearest(feed, &other.name) == Some(column.name));
    let help = match similar {
        Some(other) => format!("rename `{}` to `{}`", other.name, column.name),
        None if column.role == Role::ChangedAt => WAYS_OF_NOTICING.to_owned(),
        None => format!(
            "add `… AS {}`; it takes {}",
            column.name,
            column.role.wanted()
        ),
    };
    Problem {
        what: format!("the query has no column `{}`", column.name),
        help,
    }
}

fn unknown(feed: Feed, name: &str) -> Problem {
    let help = match columns::nearest(feed, name) {
        Some(near) => format!("is `{near}` meant? Otherwise leave the column out"),
        None => "leave it out of the query".to_owned(),
    };
    Problem {
        what: format!("column `{name}` is not one the gateway knows; it is not read"),
        help,
    }
}

fn check_person(layout: &Layout, found: &mut Resolution) {
    if layout.identifiers.is_empty() {
        found.errors.push(Problem {
            what: "the query has no person_* column".into(),
            help: "add at least one, such as `… AS person_snils` or `… AS person_passport_foreign`"
                .into(),
        });
    }
    for column in &layout.identifiers {
        let needs_country = matches!(
            column.kind,
            IdentifierKind::PassportForeign | IdentifierKind::NationalId
        );
        if needs_country && column.country.is_none() {
            let name = layout.columns[column.ordinal].name;
            found.warnings.push(Problem {
                what: format!("{name} stands without {name}_country"),
                help: "add the issuing country (a code, a number or a name): without it such a number \
                    is nobody's"
                    .into(),
            });
        }
    }
    for column in &layout.columns {
        let number = column.name.strip_suffix(COUNTRY);
        let Some(number) = number.filter(|_| column.role == Role::Country) else {
            continue;
        };
        if layout.ordinal(number).is_none() {
            found.warnings.push(Problem {
                what: format!("{} stands without {number}", column.name),
                help: "add the number, or leave the country out".into(),
            });
        }
    }
}

fn check_status(layout: &Layout, has_words: bool, errors: &mut Vec<Problem>) {
    match (layout.ordinal("status").is_some(), has_words) {
        (true, false) => errors.push(Problem {
            what: "the query has a column `status`, but status_words is empty".into(),
            help: "map each word: status_words = { \"…\" = \"final\", \"…\" \
                = \"cancelled\", \"…\" = \"not-a-fact\" }"
                .into(),
        }),
        (false, true) => errors.push(Problem {
            what: "status_words is set, but the query has no column `status`".into(),
            help: "add `… AS status` to the query, or remove status_words".into(),
        }),
        _ => {}
    }
}
