//! Client for plain HTTP to servers of this machine.

/// Makes a client that takes no proxy.
pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
    // The client wants a provider of cryptography even where it speaks plain HTTP. A second call
    // changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build()
}
