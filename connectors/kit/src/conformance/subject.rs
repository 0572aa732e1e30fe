//! A source under test: what a connector's tests have to be able to do with it.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use crate::Connector;

/// SNILS of every person in the source; nothing readable may hold it.
pub const SNILS: &str = "112-233-445 95";
/// Family name of every person in the source, in a place where this kind of source keeps names.
pub const FAMILY_NAME: &str = "Kanareykina";
/// Birth date of every person in the source, in a place where this kind of source keeps it.
pub const BIRTH_DATE: &str = "1977-03-05";
/// Code of the vaccine of every good row.
pub const VACCINE_CODE: &str = "505";
/// Word that the source puts into its own error messages under [`Hostility::QuotesValues`], beside
/// the SNILS.
pub const QUOTED_WORD: &str = "kanareyka-7f3a";

/// The present moment of the checks: later than the stamps of most rows, years before the machine's
/// clock.
#[must_use]
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_secs(1_625_907_600).unwrap_or_default()
}

/// A vaccination in the source, of the person with [`SNILS`], [`FAMILY_NAME`] and [`BIRTH_DATE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Name of the row: letters, digits and `-`. [`Subject::record_id`] makes its id of it.
    pub name: String,
    /// Moment of the row's last change, in whole seconds.
    pub stamp: DateTime<Utc>,
    /// True for a row that the connector cannot read as it is: a value of a wrong type, a date that
    /// does not exist, a status nobody mapped.
    pub unreadable: bool,
}

/// Ways in which a source can misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hostility {
    /// The account that the connector uses may write.
    WriteAccess,
    /// The source cannot be reached, or breaks connections off; a later try may succeed.
    Away,
    /// The source answers, but the connector's account may not read.
    Refused,
    /// The source takes a request and never answers.
    Silent,
    /// The source answers byte by byte, so that an answer takes longer than any timeout.
    Dripping,
    /// The source's answers break off in the middle.
    Truncated,
    /// A row, or the answer that holds it, is larger than any bound of the connector.
    Huge,
    /// The source gives more rows than were asked for.
    IgnoresPageSize,
    /// The source gives the same page whatever comes after it was asked for.
    SamePageAgain,
    /// The source's pages lead from the last one to the first.
    PagesInCycle,
    /// The source's pages lead to new ones for ever.
    PagesWithoutEnd,
    /// The source fails with a message of its own that quotes the row's SNILS and [`QUOTED_WORD`].
    QuotesValues,
}

/// A source that checks fill, change and disturb, and the connectors that read it.
///
/// All methods but [`Self::connector`] act as the clinic's system or its administrator would. They
/// panic when the test's own machinery fails.
#[async_trait(?Send)]
pub trait Subject {
    /// Empties the source and ends every hostility and misconfiguration.
    async fn reset(&mut self);

    /// Shortens the timeouts of new connectors to a second or two, until the next [`Self::reset`].
    /// The checks of a source that goes away or falls silent ask for it. For the others the
    /// timeouts are better longer than any pause of the machine that the checks run on.
    async fn shorten_timeouts(&mut self) {}

    /// A new connector with the feed `vaccinations`, as after a start of the gateway.
    async fn connector(&self) -> Box<dyn Connector>;

    /// Adds rows; a row whose name is there already is changed.
    async fn put(&mut self, rows: &[Row]);

    /// Deletes the rows with these names.
    async fn delete(&mut self, names: &[String]);

    /// Everything the source holds, and every request to write that it has seen; equal texts mean
    /// that nobody has written.
    async fn contents(&mut self) -> String;

    /// Makes the source misbehave, for connectors that exist and for new ones.
    async fn begin(&mut self, hostility: Hostility);

    /// Ends what [`Self::begin`] began.
    async fn end(&mut self);

    /// Makes two independent mistakes in the configuration of new connectors, or at the source.
    /// Returns, for each, a word that a finding of `check` has to contain.
    async fn misconfigure(&mut self) -> [String; 2];

    /// Reason why this kind of source cannot misbehave in this way; `None` where it can.
    fn cannot(&self, hostility: Hostility) -> Option<&'static str>;

    /// Reason why a feed that is read in this way need not keep the MUST with this id, as one whose
    /// changes only sweeps notice; `None` where it has to.
    fn need_not_keep(&self, _id: &str) -> Option<&'static str> {
        None
    }

    /// The record id that the connector gives the row with this name.
    fn record_id(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Configured overlap of a run with the one before: from a minute to an hour.
    fn overlap(&self) -> TimeDelta;

    /// Longest time that one call of the connector may take, its configured timeouts included.
    fn patience(&self) -> Duration;
}
