//! Proposes the section of a database: looks at its tables, and writes a query for each kind of
//! fact, with the way in which its changes are noticed.
//!
//! All of it is guessed from names and types, and from distinct values of columns with codes; what
//! is not sure is said beside it.

mod answers;
mod attributes;
mod candidates;
mod changes;
mod columns;
mod concepts;
mod days;
mod dictionary;
mod diseases;
mod documents;
mod doses;
mod fact_status;
mod facts;
mod feed;
mod groups;
mod identifier_rows;
mod json;
mod keys;
mod lists;
mod look;
mod merges;
mod names;
mod parents;
mod passports;
mod persons;
mod questions;
mod references;
mod results;
mod section;
mod select;
mod stamps;
mod status;
mod systems;
mod ways;
mod words;

use std::path::Path;
use std::time::Duration;

use connector_kit::{Feed, SourceError};

pub use changes::Changes;
pub use diseases::OTHER_DISEASE;
pub use feed::{FoundValues, ProposedFeed};
pub use look::{CountedValue, KnownCodes};
pub use systems::KnownSystem;

use crate::catalog::{self, Catalog, Table};
use crate::config::Common;
use crate::driver::{Driver, Failure, Sessions};
use candidates::Ground;
use look::Look;
use persons::Persons;
use references::References;

/// Most tables that are tried for one kind of fact.
const MAX_TRIED: usize = 12;
/// Most tables that are named where none can be used.
const MAX_NAMED: usize = 5;

/// Database that is looked at.
pub struct Database {
    sessions: Sessions,
}

/// What was seen of a database, and what is proposed for it.
#[derive(Debug)]
pub struct Proposal {
    /// Product and version of the server.
    pub product: String,
    /// Number of tables and views that were looked at.
    pub tables: usize,
    /// Number of their columns.
    pub columns: usize,
    /// True where there are more than are looked at.
    pub is_cut: bool,
    /// Tables that the account may not read.
    pub unreadable: Vec<String>,
    /// Schemas, or tables of a file, whose structure the database does not show, with what it says.
    pub unread: Vec<(String, String)>,
    /// Known system that the tables are of.
    pub system: Option<KnownSystem>,
    /// Tables of persons.
    pub persons: Vec<String>,
    /// Feeds that a query was found for.
    pub feeds: Vec<ProposedFeed>,
    /// Feeds without one.
    pub missing: Vec<MissingFeed>,
}

/// Feed that no query was found for.
#[derive(Debug)]
pub struct MissingFeed {
    /// The feed.
    pub feed: Feed,
    /// Tables that could hold it, each with what it lacks.
    pub likely: Vec<(String, String)>,
}

impl Proposal {
    /// Comment lines on the system that was recognised; empty where none was.
    #[must_use]
    pub fn about_system(&self) -> String {
        self.system.map_or_else(String::new, |system| {
            section::comment(&format!(
                "The tables are those of {}: {}.",
                system.name, system.guide
            ))
        })
    }
}

impl Database {
    /// A PostgreSQL server. Reads the password; does not talk to the server yet.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`], with what to change.
    #[cfg(feature = "postgres")]
    pub fn postgres(config: &crate::PostgresConfig, folder: &Path) -> Result<Self, SourceError> {
        let password = crate::settings::password(config.password.as_ref(), folder)?;
        let tls = crate::settings::Tls::new(&config.tls, &config.host, folder)?;
        let driver = crate::driver::postgres::Postgres::new(config, password.as_ref(), &tls)?;
        Ok(Self::new(Box::new(driver), &config.common()))
    }

    /// A MariaDB or MySQL server. Reads the password; does not talk to the server yet.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`], with what to change.
    #[cfg(feature = "mysql")]
    pub fn mysql(config: &crate::MySqlConfig, folder: &Path) -> Result<Self, SourceError> {
        let password = crate::settings::password(config.password.as_ref(), folder)?;
        let tls = crate::settings::Tls::new(&config.tls, &config.host, folder)?;
        let driver = crate::driver::mysql::MySql::new(config, password.as_ref(), &tls);
        Ok(Self::new(Box::new(driver), &config.common()))
    }

    /// An SQLite file. Does not open it yet.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`], with what to change.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(config: &crate::SqliteConfig, folder: &Path) -> Result<Self, SourceError> {
        let driver = crate::driver::sqlite::Sqlite::new(folder.join(&config.path));
        Ok(Self::new(Box::new(driver), &config.common()))
    }

    fn new(driver: Box<dyn Driver>, common: &Common) -> Self {
        let seconds = |number: u32| Duration::from_secs(number.clamp(1, 300).into());
        let connect = seconds(common.connect_timeout_seconds);
        let statement = seconds(common.statement_timeout_seconds);
        Self {
            sessions: Sessions::new(driver, connect, statement),
        }
    }

    /// Looks at the database, read-only and within the limits of a source, and proposes feeds.
    ///
    /// # Errors
    /// As a page fails.
    pub async fn propose(&self) -> Result<Proposal, SourceError> {
        let proposed = self.try_propose(None).await;
        proposed.map_err(|failure| failure.at("the database", None))
    }

    /// Does the same where it can be told which codes of a documented column are known without
    /// being mapped: of names in several languages those are taken.
    ///
    /// # Errors
    /// As a page fails.
    pub async fn propose_known(&self, known: &KnownCodes<'_>) -> Result<Proposal, SourceError> {
        let proposed = self.try_propose(Some(known)).await;
        proposed.map_err(|failure| failure.at("the database", None))
    }

    async fn try_propose(&self, known: Option<&KnownCodes<'_>>) -> Result<Proposal, Failure> {
        let look = Look {
            sessions: &self.sessions,
            known,
        };
        let product = self.product().await?;
        let whole = catalog::read(&self.sessions).await?;
        let own = whole.on_search_path();
        let mut proposal = overview(&whole, product);
        let mut taken = Vec::new();
        let has_others = own.is_some();
        if let Some(own) = own {
            self.propose_in(&look, own, &mut proposal, &mut taken).await;
        }
        // Elsewhere only what was not found there: a copy is none of the clinic's.
        if proposal.feeds.len() < Feed::ALL.len() {
            let known = proposal.feeds.len();
            self.propose_in(&look, whole, &mut proposal, &mut taken)
                .await;
            if has_others {
                let others = proposal.feeds[known..].iter_mut();
                others.for_each(ProposedFeed::note_other_schema);
            }
        }
        let place = |feed| Feed::ALL.iter().position(|one| *one == feed);
        proposal.feeds.sort_by_key(|found| place(found.feed));
        Ok(proposal)
    }

    /// Looks in these tables for the feeds that were not found yet.
    async fn propose_in(
        &self,
        look: &Look<'_>,
        mut catalog: Catalog,
        proposal: &mut Proposal,
        taken: &mut Vec<(String, String)>,
    ) {
        json::add_columns(look, &mut catalog).await;
        if self.sessions.driver.kind() == "mysql" {
            parents::add_references(look, &mut catalog).await;
        }
        let references = References::of(&catalog);
        attributes::add_columns(look, &mut catalog, &references).await;
        let persons = Persons::of(&catalog, &references);
        let ground = Ground {
            catalog: &catalog,
            references: &references,
            persons: &persons,
        };
        let tables = catalog.tables.iter().enumerate();
        let of_persons = tables.filter(|(place, _)| persons.is_person(*place));
        for (_, table) in of_persons {
            if !proposal.persons.contains(&table.shown()) {
                proposal.persons.push(table.shown());
            }
        }
        proposal.missing.clear();
        for feed in Feed::ALL {
            if proposal.feeds.iter().any(|found| found.feed == feed) {
                continue;
            }
            match propose_feed(look, &ground, feed, taken).await {
                Ok((table, feed)) => {
                    taken.extend(table);
                    proposal.feeds.push(feed);
                }
                Err(missing) => proposal.missing.push(missing),
            }
        }
    }

    async fn product(&self) -> Result<String, Failure> {
        let driver = self.sessions.driver.as_ref();
        let mut lent = self.sessions.lend().await?;
        let sql = crate::value::Sql::plain(driver.version_sql());
        let version = lent.texts(&sql).await?;
        lent.give_back().await?;
        Ok(driver.product(version.first().map_or("", String::as_str)))
    }
}

fn overview(catalog: &Catalog, product: String) -> Proposal {
    let tables = || catalog.tables.iter();
    let unreadable = tables().filter(|table| !table.is_readable);
    Proposal {
        product,
        tables: catalog.tables.len(),
        columns: tables().map(|table| table.columns.len()).sum(),
        is_cut: catalog.is_cut,
        unreadable: unreadable.map(Table::shown).collect(),
        unread: catalog.unread.clone(),
        system: systems::recognise(catalog),
        persons: Vec::new(),
        feeds: Vec::new(),
        missing: Vec::new(),
    }
}

/// Tries the likely tables one after the other; one that another feed reads whole is left to it.
async fn propose_feed(
    look: &Look<'_>,
    ground: &Ground<'_>,
    feed: Feed,
    taken: &[(String, String)],
) -> Result<(Option<(String, String)>, ProposedFeed), MissingFeed> {
    let mut lacking = Vec::new();
    let candidates = ground.likely(feed);
    let name = |place: usize| {
        let table = &ground.catalog.tables[place];
        (table.schema.clone(), table.name.clone())
    };
    let free = candidates
        .iter()
        .filter(|candidate| !taken.contains(&name(candidate.table)));
    for candidate in free.take(MAX_TRIED) {
        let shown = ground.catalog.tables[candidate.table].shown();
        match facts::draft(look, ground, feed, candidate.table).await {
            Ok(draft) => {
                let also = candidates
                    .iter()
                    .filter(|other| other.table != candidate.table)
                    .map(|other| ground.catalog.tables[other.table].shown())
                    .take(MAX_NAMED)
                    .collect();
                // Of a table with rows of several kinds only some are read.
                let whole = draft.select.filter.is_none().then(|| name(candidate.table));
                let proposed = feed::finish(look, draft, shown, also).await;
                return Ok((whole, proposed));
            }
            Err(lacks) if lacking.len() < MAX_NAMED => lacking.push((shown, lacks)),
            Err(_) => {}
        }
    }
    if lacking.is_empty() {
        lacking = near(look, ground, feed).await;
    }
    Err(MissingFeed {
        feed,
        likely: lacking,
    })
}

/// Tables that have to do with a kind of fact by their names, each with what it lacks.
async fn near(look: &Look<'_>, ground: &Ground<'_>, feed: Feed) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for table in ground.near(feed).into_iter().take(MAX_NAMED) {
        let lacks = match facts::draft(look, ground, feed, table).await {
            Ok(_) => "its name does not say that it holds such facts".to_owned(),
            Err(lacks) => lacks,
        };
        told.push((ground.catalog.tables[table].shown(), lacks));
    }
    told
}
