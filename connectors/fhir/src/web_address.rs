//! A web address in the configuration.

use url::Url;

/// Parses a web address. The error never quotes it. `instead`: what to use in place of a user and
/// password.
pub(crate) fn web_address(text: &str, instead: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|_| "not a web address; write https://HOST/PATH")?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err("the address must begin with https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("no user or password in the address; {instead}"));
    }
    Ok(url)
}
