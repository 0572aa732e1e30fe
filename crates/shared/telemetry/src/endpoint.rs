//! `/metrics` in Prometheus text form, `/health/live` and `/health/ready`.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::server::{LIMITS, serve};
use crate::{Health, ListenConfig};

/// Pause between two trims of the histograms.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Error on opening the endpoint.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {kind}; choose another listen.address")]
pub struct ListenError {
    /// Address of the `[listen]` section.
    pub address: SocketAddr,
    /// Error of the operating system.
    pub kind: std::io::ErrorKind,
}

/// Checks that the address of the `[listen]` section can be bound, and lets go of it.
///
/// # Errors
/// [`ListenError`]: it cannot be bound, also because another program has it.
pub async fn try_address(listen: &ListenConfig) -> Result<(), ListenError> {
    bind(listen).await.map(drop)
}

async fn bind(
    &ListenConfig { address }: &ListenConfig,
) -> Result<tokio::net::TcpListener, ListenError> {
    let bound = tokio::net::TcpListener::bind(address).await;
    bound.map_err(|error| ListenError {
        address,
        kind: error.kind(),
    })
}

/// Bound endpoint that does not answer yet.
pub struct Endpoint {
    listener: tokio::net::TcpListener,
    metrics: PrometheusHandle,
    health: Health,
}

impl Endpoint {
    /// Binds the address of the `[listen]` section, where there is one, and begins to record the
    /// metrics of this process.
    ///
    /// # Errors
    /// [`ListenError`]: the address cannot be bound.
    ///
    /// # Panics
    /// Panics if metrics are recorded already: a program does this once, at its start.
    pub async fn open(
        listen: Option<&ListenConfig>,
        health: &Health,
    ) -> Result<Option<Self>, ListenError> {
        let Some(listen) = listen else {
            return Ok(None);
        };
        let metrics = install_recorder();
        let listener = bind(listen).await?;
        Ok(Some(Self {
            listener,
            metrics,
            health: health.clone(),
        }))
    }

    /// Logs the address, then returns the future that answers until `stop` resolves; it keeps the
    /// histograms trimmed meanwhile.
    pub fn serve(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        // The address has the port that the system chose where 0 was asked for.
        let address = self.listener.local_addr().ok();
        let address = address.map(tracing::field::display);
        tracing::info!(
            event = "endpoint-open",
            address,
            "metrics and health are served"
        );
        self.answer(stop)
    }

    async fn answer(self, stop: impl Future<Output = ()> + Send + 'static) {
        let metrics = self.metrics.clone();
        let upkeep = tokio::spawn(async move {
            let mut tick = tokio::time::interval(UPKEEP_EVERY);
            loop {
                tick.tick().await;
                metrics.run_upkeep();
            }
        });
        let page = move |method: &Method, path: &str| {
            answer(method, path, || self.metrics.render(), &self.health)
        };
        serve(self.listener, LIMITS, page, stop).await;
        upkeep.abort();
    }
}

/// Installs the recorder of this process's metrics.
fn install_recorder() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Suffix("_seconds".to_owned()),
            &[0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0],
        )
        .expect("the list of buckets is not empty")
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("the recorder is installed once, at the start");
    handle
}

/// Answers one request.
fn answer(
    method: &Method,
    path: &str,
    metrics: impl FnOnce() -> String,
    health: &Health,
) -> Response<String> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refusal.headers_mut().insert(ALLOW, allowed);
        return refusal;
    }
    match path {
        "/metrics" => {
            let mut page = plain(StatusCode::OK, metrics());
            let kind = HeaderValue::from_static("text/plain; version=0.0.4");
            page.headers_mut().insert(CONTENT_TYPE, kind);
            page
        }
        "/health/live" => plain(StatusCode::OK, "alive\n"),
        "/health/ready" => match health.reason_unready() {
            None => plain(StatusCode::OK, "ready\n"),
            Some(reason) => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {reason}\n"),
            ),
        },
        _ => plain(StatusCode::NOT_FOUND, "no such page\n"),
    }
}

fn plain(status: StatusCode, text: impl Into<String>) -> Response<String> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_answers_and_nothing_else_does() {
        let health = Health::default();
        let asked = |method: Method, path: &str| {
            let response = answer(&method, path, || "m 1\n".to_owned(), &health);
            (response.status().as_u16(), response.into_body())
        };
        let page = |status, text: &str| (status, text.to_owned());
        assert_eq!(asked(Method::GET, "/metrics"), page(200, "m 1\n"));
        assert_eq!(asked(Method::HEAD, "/health/live"), page(200, "alive\n"));
        let starting = page(503, "not ready: starting\n");
        assert_eq!(asked(Method::GET, "/health/ready"), starting);
        health.set_ready();
        assert_eq!(asked(Method::GET, "/health/ready"), page(200, "ready\n"));
        assert_eq!(asked(Method::POST, "/metrics"), page(405, "only GET\n"));
        assert_eq!(asked(Method::GET, "/metrics/"), page(404, "no such page\n"));
    }
}
