//! Common ground of the three databases: sessions, which are opened, lent, bounded in time and
//! given back.

mod failure;
#[cfg(feature = "mysql")]
pub(crate) mod mysql;
mod origin;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod other_server;
mod outlet;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use connector_kit::CheckReport;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

pub(crate) use failure::{Cause, Failure};

pub(crate) use origin::Origin;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub(crate) use origin::{of_column, typed};
pub(crate) use outlet::{Limits, Outlet, Piece, Stream};

#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::config::TlsMode;
use crate::statement::Syntax;
use crate::table::Table;
use crate::value::{Key, Kind, Sql};

/// Most connections to one source at a time.
const MAX_CONNECTIONS: usize = 2;
/// Longest time that a kept connection may take to answer before it is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Time that the network may add to a statement's own limit.
const GRACE: Duration = Duration::from_secs(5);
/// Sorting fewer rows than this for a page does not matter.
pub(crate) const MANY_ROWS: u64 = 10_000;

/// A column as the database describes it.
pub(crate) struct Described {
    pub name: String,
    pub kind: Kind,
    /// The database's name for the type.
    pub type_name: String,
    /// The table's column that it is, unchanged; `None` for an expression.
    pub origin: Option<Origin>,
}

/// Full names of the columns that rows are ordered by.
pub(crate) struct KeyColumns {
    pub at: String,
    pub id: String,
}

/// A plan that reads and sorts more than it has to.
pub(crate) struct SlowPlan {
    /// Rows the database expects to sort; None where it does not estimate.
    pub rows: Option<u64>,
    /// The table, if the plan names one.
    pub table: Option<String>,
}

/// A kind of database: its dialect, and the way to reach it.
#[async_trait]
pub(crate) trait Driver: Send + Sync {
    fn kind(&self) -> &'static str;
    fn syntax(&self) -> Syntax;
    /// False where a kept session could go on reading a file that has been replaced.
    fn keeps_sessions(&self) -> bool;
    /// Quotes a column's name.
    fn quote(&self, name: &str) -> String;
    /// An expression for a column in the form rows are read in: bounded, and native where a number
    /// says it all.
    fn select(&self, column: &str, kind: Kind) -> String;
    /// An expression whose type tells whether a column is still of this kind, where
    /// [`Driver::select`] does not.
    fn witness(&self, _column: &str, _kind: Kind) -> Option<String> {
        None
    }
    /// An expression for the bounded text form of a column (raw bytes for a bytes column), to
    /// compare with.
    fn project(&self, column: &str, kind: Kind) -> String;
    /// An expression for a stamp that is not there.
    fn no_stamp(&self) -> &'static str;
    /// Appends an expression for a key, in the column's own type, and binds it.
    fn push_key(&self, sql: &mut Sql, key: &Key);
    /// Appends the condition "after this key", in the form an index on both columns serves.
    fn push_after(&self, sql: &mut Sql, columns: &KeyColumns, at: &Key, id: &Key);
    /// A further condition that a usable `changed_at` fulfils.
    fn usable_stamp(&self, _column: &str) -> Option<String> {
        None
    }
    /// A condition that a `changed_at` fulfils whose order among others is that of time.
    fn dated_stamp(&self, _column: &str) -> Option<String> {
        None
    }
    /// An expression for the way a `changed_at` is written, where a column may mix several whose
    /// order is not that of time.
    fn stamp_form(&self, _column: &str) -> Option<String> {
        None
    }
    /// Statement with one row for each way a `changed_at` is written, where a column may mix them.
    fn stamp_styles_sql(&self, _column: &str, _source: &str) -> Option<String> {
        None
    }
    /// Statement that returns the server's time as text, in seconds since 1970. Where the server
    /// follows another one ` replica` stands behind it, and behind that, if it is known, when the
    /// last transaction was committed there that it has. `None` where its clock is ours.
    fn clock_sql(&self) -> Option<&'static str> {
        None
    }
    /// Second since 1970 at which the source's file was last written; `None` where it is no file.
    async fn last_written(&self) -> Option<i64> {
        None
    }
    /// Statement with one row of three texts on a column's origin: `table`, `view` or `long` (a
    /// column that cannot be indexed as a whole), and the names of its table and of itself as they
    /// are typed.
    fn origin_sql(&self, origin: &Origin, query: &str) -> String;
    /// Statement with a row where an index begins with these columns of one table, in this order.
    fn index_sql(&self, columns: &[Origin]) -> String;
    /// Statement that returns the server's version as text.
    fn version_sql(&self) -> &'static str;
    /// The product's name, given its version.
    fn product(&self, version: &str) -> String;
    /// A look at whether the account may write; `None` where nothing can be asked.
    fn write_privileges(&self) -> Option<WritePrivileges>;
    /// Warning, and advice, about a connection that is not protected well.
    fn transport_warning(&self) -> Option<(String, String)> {
        None
    }
    /// Statements that put a session into other zones, and the last one back, where it runs in UTC
    /// although the clinic does not: what comes out differently is made of an instant by the query.
    fn other_zones(&self) -> Option<[&'static str; 3]> {
        None
    }
    /// Waits until the database says that something may have changed; for ever where it cannot.
    async fn changed(&self) {
        std::future::pending().await
    }
    /// Looks at what [`Driver::changed`] needs, where it is configured.
    async fn check_hints(&self, _report: &mut CheckReport) {}
    async fn open(&self, statement_timeout: Duration) -> Result<Box<dyn Session>, Failure>;
}

/// Statement and reader for [`Driver::write_privileges`].
pub(crate) struct WritePrivileges {
    pub sql: &'static str,
    /// Reads a row: what the account may write, and where.
    pub may_write: fn(&str) -> Option<String>,
}

/// A connection.
#[async_trait]
pub(crate) trait Session: Send {
    /// True where text comes as the bytes that are stored, whatever their encoding.
    fn has_raw_text(&self) -> bool {
        false
    }
    /// Begins a read-only transaction on one snapshot; fails where the connection is gone.
    async fn begin(&mut self) -> Result<(), Failure>;
    /// Makes the transaction usable again after a statement that failed for a value, on the same
    /// snapshot.
    async fn recover(&mut self) -> Result<(), Failure> {
        Ok(())
    }
    async fn end(&mut self) -> Result<(), Failure>;
    /// The columns of a query, without running it.
    async fn describe(&mut self, query: &str) -> Result<Vec<Described>, Failure>;
    /// Gives the statements of this transaction so much time, for one that reads everything.
    async fn give_time(&mut self, limit: Duration) -> Result<(), Failure>;
    /// Reads the rows of a statement whose columns have these kinds. With an outlet they leave
    /// through it, and those that it did not take any more are returned; `None` where nobody wants
    /// the others.
    async fn read(
        &mut self,
        sql: &Sql,
        kinds: &[Kind],
        outlet: Option<&mut Outlet>,
    ) -> Result<Option<Table>, Failure>;
    /// All rows of a statement whose columns have these kinds.
    async fn fetch(&mut self, sql: &Sql, kinds: &[Kind]) -> Result<Table, Failure> {
        Ok(self.read(sql, kinds, None).await?.unwrap_or_default())
    }
    /// Looks at the plan of a paging statement; None when it is a good one.
    async fn slow_plan(&mut self, sql: &Sql) -> Result<Option<SlowPlan>, Failure>;
}

/// Kept sessions.
type Idle = Mutex<Vec<Box<dyn Session>>>;

/// The sessions of one source. The pool of sqlx is not used: it retries a refused connection until
/// its time is up and then no longer knows why.
pub(crate) struct Sessions {
    pub driver: Box<dyn Driver>,
    idle: Arc<Idle>,
    permits: Arc<Semaphore>,
    connect_timeout: Duration,
    statement_timeout: Duration,
}

/// A session lent out. It is dropped, and with it the connection, unless it is given back after
/// success.
pub(crate) struct LentSession<'s> {
    session: Box<dyn Session>,
    limit: Duration,
    owner: &'s Sessions,
    _permit: OwnedSemaphorePermit,
}

impl Sessions {
    pub(crate) fn new(
        driver: Box<dyn Driver>,
        connect_timeout: Duration,
        statement_timeout: Duration,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        Self {
            driver,
            idle: Arc::default(),
            permits,
            connect_timeout,
            statement_timeout,
        }
    }

    /// Lends a session in a read-only transaction: a kept one that still answers, or a new one.
    pub(crate) async fn lend(&self) -> Result<LentSession<'_>, Failure> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| Failure::retry("the source is closed"))?;
        let limit = self.statement_timeout + GRACE;
        let lend = |session| LentSession {
            session,
            limit,
            owner: self,
            _permit: permit,
        };
        loop {
            let kept = self.idle.lock().pop();
            let Some(mut session) = kept else { break };
            if matches!(timeout(ANSWER_TIMEOUT, session.begin()).await, Ok(Ok(()))) {
                return Ok(lend(session));
            }
        }
        let seconds = self.connect_timeout.as_secs();
        let Ok(session) = timeout(
            self.connect_timeout,
            self.driver.open(self.statement_timeout),
        )
        .await
        else {
            return Err(Failure::retry(format!(
                "the database gave no connection within {seconds} s"
            )));
        };
        let mut lent = lend(session?);
        LentSession::bounded(limit, lent.session.begin()).await?;
        Ok(lent)
    }
}

impl LentSession<'_> {
    async fn bounded<T>(
        limit: Duration,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match timeout(limit, step).await {
            Ok(result) => result,
            Err(_) => Err(Failure::retry(format!(
                "the database did not answer within {} s",
                limit.as_secs()
            ))),
        }
    }

    pub(crate) fn has_raw_text(&self) -> bool {
        self.session.has_raw_text()
    }

    pub(crate) async fn recover(&mut self) -> Result<(), Failure> {
        Self::bounded(self.limit, self.session.recover()).await
    }

    pub(crate) async fn describe(&mut self, query: &str) -> Result<Vec<Described>, Failure> {
        Self::bounded(self.limit, self.session.describe(query)).await
    }

    pub(crate) async fn fetch(&mut self, sql: &Sql, kinds: &[Kind]) -> Result<Table, Failure> {
        Self::bounded(self.limit, self.session.fetch(sql, kinds)).await
    }

    pub(crate) async fn slow_plan(&mut self, sql: &Sql) -> Result<Option<SlowPlan>, Failure> {
        Self::bounded(self.limit, self.session.slow_plan(sql)).await
    }

    /// The first column of a statement's rows, as text; NULLs are left out.
    pub(crate) async fn texts(&mut self, sql: &Sql) -> Result<Vec<String>, Failure> {
        let rows = self.fetch(sql, &[Kind::Text]).await?;
        let texts = rows.rows().filter_map(|row| row.cell(0).bytes());
        Ok(texts
            .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
            .collect())
    }

    /// The first columns of a statement's rows, as text; NULL is empty.
    pub(crate) async fn text_rows<const N: usize>(
        &mut self,
        sql: &Sql,
    ) -> Result<Vec<[String; N]>, Failure> {
        let rows = self.fetch(sql, &[Kind::Text; N]).await?;
        let text = |bytes: Option<Cow<'_, [u8]>>| {
            bytes.map_or_else(String::new, |bytes| {
                String::from_utf8_lossy(&bytes).into_owned()
            })
        };
        let row = rows
            .rows()
            .map(|row| std::array::from_fn(|cell| text(row.cell(cell).bytes())));
        Ok(row.collect())
    }

    /// Ends the transaction and begins another one, on a new snapshot.
    pub(crate) async fn renew(&mut self) -> Result<(), Failure> {
        Self::bounded(self.limit, self.session.end()).await?;
        Self::bounded(self.limit, self.session.begin()).await
    }

    /// Goes on in a task of its own that reads a statement and hands its rows out piece by piece.
    /// The session counts no more among those that are lent: a feed has one such statement at most.
    pub(crate) async fn stream(
        mut self,
        sql: Sql,
        kinds: &[Kind],
        limits: Limits,
    ) -> Result<Stream, Failure> {
        let whole = limits.whole + self.owner.statement_timeout;
        Self::bounded(self.limit, self.session.give_time(whole)).await?;
        let keep = self.owner.driver.keeps_sessions();
        let idle = keep.then(|| Arc::clone(&self.owner.idle));
        let step = self.owner.statement_timeout;
        Ok(Stream::begin(
            self.session,
            sql,
            kinds.to_vec(),
            limits,
            step,
            idle,
        ))
    }

    /// Ends the transaction and keeps the session for the next one.
    pub(crate) async fn give_back(mut self) -> Result<(), Failure> {
        Self::bounded(self.limit, self.session.end()).await?;
        if self.owner.driver.keeps_sessions() {
            self.owner.idle.lock().push(self.session);
        }
        Ok(())
    }
}

/// True for an address that never leaves this machine.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) fn is_local_host(host: &str) -> bool {
    host.starts_with('/')
        || host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Returns the number that a version begins with, and nothing else of what a server writes there.
pub(crate) fn version_number(version: &str) -> &str {
    const MAX_CHARS: usize = 20;
    let end = version
        .find(|char: char| !(char.is_ascii_digit() || char == '.'))
        .unwrap_or(version.len());
    &version[..end.min(MAX_CHARS)]
}

/// Warning of a connection to another machine that is not verified, or not encrypted.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn transport_warning(mode: TlsMode, host: &str, place: &str) -> Option<(String, String)> {
    if mode == TlsMode::VerifyFull || is_local_host(host) {
        return None;
    }
    let what = if mode.may_be_plain() {
        format!(
            "allow_plain is set: records and the password may travel in clear to {place}, unless \
             something else encrypts the way"
        )
    } else {
        format!("the connection to {place} does not verify who answers")
    };
    let help = "set tls = { mode = \"verify-full\", ca_file = \"…\" }";
    Some((what, help.to_owned()))
}

#[cfg(all(test, any(feature = "postgres", feature = "mysql")))]
mod tests {
    use super::*;

    #[test]
    fn of_a_version_only_its_number_is_shown() {
        assert_eq!(version_number("17.2 (Debian 17.2-1)"), "17.2");
        assert_eq!(version_number("10.11.6-MariaDB-0+deb12u1"), "10.11.6");
        assert_eq!(version_number("Ivanov"), "");
        assert_eq!(version_number(&"1".repeat(30)).len(), 20);
    }

    #[test]
    fn another_machine_is_warned_of_unless_it_is_verified() {
        let warned = |mode, host| transport_warning(mode, host, "there").map(|(what, _)| what);
        assert_eq!(warned(TlsMode::VerifyFull, "mis.example"), None);
        assert_eq!(warned(TlsMode::Disable, "127.0.0.1"), None);
        let unverified = warned(TlsMode::Require, "mis.example").expect("a warning");
        assert!(unverified.contains("verify who answers"), "{unverified}");
        for plain in [TlsMode::Disable, TlsMode::Prefer] {
            let warning = warned(plain, "mis.example").expect("a warning");
            assert!(warning.contains("allow_plain is set"), "{warning}");
        }
    }
}
