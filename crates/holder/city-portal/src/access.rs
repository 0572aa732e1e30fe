//! Access: only pages of this portal may post, as browsers tell where a request is from.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};

/// Header by which a browser says whose page a request is from (Fetch Metadata).
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Header in which a proxy names the client, last of what is there.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Rule for requests, as the configuration has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// Origin of the page, such as `https://passes.example`; where there is none, the header Host
    /// says it.
    pub origin: Option<String>,
    /// True: a proxy stands in front, and names the client.
    pub is_behind_proxy: bool,
    /// True: the page is served to this machine alone.
    pub is_loopback: bool,
}

/// Mistake in what the configuration says of the page's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("portal.origin is no origin; write scheme and host alone, such as https://passes.example")]
pub struct AccessMistake;

/// Reads an origin: scheme, host and port, and nothing else.
pub(crate) fn read_origin(text: &str) -> Result<String, AccessMistake> {
    let url = url::Url::parse(text).map_err(|_| AccessMistake)?;
    let origin = url.origin().ascii_serialization();
    let is_web = matches!(url.scheme(), "http" | "https");
    match is_web && origin == text.trim_end_matches('/') {
        true => Ok(origin),
        false => Err(AccessMistake),
    }
}

impl Access {
    /// Returns whether a request was made by a page of this portal. A browser says so by at least
    /// one of the two headers; a request without either is refused.
    pub(crate) fn is_same_origin(&self, headers: &HeaderMap) -> bool {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
        let site = text(SEC_FETCH_SITE);
        if site.is_some_and(|site| site != "same-origin") {
            return false;
        }
        match text(ORIGIN.as_str()) {
            Some(origin) => self.is_own(origin, text(HOST.as_str())),
            None => site.is_some(),
        }
    }

    fn is_own(&self, origin: &str, host: Option<&str>) -> bool {
        match &self.origin {
            Some(own) => origin.eq_ignore_ascii_case(own),
            None => {
                let of_origin = origin.split_once("://").map(|(_, host)| host);
                of_origin.is_some() && of_origin == host && self.may_be_named(host)
            }
        }
    }

    /// Returns whether a host may name this portal where no origin is configured. On this machine
    /// only its own names may: a name of another one that leads here (DNS rebinding) is a page of
    /// somebody else.
    fn may_be_named(&self, host: Option<&str>) -> bool {
        let own = |host: &str| {
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        };
        !self.is_loopback || host.is_some_and(own)
    }

    /// Address of the client that a request is counted for.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.is_behind_proxy {
            return peer;
        }
        let last = headers.get_all(FORWARDED_FOR).iter().next_back();
        let last = last.and_then(|value| value.to_str().ok());
        let last = last.and_then(|list| list.rsplit(',').next());
        last.and_then(|client| client.trim().parse().ok())
            .unwrap_or(peer)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn only_a_page_of_this_portal_may_post() {
        let access = Access {
            is_loopback: true,
            ..Access::default()
        };
        let host = ("host", "127.0.0.1:9470");
        let own = ("origin", "http://127.0.0.1:9470");
        let same = ("sec-fetch-site", "same-origin");
        for good in [&[host, own][..], &[host, same], &[host, own, same]] {
            assert!(access.is_same_origin(&headers(good)), "{good:?}");
        }
        let bad: &[&[(&str, &str)]] = &[
            &[host],
            &[own],
            &[host, ("origin", "null")],
            &[host, ("origin", "http://evil.example")],
            &[host, ("origin", "http://127.0.0.1:9471")],
            &[host, own, ("sec-fetch-site", "cross-site")],
            &[host, own, ("sec-fetch-site", "same-site")],
            &[host, ("sec-fetch-site", "none")],
            &[host, same, ("origin", "http://evil.example")],
            &[("host", "evil.example"), ("origin", "http://evil.example")],
        ];
        for bad in bad {
            assert!(!access.is_same_origin(&headers(bad)), "{bad:?}");
        }
    }

    #[test]
    fn behind_a_proxy_the_configured_origin_counts_and_the_last_client() {
        let access = Access {
            origin: Some("https://passes.example".to_owned()),
            is_behind_proxy: true,
            is_loopback: false,
        };
        let host = ("host", "10.0.0.5:8080");
        let own = [host, ("origin", "https://passes.example")];
        assert!(access.is_same_origin(&headers(&own)));
        let other = [host, ("origin", "https://10.0.0.5:8080")];
        assert!(!access.is_same_origin(&headers(&other)));
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let client = |pairs: &[_]| access.client(peer, &headers(pairs)).to_string();
        let forged = ("x-forwarded-for", "192.0.2.66, 192.0.2.7");
        assert_eq!(client(&[forged]), "192.0.2.7");
        let second = ("x-forwarded-for", "192.0.2.8");
        assert_eq!(client(&[forged, second]), "192.0.2.8");
        assert_eq!(client(&[]), "127.0.0.1");
        assert_eq!(client(&[("x-forwarded-for", "nobody")]), "127.0.0.1");
        let direct = Access::default().client(peer, &headers(&[second]));
        assert_eq!(direct, peer);
    }

    #[test]
    fn an_origin_is_scheme_and_host_alone() {
        let read = |text| read_origin(text);
        assert_eq!(
            read("https://passes.example").as_deref(),
            Ok("https://passes.example")
        );
        assert!(read("http://127.0.0.1:9470").is_ok());
        for bad in [
            "passes.example",
            "https://passes.example/page",
            "file:///",
            "",
        ] {
            assert_eq!(read(bad), Err(AccessMistake), "{bad}");
        }
    }
}
