//! Links and addresses that a server behind a proxy writes with an address of its own.

use connector_kit::SourceError;
use url::Url;

use crate::bundle::ServerPage;
use crate::config::Links;
use crate::export::settings::ExportOrigin;
use crate::readable::readable;

/// Addresses of its own that are kept of one server: a cluster may have one for each member.
const MAX_ADDRESSES: usize = 8;
/// Types of the resources that links lead to.
const TYPES: [&str; 4] = ["Patient", "Immunization", "Observation", "Condition"];

/// Base addresses, with their closing slashes, under which a server's own resources are known:
/// `base_url`, and those that the server writes itself where links are rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnAddresses(Vec<String>);

impl OwnAddresses {
    pub(crate) fn new(base: &str) -> Self {
        Self(vec![base.to_owned()])
    }

    /// An address without the base address that it begins with; any other as it is.
    pub(crate) fn local<'a>(&self, address: &'a str) -> &'a str {
        let bases = self.0.iter();
        let mut locals = bases.filter_map(|base| address.strip_prefix(base.as_str()));
        locals.next().unwrap_or(address)
    }

    /// True if the server has shown an address of its own.
    pub(crate) fn has_written(&self) -> bool {
        self.0.len() > 1
    }

    /// Learns the base address that a page of a search shows: by its self link, or by the address of
    /// its first match where that is of the self link's host. A page without a self link teaches
    /// nothing: its matches may be another server's, whose patients have ids of their own.
    pub(crate) fn learn(&mut self, page: &ServerPage, resource_type: &str) {
        let own = page.own.as_deref().and_then(written);
        let of_self = own.as_ref().and_then(|own| {
            let end = format!("/{resource_type}");
            let path = own.path().strip_suffix(&end)?;
            Some(format!("{}{path}/", own.origin().ascii_serialization()))
        });
        let of_match = || {
            let shown = page.matches.iter().find(|found| found.id.is_some())?;
            let id = shown.id.as_deref()?;
            let address = written(shown.full_url.as_deref()?)?;
            // Of a server that gathers others' resources only the self link is its own.
            let is_of_self = own
                .as_ref()
                .is_some_and(|own| own.origin() == address.origin());
            if !is_of_self {
                return None;
            }
            let base = address
                .as_str()
                .strip_suffix(&format!("{resource_type}/{id}"))?;
            Some(base.to_owned())
        };
        if let Some(base) = of_self.or_else(of_match)
            && self.0.len() < MAX_ADDRESSES
            && !self.0.contains(&base)
        {
            self.0.push(base);
        }
    }
}

/// An absolute address of the web.
fn written(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    matches!(url.scheme(), "https" | "http").then_some(url)
}

/// Target of a link of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkTarget {
    /// The next page of a search.
    NextPage,
    /// The status of a bulk export.
    ExportStatus,
    /// A file of a bulk export.
    ExportFile,
}

impl LinkTarget {
    const fn words(self) -> &'static str {
        match self {
            Self::NextPage => "the next page",
            Self::ExportStatus => "the status of its bulk export",
            Self::ExportFile => "a file of its bulk export",
        }
    }
}

/// A link as the server wrote it on a page, as an address under `base`.
///
/// # Errors
/// [`SourceError::Misconfigured`] for a link that leads off the server, unless links are rewritten,
/// and for one that leads nowhere.
pub(crate) fn follow(
    base: &Url,
    page: &Url,
    link: &str,
    target: LinkTarget,
    rule: Links,
    addresses: &OwnAddresses,
) -> Result<Url, SourceError> {
    let begins_with_type = TYPES.iter().any(|kind| {
        let rest = link.strip_prefix(kind);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['?', '/']))
    });
    // Relative addresses of FHIR begin at the base address, those of the web at the page.
    let from = if begins_with_type { base } else { page };
    let url = from.join(link).map_err(|_| {
        SourceError::misconfigured(
            format!("the FHIR server's link to {} is no address", target.words()),
            "have the server mended",
        )
    })?;
    let has_account = !url.username().is_empty() || url.password().is_some();
    let is_here = url.origin() == base.origin() && !has_account;
    if rule == Links::Refuse {
        return if is_here {
            Ok(url)
        } else {
            Err(off_host(base, &url, target))
        };
    }
    let is_below = url.path().starts_with(base.path().trim_end_matches('/'));
    if is_here && (is_below || written(link).is_some()) {
        return Ok(url);
    }
    if !matches!(url.scheme(), "https" | "http") {
        return Err(off_host(base, &url, target));
    }
    match place(base, &url, addresses) {
        Some(place) => Ok(at(base, &place, url.query())),
        None if is_here => Ok(url),
        None => Err(SourceError::misconfigured(
            format!(
                "the FHIR server's link to {} leads to another host, and has nothing in it that \
                 tells what it stands for at base_url",
                target.words()
            ),
            "have the server write its links with the address of base_url",
        )),
    }
}

/// Path of a foreign address below the base address; empty for the base address itself.
fn place(base: &Url, url: &Url, addresses: &OwnAddresses) -> Option<String> {
    let whole = format!("{}{}", url.origin().ascii_serialization(), url.path());
    for own in &addresses.0[1..] {
        if let Some(rest) = whole.strip_prefix(own.as_str()) {
            return Some(format!("/{rest}"));
        }
        if whole == own.trim_end_matches('/') {
            return Some(String::new());
        }
    }
    let path = url.path();
    let begin = TYPES
        .iter()
        .filter_map(|kind| {
            let (place, _) = path.match_indices(&format!("/{kind}")).last()?;
            let rest = &path[place + 1 + kind.len()..];
            (rest.is_empty() || rest.starts_with('/')).then_some(place)
        })
        .max();
    if let Some(begin) = begin {
        return Some(path[begin..].to_owned());
    }
    let below = path.strip_prefix(base.path().trim_end_matches('/'));
    if let Some(rest) = below.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Some(rest.to_owned());
    }
    // The whole path is the server's own base address: what is asked for stands in the query.
    let end = if path.ends_with('/') { "/" } else { "" };
    url.query().map(|_| end.to_owned())
}

fn at(base: &Url, place: &str, query: Option<&str>) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{place}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

/// A link to a file of an export, where it leads to one of the origins that are allowed for them.
pub(crate) fn stored(page: &Url, link: &str, origins: &[ExportOrigin]) -> Option<Url> {
    let url = page.join(link).ok()?;
    let has_account = !url.username().is_empty() || url.password().is_some();
    let is_allowed = origins
        .iter()
        .any(|allowed| allowed.origin() == url.origin());
    (is_allowed && !has_account).then_some(url)
}

fn off_host(base: &Url, url: &Url, target: LinkTarget) -> SourceError {
    let what = format!(
        "the FHIR server's link to {} leads to another {}, and is not followed",
        target.words(),
        difference(base, url)
    );
    if target == LinkTarget::ExportFile {
        return SourceError::misconfigured(
            what,
            format!(
                "where the files lie in a store of their own, add its origin to export_origins: \
                 {}; where the server stands behind a proxy and writes an address of its own, \
                 write links = \"rewrite\"",
                readable(&url.origin().ascii_serialization())
            ),
        );
    }
    SourceError::misconfigured(
        what,
        "write links = \"rewrite\" where the server stands behind a proxy and writes an address of \
         its own; or have it write its links with the address of base_url (HAPI: \
         hapi.fhir.server_address), or the proxy pass on Host and X-Forwarded-Proto, -Host and \
         -Port; or write the address of its links into base_url",
    )
}

/// Parts in which an address differs, without the host itself.
fn difference(base: &Url, url: &Url) -> String {
    let mut parts = Vec::new();
    if url.scheme() != base.scheme() {
        let known = matches!(url.scheme(), "http" | "https");
        let scheme = if known { url.scheme() } else { "neither" };
        parts.push(format!("scheme ({scheme} instead of {})", base.scheme()));
    }
    if url.host() != base.host() {
        parts.push("host".to_owned());
    }
    let port = |url: &Url| {
        let port = url.port_or_known_default();
        port.map_or_else(|| "none".to_owned(), |port| port.to_string())
    };
    if url.port_or_known_default() != base.port_or_known_default() {
        parts.push(format!("port ({} instead of {})", port(url), port(base)));
    }
    if parts.is_empty() {
        "account".to_owned()
    } else {
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bundle;

    const BASE: &str = "https://mis.example/clinic/fhir/";

    fn rewritten(link: &str, addresses: &OwnAddresses) -> Option<String> {
        let base = Url::parse(BASE).unwrap();
        let page = base.join("Observation?x=1").unwrap();
        let url = follow(
            &base,
            &page,
            link,
            LinkTarget::NextPage,
            Links::Rewrite,
            addresses,
        )
        .ok()?;
        assert_eq!(url.origin(), base.origin(), "{link}");
        assert!(url.username().is_empty() && url.password().is_none());
        Some(url[url::Position::BeforePath..].to_owned())
    }

    #[test]
    fn a_foreign_link_is_rewritten_to_what_it_stands_for() {
        let addresses = OwnAddresses::new(BASE);
        for (link, expected) in [
            (
                "http://10.0.0.7:8080/hapi/fhir/Observation?page=2&c=a%7Cb",
                "/clinic/fhir/Observation?page=2&c=a%7Cb",
            ),
            (
                "http://10.0.0.7:8080/hapi/fhir/Observation/__page/abc",
                "/clinic/fhir/Observation/__page/abc",
            ),
            (
                "http://10.0.0.7:8080/hapi/fhir/Patient/_history?_since=1",
                "/clinic/fhir/Patient/_history?_since=1",
            ),
            (
                "http://10.0.0.7:8080/hapi/fhir?_getpages=1",
                "/clinic/fhir?_getpages=1",
            ),
            (
                "http://10.0.0.7:8080/hapi/fhir/?_getpages=1",
                "/clinic/fhir/?_getpages=1",
            ),
            (
                "http://10.0.0.7:8080/clinic/fhir/pages/7",
                "/clinic/fhir/pages/7",
            ),
            (
                "//u:p@evil.example/Observation?a",
                "/clinic/fhir/Observation?a",
            ),
            (
                "/hapi/fhir/Observation?page=2",
                "/clinic/fhir/Observation?page=2",
            ),
            ("?page=2", "/clinic/fhir/Observation?page=2"),
            ("Observation?page=2", "/clinic/fhir/Observation?page=2"),
            ("https://mis.example/pages/7", "/pages/7"),
            ("/clinic/fhir/pages/7", "/clinic/fhir/pages/7"),
        ] {
            assert_eq!(
                rewritten(link, &addresses).as_deref(),
                Some(expected),
                "{link}"
            );
        }
        for nowhere in [
            "file:///etc/passwd",
            "http://10.0.0.7/pages/7",
            "urn:uuid:7",
        ] {
            assert_eq!(rewritten(nowhere, &addresses), None, "{nowhere}");
        }
    }

    #[test]
    fn a_servers_own_address_is_learnt_of_its_pages() {
        let learnt = |own: Option<&str>, full_url: &str| {
            let mut addresses = OwnAddresses::new(BASE);
            let links = own.map(|own| json!({"relation": "self", "url": own}));
            let bundle = json!({"resourceType": "Bundle", "link": links.into_iter().collect::<Vec<_>>(),
                "entry": [{"fullUrl": full_url,
                    "resource": {"resourceType": "Observation", "id": "o"}}]});
            let page = bundle::parse(bundle.to_string().as_bytes(), "Observation").unwrap();
            addresses.learn(&page, "Observation");
            addresses.learn(&page, "Observation");
            assert!(addresses.0.len() <= 2, "each once");
            addresses
        };
        let intern = "http://10.0.0.7:8080/hapi/fhir/";
        let of_self = learnt(Some(&format!("{intern}Observation?x=1")), "urn:uuid:1");
        assert_eq!(of_self.local(&format!("{intern}Patient/p")), "Patient/p");
        assert_eq!(of_self.local(&format!("{BASE}Patient/p")), "Patient/p");
        assert_eq!(
            rewritten(&format!("{intern}pages/7"), &of_self).as_deref(),
            Some("/clinic/fhir/pages/7")
        );
        let of_match = learnt(
            Some("http://10.0.0.7:8080/hapi/fhir?search=1"),
            &format!("{intern}Observation/o"),
        );
        assert_eq!(of_match, of_self);
        let unnamed = learnt(None, &format!("{intern}Observation/o"));
        assert!(
            !unnamed.has_written(),
            "a page that does not say whose it is"
        );
        let gathered = learnt(
            Some(&format!("{BASE}?search=1")),
            &format!("{intern}Observation/o"),
        );
        assert!(!gathered.has_written(), "another server's resource");
        assert!(!learnt(None, "urn:uuid:o").has_written());
    }
}
