//! Says what was seen of a database, and what was not found.

use connector_sql::{Changes, MissingFeed, Proposal, ProposedFeed};
use program::terminal::{counted, print_line, visible};

/// Most tables that are named in a line.
const MAX_NAMED: usize = 8;

pub(super) fn print(proposal: &Proposal) {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    print_line(format!(
        "{} answers: {} with {}{}",
        proposal.product,
        counted(count(proposal.tables), "table", "tables"),
        counted(count(proposal.columns), "column", "columns"),
        if proposal.is_cut {
            "; there are more than are looked at"
        } else {
            ""
        }
    ));
    if let Some(system) = proposal.system {
        print_line(format!("the tables are those of {}", system.name));
        print_line(format!("    {}", system.guide));
    }
    if !proposal.unreadable.is_empty() {
        print_line(format!(
            "the account may not read {}; what they hold is not proposed",
            named(&proposal.unreadable)
        ));
    }
    for (part, fault) in proposal.unread.iter().take(MAX_NAMED) {
        print_line(format!(
            "{} cannot be looked at: {fault}; what it holds is not proposed",
            visible(part)
        ));
    }
    if proposal.unread.len() > MAX_NAMED {
        let more = proposal.unread.len() - MAX_NAMED;
        print_line(format!("nor can {more} more be looked at"));
    }
    if proposal.persons.is_empty() {
        print_line("no table of persons was recognised");
    } else {
        print_line(format!("persons: {}", named(&proposal.persons)));
    }
    proposal.feeds.iter().for_each(print_feed);
    proposal.missing.iter().for_each(print_missing);
}

fn print_feed(feed: &ProposedFeed) {
    let changes = match &feed.changes {
        Changes::OneStamp => "changes are noticed by its stamp".to_owned(),
        Changes::SeveralStamps(queries) => {
            format!("changes are noticed by {} stamps", queries.len())
        }
        Changes::Content => "changes are noticed by comparing whole rows".to_owned(),
    };
    print_line(format!(
        "{}: found in {}; {changes}",
        feed.feed,
        visible(&feed.table)
    ));
    for note in &feed.notes {
        print_line(format!("    {}", visible(note)));
    }
    if let Some(untried) = &feed.untried {
        print_line(format!(
            "    the query could not be tried, the database was not able to answer: {untried}"
        ));
    }
    if let Some(fault) = &feed.fault {
        print_line(format!("    the database does not take the query: {fault}"));
    }
}

fn print_missing(missing: &MissingFeed) {
    let feed = missing.feed;
    if missing.likely.is_empty() {
        print_line(format!("{feed}: no table was found that could hold them"));
        return;
    }
    print_line(format!("{feed}: no table could be used; likely ones are"));
    for (table, lacks) in &missing.likely {
        print_line(format!("    {}: {lacks}", visible(table)));
    }
}

fn named(tables: &[String]) -> String {
    let shown: Vec<_> = tables
        .iter()
        .take(MAX_NAMED)
        .map(|table| visible(table))
        .collect();
    let rest = tables.len().saturating_sub(MAX_NAMED);
    let more = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    format!("{}{more}", shown.join(", "))
}
