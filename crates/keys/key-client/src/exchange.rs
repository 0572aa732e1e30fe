//! One request to a key service and its answer, within limits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Request, Response};

use crate::limits::MAX_PROBLEM_BYTES;

/// Way to one key service.
pub(crate) struct Line {
    client: Client,
    /// True once an answer has come: a connection may have been kept, and closed over there.
    has_answered: AtomicBool,
}

/// Answer, of whatever status.
pub(crate) struct Reply {
    /// HTTP status.
    pub(crate) status: u16,
    /// Header Retry-After, where it is a number of seconds.
    pub(crate) retry_after: Option<Duration>,
    /// Body; `None` where it is longer than it may be.
    pub(crate) body: Option<Vec<u8>>,
}

impl Line {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            has_answered: AtomicBool::new(false),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request, and reads `most_bytes` of the body of an answer with status 200. A request
    /// on a connection that was kept and breaks before an answer is sent once more: the service may
    /// have closed it while it was idle.
    pub(crate) async fn exchange(
        &self,
        request: Request,
        most_bytes: usize,
    ) -> Result<Reply, reqwest::Error> {
        let again = request.try_clone();
        let sent = self.client.execute(request).await;
        let response = match (sent, again) {
            (Err(error), Some(again)) if self.may_be_idle(&error) => {
                self.client.execute(again).await?
            }
            (sent, _) => sent?,
        };
        self.has_answered.store(true, Ordering::Relaxed);
        read(response, most_bytes).await
    }

    fn may_be_idle(&self, error: &reqwest::Error) -> bool {
        let is_broken = error.is_request() && !error.is_connect() && !error.is_timeout();
        is_broken && self.has_answered.load(Ordering::Relaxed)
    }
}

async fn read(mut response: Response, most_bytes: usize) -> Result<Reply, reqwest::Error> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    let retry_after = retry_after.map(Duration::from_secs);
    let body = match status {
        200 => bounded(&mut response, most_bytes).await?,
        // A problem whose body breaks off is told by its status.
        _ => bounded(&mut response, MAX_PROBLEM_BYTES)
            .await
            .unwrap_or(None),
    };
    Ok(Reply {
        status,
        retry_after,
        body,
    })
}

/// Body of so many bytes at most; `None` for a longer one, of which no more is read.
async fn bounded(
    response: &mut Response,
    most_bytes: usize,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most_bytes {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}
