//! Check that the codes asked for are those that the server's records have.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use connector_kit::{CheckReport, Coding, Feed};

use crate::bundle::ServerPage;
use crate::fact::{self, MappingRules, resource_type};
use crate::readable::readable;
use crate::refusal::Ask;
use crate::session::FhirSession;

/// Records whose codes are looked at.
const SAMPLE: u32 = 100;
/// The most codes that are named.
const MAX_CODES: usize = 10;
/// Longest code that is repeated.
const MAX_CODE_BYTES: usize = 40;

/// Warns where a feed's search finds nothing, with what was asked for and what there is.
pub(super) async fn check(
    session: &FhirSession,
    feed: Feed,
    page: &ServerPage,
    now: DateTime<Utc>,
    report: &mut CheckReport,
) {
    if !page.matches.is_empty() {
        return;
    }
    let kind = resource_type(feed);
    let asked = session.queries.codes(feed);
    if asked.is_empty() {
        report.warn(
            format!("{feed}: 0 records match: the server shows this account no {kind}"),
            format!("compare the account's rights; leave {feed} out of feeds if it has none"),
        );
        return;
    }
    let what = format!("{feed}: 0 records match {asked}");
    let url = session.queries.any_newest(feed, SAMPLE);
    let help = match session.get_page(url, Ask::Search(kind), now).await {
        Ok(fetched) if fetched.page.matches.is_empty() => format!(
            "the server shows this account no {kind} at all: compare the account's rights, or \
             leave {feed} out of feeds"
        ),
        Ok(fetched) => format!(
            "among {} {kind} resources there are these codes: {}. Name those that are meant in {} \
             as \"SYSTEM|CODE\"",
            fetched.page.matches.len(),
            distinct(feed, session.mapping_rules(), resources(&fetched.page)).join(", "),
            setting(feed)
        ),
        Err(_) => format!(
            "compare {} with the codes that the server uses",
            setting(feed)
        ),
    };
    report.warn(what, help);
}

fn resources(page: &ServerPage) -> impl Iterator<Item = &str> {
    page.matches.iter().map(|resource| resource.json.get())
}

/// Name of the setting that lists a feed's codes.
pub(crate) const fn setting(feed: Feed) -> &'static str {
    match feed {
        Feed::Vaccinations => "vaccine_codes",
        Feed::Tests => "test_codes",
        Feed::Recoveries => "diagnosis_codes",
    }
}

/// The distinct codes of resources with their numbers, the most frequent first.
pub(crate) fn distinct<'a>(
    feed: Feed,
    rules: MappingRules,
    resources: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for json in resources {
        let mapped = fact::map(feed, json, rules);
        let mut names: Vec<_> = mapped.fact.codings().iter().filter_map(name).collect();
        if names.is_empty() {
            names.push("(only words)".to_owned());
        }
        for name in names {
            *counts.entry(name).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let rest = counts.len().saturating_sub(MAX_CODES);
    let mut shown: Vec<_> = counts
        .into_iter()
        .take(MAX_CODES)
        .map(|(name, count)| format!("{name} ({count})"))
        .collect();
    if rest > 0 {
        shown.push(format!("and {rest} more"));
    }
    shown
}

/// A code with its system; nothing for the clinic's own words, which may be any text.
fn name(coding: &Coding) -> Option<String> {
    let system = coding.system.as_deref()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/+".contains(&byte);
    let is_code = coding.code.len() <= MAX_CODE_BYTES && coding.code.bytes().all(fits);
    let code = if is_code { &coding.code } else { "(odd)" };
    Some(format!("{}|{code}", readable(system)))
}
