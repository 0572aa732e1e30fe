//! The address at which a bulk export is begun.

use connector_kit::Feed;
use url::Url;

use super::{Queries, code_parameter};
use crate::export::settings::{ExportFilter, FirstLoad};
use crate::fact::resource_type;

impl Queries {
    /// The beginning of a bulk export of a feed's resources; `None` where loads are searches.
    pub(crate) fn export(
        &self,
        first_load: &FirstLoad,
        filter: ExportFilter,
        feed: Feed,
    ) -> Option<Url> {
        let mut url = match first_load {
            FirstLoad::Search => return None,
            FirstLoad::SystemExport => self.at("$export"),
            FirstLoad::PatientExport => self.at("Patient/$export"),
            FirstLoad::GroupExport(group) => self.at(&format!("Group/{group}/$export")),
        };
        url.query_pairs_mut()
            .append_pair("_type", resource_type(feed))
            .append_pair("_outputFormat", "application/fhir+ndjson");
        if filter == ExportFilter::Codes
            && let Some(filter) = self.type_filter(feed)
        {
            url.query_pairs_mut().append_pair("_typeFilter", &filter);
        }
        Some(url)
    }

    /// One query for each code, joined by commas: a comma within a query would look like their end.
    /// `None` where the feed has all codes.
    fn type_filter(&self, feed: Feed) -> Option<String> {
        let codes = self.codes(feed);
        if codes.is_empty() {
            return None;
        }
        let kind = resource_type(feed);
        let parameter = code_parameter(feed);
        let query = |code: &str| format!("{kind}?{parameter}={}", within_query(code));
        let queries: Vec<String> = codes.split(',').map(query).collect();
        Some(queries.join(","))
    }
}

/// A token with what would end it within a query encoded.
fn within_query(token: &str) -> String {
    let mut text = String::with_capacity(token.len());
    for char in token.chars() {
        match char {
            '%' => text.push_str("%25"),
            '&' => text.push_str("%26"),
            '#' => text.push_str("%23"),
            '+' => text.push_str("%2B"),
            _ => text.push(char),
        }
    }
    text
}
