//! Connection to one key service or token issuer: requests, and answers within limits.

use std::path::Path;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use url::Url;

use crate::config::ConnectionConfig;
use crate::error::{KeyClientError, KeyConfigMistake};
use crate::exchange::{Line, Reply};
use crate::limits::MAX_KEYS_BYTES;
use crate::peer::{Peer, PeerKind};
use crate::{build, refusal, transport};

/// Connection to one key service or token issuer.
pub(crate) struct Connection {
    /// Key service or issuer, as sentences name it.
    pub(crate) peer: Peer,
    url: Url,
    line: Line,
}

impl Connection {
    /// Reads the certificates. Relative paths start from `base`; `label` names the peer in mistakes.
    pub(crate) fn new(
        kind: PeerKind,
        label: &str,
        config: &ConnectionConfig<'_>,
        base: &Path,
    ) -> Result<Self, KeyConfigMistake> {
        Ok(Self {
            peer: Peer::new(kind, config.url),
            url: config.url.clone(),
            line: Line::new(build::client(label, config, base)?),
        })
    }

    /// Sends a request for an evaluation under this key; returns the body of the answer.
    pub(crate) async fn evaluate(
        &self,
        request: Vec<u8>,
        most_bytes: usize,
        key: u16,
    ) -> Result<Vec<u8>, KeyClientError> {
        let reply = self.post(request, most_bytes).await?;
        self.body_of(reply, Some(key))
    }

    /// Sends a request for an evaluation; returns the answer of whatever status.
    pub(crate) async fn post(
        &self,
        body: Vec<u8>,
        most_bytes: usize,
    ) -> Result<Reply, KeyClientError> {
        let octets = HeaderValue::from_static("application/octet-stream");
        let request = self.line.client().post(self.path("/v1/evaluate"));
        let request = request.header(CONTENT_TYPE, octets).body(body);
        self.send(request, most_bytes).await
    }

    /// Asks for the list of keys; returns its bytes.
    pub(crate) async fn keys(&self) -> Result<Vec<u8>, KeyClientError> {
        let request = self.line.client().get(self.path("/v1/keys"));
        let reply = self.send(request, MAX_KEYS_BYTES).await?;
        self.body_of(reply, None)
    }

    /// Body of an answer with status 200; an error of every other.
    pub(crate) fn body_of(
        &self,
        reply: Reply,
        key: Option<u16>,
    ) -> Result<Vec<u8>, KeyClientError> {
        if reply.status != 200 {
            return Err(refusal::of_status(&reply, &self.peer, key));
        }
        reply.body.ok_or_else(|| refusal::too_long(&self.peer))
    }

    /// Error of a runtime that is going down while work is waiting for it.
    pub(crate) fn ending(&self) -> KeyClientError {
        KeyClientError::Retry {
            service: self.peer.to_string(),
            clause: "was not waited for: this program is ending".to_owned(),
        }
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        most_bytes: usize,
    ) -> Result<Reply, KeyClientError> {
        let of_error = |error: reqwest::Error| transport::of_error(&error, &self.peer);
        let request = request.build().map_err(of_error)?;
        let reply = self.line.exchange(request, most_bytes).await;
        reply.map_err(of_error)
    }

    fn path(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url
    }
}
