//! `/metrics` in Prometheus text form, `/health/live` and `/health/ready`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::ListenConfig;

/// Why the endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {kind}; choose another listen.address")]
pub struct ListenError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the operating system said.
    pub kind: std::io::ErrorKind,
}

/// Whether the program is ready, and if not, why; shared with the endpoint.
#[derive(Debug, Clone, Default)]
pub struct Health {
    ready: Arc<AtomicBool>,
    why_not: Arc<Mutex<String>>,
}

impl Health {
    /// Everything this program needs answers.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Something it needs is away; `why` is one of the program's own sentences.
    pub fn set_unready(&self, why: impl Into<String>) {
        *self
            .why_not
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = why.into();
        self.ready.store(false, Ordering::Release);
    }
}

/// Installs the metrics recorder for this process.
///
/// # Panics
/// If another recorder was installed before: a program does this once, at its start.
#[must_use]
pub fn install_recorder() -> PrometheusHandle {
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

/// A bound endpoint that has not begun to answer.
pub struct Endpoint {
    listener: tokio::net::TcpListener,
    router: Router,
    handle: PrometheusHandle,
}

impl Endpoint {
    /// Binds the address.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn bind(
        config: &ListenConfig,
        handle: PrometheusHandle,
        health: Health,
    ) -> Result<Self, ListenError> {
        let listener = tokio::net::TcpListener::bind(config.address)
            .await
            .map_err(|error| ListenError {
                address: config.address,
                kind: error.kind(),
            })?;
        let router = Router::new()
            .route("/metrics", get(metrics_page))
            .route("/health/live", get(|| async { "alive\n" }))
            .route("/health/ready", get(ready_page))
            .with_state((handle.clone(), health));
        Ok(Self {
            listener,
            router,
            handle,
        })
    }

    /// The address it listens on, with the port the system chose where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers until `stop` resolves; keeps the histograms trimmed meanwhile.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) {
        let handle = self.handle;
        let upkeep = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(5));
            loop {
                tick.tick().await;
                handle.run_upkeep();
            }
        });
        let served = axum::serve(self.listener, self.router)
            .with_graceful_shutdown(stop)
            .await;
        upkeep.abort();
        if let Err(error) = served {
            tracing::error!(event = "endpoint-stopped", kind = ?error.kind(), "the metrics endpoint stopped");
        }
    }
}

async fn metrics_page(State((handle, _)): State<(PrometheusHandle, Health)>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        handle.render(),
    )
}

async fn ready_page(State((_, health)): State<(PrometheusHandle, Health)>) -> impl IntoResponse {
    if health.ready.load(Ordering::Acquire) {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let why = health
        .why_not
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone();
    let why = if why.is_empty() {
        "starting".to_owned()
    } else {
        why
    };
    (
        StatusCode::SERVICE_UNAVAILABLE,
        format!("not ready: {why}\n"),
    )
}
