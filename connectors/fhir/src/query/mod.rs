//! The addresses of searches.

mod export;

use chrono::{DateTime, SecondsFormat, Utc};
use connector_kit::{Coding, Feed, SourceError};
use url::Url;

use crate::config::FhirConfig;
use crate::fact::resource_type;
use crate::run_window::RunWindow;

/// Patients asked for in one batched read.
pub(crate) const MAX_BATCH: usize = 50;
/// Corrected patients whose records are asked for at once; their ids have to fit into a cursor.
pub(crate) const MAX_CORRECTED: u32 = 20;

/// Form of a search for keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeySearchForm {
    /// True to ask for whole resources, not only for their ids and meta.
    pub is_whole: bool,
    /// True to leave out what only keys ask for: the server refuses `_elements`, or `_id` in
    /// `_sort`.
    pub is_plain: bool,
}

/// Window of time, in seconds since 1970, both ends counted in; `None` is no bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub from: Option<i64>,
    pub to: Option<i64>,
}

/// Span of change stamps that a search is for, both ends counted in; `None` is no bound.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
}

impl Span {
    pub(crate) const fn since(from: Option<DateTime<Utc>>) -> Self {
        Self { from, to: None }
    }

    /// The span from a moment to the end of a window.
    pub(crate) fn of_window(from: Option<DateTime<Utc>>, window: Option<RunWindow>) -> Self {
        let to = window.and_then(RunWindow::end);
        Self { from, to }
    }
}

/// Writer of the searches for one server.
pub(crate) struct Queries {
    base: Url,
    vaccine_codes: String,
    test_codes: String,
    diagnosis_codes: String,
}

impl Queries {
    pub(crate) fn new(config: &FhirConfig) -> Result<Self, SourceError> {
        Ok(Self {
            base: config.base_url.clone(),
            vaccine_codes: tokens(&config.vaccine_codes, "vaccine_codes")?,
            test_codes: tokens(&config.test_codes, "test_codes")?,
            diagnosis_codes: tokens(&config.diagnosis_codes, "diagnosis_codes")?,
        })
    }

    /// The first page of a feed: what changed within a span, oldest first.
    pub(crate) fn search(&self, feed: Feed, span: Span, count: u32, include: bool) -> Url {
        let mut url = self.coded(feed);
        changed_within(&mut url, span, count);
        if include {
            include_patient(&mut url, feed);
        }
        url
    }

    /// The newest of a feed's records.
    pub(crate) fn newest(&self, feed: Feed) -> Url {
        let mut url = self.coded(feed);
        url.query_pairs_mut()
            .append_pair("_sort", "-_lastUpdated")
            .append_pair("_count", "1");
        url
    }

    /// The newest of a feed's records, as many as asked for.
    pub(crate) fn newest_records(&self, feed: Feed, count: u32, include: bool) -> Url {
        let mut url = self.coded(feed);
        url.query_pairs_mut()
            .append_pair("_sort", "-_lastUpdated")
            .append_pair("_count", &count.to_string());
        if include {
            include_patient(&mut url, feed);
        }
        url
    }

    /// The newest of a feed's resources, whatever their codes.
    pub(crate) fn any_newest(&self, feed: Feed, count: u32) -> Url {
        let mut url = self.at(resource_type(feed));
        url.query_pairs_mut()
            .append_pair("_sort", "-_lastUpdated")
            .append_pair("_count", &count.to_string());
        url
    }

    /// The number of a feed's resources, or of those that have a stamp.
    pub(crate) fn count(&self, feed: Feed, stamped: bool) -> Url {
        let mut url = self.coded(feed);
        let mut query = url.query_pairs_mut();
        if stamped {
            query.append_pair("_lastUpdated", "ge1900-01-01T00:00:00.000Z");
        }
        query.append_pair("_summary", "count");
        drop(query);
        url
    }

    /// The records of a feed that changed within a window.
    pub(crate) fn keys(&self, feed: Feed, window: Window, count: u32, form: KeySearchForm) -> Url {
        let mut url = self.coded(feed);
        let mut query = url.query_pairs_mut();
        for (prefix, bound) in [("ge", window.from), ("le", window.to)] {
            if let Some(bound) = bound.and_then(|second| DateTime::from_timestamp(second, 0)) {
                query.append_pair("_lastUpdated", &format!("{prefix}{}", instant(bound)));
            }
        }
        // The id settles the order of equal stamps, without which a server may show one of them
        // twice and another never.
        let sort = if form.is_plain {
            "_lastUpdated"
        } else {
            "_lastUpdated,_id"
        };
        query
            .append_pair("_sort", sort)
            .append_pair("_count", &count.to_string());
        if !form.is_whole && !form.is_plain {
            // The subject tells whose record it is: a patient who was deleted changes no record.
            let subject = match feed {
                Feed::Vaccinations => "patient",
                Feed::Tests | Feed::Recoveries => "subject",
            };
            query.append_pair("_elements", &format!("id,meta,{subject}"));
        }
        drop(query);
        url
    }

    /// A feed's records with these ids.
    pub(crate) fn of_ids(&self, feed: Feed, ids: &[String], include: bool) -> Url {
        let mut url = self.coded(feed);
        url.query_pairs_mut()
            .append_pair("_id", &ids.join(","))
            .append_pair("_count", &ids.len().to_string());
        if include {
            include_patient(&mut url, feed);
        }
        url
    }

    /// The address of a record; `None` for an id that cannot be part of an address.
    pub(crate) fn read(&self, resource: &str, id: &str) -> Option<Url> {
        let mut url = self.at(resource);
        if matches!(id, "." | "..") {
            return None;
        }
        url.path_segments_mut().ok()?.push(id);
        Some(url)
    }

    /// The patients that changed at or after `since`, oldest first.
    pub(crate) fn changed_patients(&self, since: Option<DateTime<Utc>>) -> Url {
        let mut url = self.at("Patient");
        changed_within(&mut url, Span::since(since), MAX_CORRECTED);
        url
    }

    /// A feed's records of up to [`MAX_CORRECTED`] patients that changed within a span.
    pub(crate) fn of_patients(
        &self,
        feed: Feed,
        ids: &[String],
        span: Span,
        count: u32,
        include: bool,
    ) -> Url {
        let mut url = self.coded(feed);
        url.query_pairs_mut().append_pair("patient", &ids.join(","));
        changed_within(&mut url, span, count);
        if include {
            include_patient(&mut url, feed);
        }
        url
    }

    /// The versions that patients have had since a moment, deletions among them (R4, history).
    pub(crate) fn history_of_patients(&self, since: Option<DateTime<Utc>>) -> Url {
        let mut url = self.at("Patient/_history");
        let mut query = url.query_pairs_mut();
        if let Some(since) = since {
            query.append_pair("_since", &instant(since));
        }
        query.append_pair("_count", "200");
        drop(query);
        url
    }

    /// All records of a feed, by its codes.
    fn coded(&self, feed: Feed) -> Url {
        let resource = resource_type(feed);
        let mut url = self.at(resource);
        let mut query = url.query_pairs_mut();
        let parameter = code_parameter(feed);
        let codes = self.codes(feed);
        if !codes.is_empty() {
            query.append_pair(parameter, codes);
        }
        drop(query);
        // An empty query would leave a lone question mark.
        if url.query() == Some("") {
            url.set_query(None);
        }
        url
    }

    /// The tokens of the codes that a feed asks for, joined by commas; empty for all.
    pub(crate) fn codes(&self, feed: Feed) -> &str {
        match feed {
            Feed::Vaccinations => &self.vaccine_codes,
            Feed::Tests => &self.test_codes,
            Feed::Recoveries => &self.diagnosis_codes,
        }
    }

    /// True if one of these codings is asked for by the feed's tokens (R4 search, section
    /// 3.1.1.4.10), or the feed asks for all.
    pub(crate) fn asks_for(&self, feed: Feed, codings: &[Coding]) -> bool {
        have_token(self.codes(feed), codings)
    }

    /// A read of up to [`MAX_BATCH`] patients by their ids.
    pub(crate) fn patients(&self, ids: &[String]) -> Url {
        let mut url = self.at("Patient");
        url.query_pairs_mut()
            .append_pair("_id", &ids.join(","))
            .append_pair("_count", &MAX_BATCH.to_string());
        url
    }

    /// The patients that have a link to one of up to [`MAX_BATCH`] others.
    pub(crate) fn patients_linking(&self, ids: &[String]) -> Url {
        let mut url = self.at("Patient");
        url.query_pairs_mut()
            .append_pair("link", &ids.join(","))
            .append_pair("_count", &MAX_BATCH.to_string());
        url
    }

    /// The ids of up to [`MAX_BATCH`] patients that are there.
    pub(crate) fn patients_there(&self, ids: &[String], is_plain: bool) -> Url {
        let mut url = self.patients(ids);
        if !is_plain {
            url.query_pairs_mut().append_pair("_elements", "id");
        }
        url
    }

    /// Any patient.
    pub(crate) fn any_patient(&self) -> Url {
        let mut url = self.at("Patient");
        url.query_pairs_mut().append_pair("_count", "1");
        url
    }

    /// The capability statement.
    pub(crate) fn metadata(&self) -> Url {
        self.at("metadata")
    }

    /// The base address, with its closing slash.
    pub(crate) const fn base(&self) -> &Url {
        &self.base
    }

    /// Path and query, which with the base address make the whole again.
    pub(crate) fn path(url: &Url) -> &str {
        &url[url::Position::BeforePath..]
    }

    /// The inverse of [`Queries::path`].
    pub(crate) fn at_path(&self, path: &str) -> Option<Url> {
        let mut url = self.base.clone();
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(path, query)| (path, Some(query)));
        if !path.starts_with('/') {
            return None;
        }
        url.set_path(path);
        url.set_query(query);
        Some(url)
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }
}

fn changed_within(url: &mut Url, span: Span, count: u32) {
    let mut query = url.query_pairs_mut();
    for (prefix, bound) in [("ge", span.from), ("le", span.to)] {
        if let Some(bound) = bound {
            query.append_pair("_lastUpdated", &format!("{prefix}{}", instant(bound)));
        }
    }
    query
        .append_pair("_sort", "_lastUpdated")
        .append_pair("_count", &count.to_string());
}

fn instant(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn include_patient(url: &mut Url, feed: Feed) {
    url.query_pairs_mut()
        .append_pair("_include", &format!("{}:patient", resource_type(feed)));
}

/// Search parameter of the codes by which a feed's resources are asked for.
const fn code_parameter(feed: Feed) -> &'static str {
    match feed {
        Feed::Vaccinations => "vaccine-code",
        Feed::Tests | Feed::Recoveries => "code",
    }
}

/// True if one of these codings is meant by one of the tokens that [`tokens`] has joined, or if
/// there are no tokens.
pub(crate) fn have_token(tokens: &str, codings: &[Coding]) -> bool {
    let is_meant = |token: &str| {
        codings.iter().any(|coding| {
            let system = coding.system.as_deref().unwrap_or_default();
            match token.rsplit_once('|') {
                Some((wanted, code)) => system == wanted && coding.code == code,
                None => coding.code == token,
            }
        })
    };
    tokens.is_empty() || tokens.split(',').any(is_meant)
}

/// Entries of a list of codes, as FHIR search tokens (R4 search, section 3.1.1.4.10) joined by
/// "or": `SYSTEM|CODE`, or `CODE` in any system. An entry without an effect is an error.
pub(crate) fn tokens(codes: &[String], setting: &str) -> Result<String, SourceError> {
    let codes: Vec<&str> = codes.iter().map(|code| code.trim()).collect();
    for (place, code) in codes.iter().enumerate() {
        let wrong = |what: &str, help: &str| {
            let what = format!("entry {} of {setting} {what}", place + 1);
            Err(SourceError::misconfigured(what, help))
        };
        let form = "write CODE (in any system) or SYSTEM|CODE, one entry a code";
        if code.is_empty() || code.len() > 200 || code.contains([',', '\\', '$']) {
            return wrong("is no code", form);
        }
        let (system, bare) = code.rsplit_once('|').unwrap_or(("-", code));
        if bare.trim().is_empty() || system.contains('|') {
            return wrong("names no code, so that nothing can match it", form);
        }
        if system.trim().is_empty() {
            return wrong("begins with a stroke and names no system", form);
        }
        if code.contains(char::is_whitespace) && code.contains('|') {
            return wrong("has a blank in it, so that nothing can match it", form);
        }
        let is_uri = bare.contains("://") || bare.to_ascii_lowercase().starts_with("urn:");
        if is_uri {
            return wrong(
                "is a system without a code, so that nothing can match it",
                form,
            );
        }
        let says_more = |other: &&str| *other == *code || *other == bare;
        let before = codes[..place].iter().position(says_more);
        let behind = codes[place + 1..]
            .iter()
            .position(|other| *other == bare && bare != *code);
        let other = before.or(behind.map(|behind| place + 1 + behind));
        if let Some(other) = other {
            return wrong(
                &format!(
                    "has no effect beside entry {}, which means it too",
                    other + 1
                ),
                "take one of them out",
            );
        }
    }
    Ok(codes.join(","))
}

#[cfg(test)]
mod tests;
