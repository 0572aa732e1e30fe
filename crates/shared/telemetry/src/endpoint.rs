//! `/metrics` in Prometheus text form, `/health/live` and `/health/ready`.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

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

/// Bound endpoint that does not answer yet.
pub struct Endpoint {
    listener: tokio::net::TcpListener,
    router: Router,
    metrics: PrometheusHandle,
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
        let Some(&ListenConfig { address }) = listen else {
            return Ok(None);
        };
        let metrics = install_recorder();
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .map_err(|error| ListenError {
                address,
                kind: error.kind(),
            })?;
        let router = Router::new()
            .route("/metrics", get(metrics_page))
            .route("/health/live", get(|| async { "alive\n" }))
            .route("/health/ready", get(ready_page))
            .with_state((metrics.clone(), health.clone()));
        Ok(Some(Self {
            listener,
            router,
            metrics,
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
        let metrics = self.metrics;
        let upkeep = tokio::spawn(async move {
            let mut tick = tokio::time::interval(UPKEEP_EVERY);
            loop {
                tick.tick().await;
                metrics.run_upkeep();
            }
        });
        let served = axum::serve(self.listener, self.router)
            .with_graceful_shutdown(stop)
            .await;
        upkeep.abort();
        if let Err(error) = served {
            tracing::error!(
                event = "endpoint-stopped",
                kind = ?error.kind(),
                "the metrics endpoint stopped"
            );
        }
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

async fn metrics_page(State((metrics, _)): State<(PrometheusHandle, Health)>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        metrics.render(),
    )
}

async fn ready_page(State((_, health)): State<(PrometheusHandle, Health)>) -> impl IntoResponse {
    match health.reason_unready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}
