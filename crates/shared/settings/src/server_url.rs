//! URLs of servers that a program asks: which of them are safe.

use url::{Host, Url};

/// Returns whether a server may be asked at a URL of the configuration: by TLS, or on this machine.
/// The URL names scheme, host and port alone.
pub fn may_be_asked(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let is_plain = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    is_plain && is_safe && url.has_host()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_by_tls_or_on_this_machine() {
        let may = |text: &str| may_be_asked(&Url::parse(text).expect("a URL"));
        for good in [
            "https://server.example:9467",
            "https://server.example/",
            "http://127.0.0.1:9467",
            "http://[::1]:9467",
            "http://localhost:9467",
        ] {
            assert!(may(good), "{good}");
        }
        for bad in [
            "http://server.example:9467",
            "http://192.0.2.1:9467",
            "http://localhost.example:9467",
            "https://user:secret@server.example",
            "https://server.example/v1",
            "https://server.example/?a",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
        ] {
            assert!(!may(bad), "{bad}");
        }
    }
}
