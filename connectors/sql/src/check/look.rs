//! Common ground of every look of `check`: the source, the present moment, and a session for each
//! question.

use chrono::{DateTime, Utc};
use connector_kit::{CheckReport, Feed};
use tokio::sync::OnceCell;

use crate::catalog::{self, Catalog};
use crate::driver::{Driver, Failure};
use crate::page::{Pager, Start};
use crate::source::SqlSource;
use crate::table::Table;
use crate::value::Sql;

/// Rows that are looked at closely: the newest ones.
pub(super) const SAMPLE_ROWS: u32 = 500;

/// A source that is looked at.
pub(super) struct Look<'c> {
    pub source: &'c SqlSource,
    pub now: DateTime<Utc>,
    /// Structure of the database, once it was asked for.
    pub catalog: OnceCell<Catalog>,
}

impl Look<'_> {
    pub(super) fn driver(&self) -> &dyn Driver {
        self.source.sessions.driver.as_ref()
    }

    /// Structure of the database.
    pub(super) async fn catalog(&self) -> Result<&Catalog, Failure> {
        let read = || catalog::read(&self.source.sessions);
        self.catalog.get_or_try_init(read).await
    }

    /// The first column of a statement's rows, as text.
    pub(super) async fn texts(&self, sql: &Sql) -> Result<Vec<String>, Failure> {
        let mut lent = self.source.sessions.lend().await?;
        let texts = lent.texts(sql).await?;
        lent.give_back().await?;
        Ok(texts)
    }

    /// Counts the rows that fulfil a condition.
    pub(super) async fn count(
        &self,
        pager: &Pager<'_>,
        condition: impl FnOnce(&mut Sql),
    ) -> Result<u64, Failure> {
        let mut sql = Sql::plain(format!(
            "SELECT CAST(count(*) AS CHAR(20)) {} WHERE ",
            pager.source()
        ));
        condition(&mut sql);
        Ok(self
            .texts(&sql)
            .await?
            .first()
            .and_then(|count| count.parse().ok())
            .unwrap_or(0))
    }

    /// The newest rows.
    pub(super) async fn sample(&self, pager: &Pager<'_>) -> Result<Table, Failure> {
        let mut lent = self.source.sessions.lend().await?;
        let rows = lent
            .fetch(
                &pager.page(&Start::Beginning, SAMPLE_ROWS, true),
                &pager.layout.kinds,
            )
            .await?;
        lent.give_back().await?;
        Ok(rows)
    }
}

/// Warns of a question that the database did not answer, about a feed that it can be read from all
/// the same.
pub(super) fn not_looked_at(
    report: &mut CheckReport,
    name: Feed,
    question: &str,
    failure: &Failure,
) {
    let (what, help) = failure.words(None);
    let help = if failure.may_pass() {
        "check again later".to_owned()
    } else {
        help
    };
    report.warn(
        format!("{name}: {question} could not be looked at: {what}"),
        help,
    );
}
