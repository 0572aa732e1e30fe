//! `city-portal run`: serves the page, and looks whether the registry and the key services answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use parking_lot::Mutex;
use program::{Failure, systemd};
use telemetry::{Endpoint, Health, HealthPart};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::audit::{self, RequestLines};
use super::config_file::LoadedConfig;
use crate::http::{TlsError, acceptor};
use crate::open::{OpenPortalError, open_portal};
use crate::portal::CityPortal;
use crate::register_metrics;
use crate::registry::{ClientMistake, RegistryClient, RegistryFault};
use crate::verifier_site::{VerifierMistake, VerifierSite};

/// Pause between two looks whether the registry and the key services answer.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Time that the last answers of metrics and health get.
const CLOSING_TIME: Duration = Duration::from_secs(2);

impl From<OpenPortalError> for Failure {
    fn from(error: OpenPortalError) -> Self {
        Self::change(error)
    }
}

impl From<ClientMistake> for Failure {
    fn from(error: ClientMistake) -> Self {
        Self::change(error)
    }
}

impl From<VerifierMistake> for Failure {
    fn from(error: VerifierMistake) -> Self {
        Self::change(error)
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::change(error)
    }
}

pub(super) async fn run(
    loaded: &LoadedConfig,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let config = &loaded.config;
    let health = Health::default();
    let tasks = TaskTracker::new();
    let endpoint = Endpoint::open(config.listen.as_ref(), &health).await?;
    register_metrics();
    let tls = config.portal.tls.as_ref();
    let tls = tls.map(|tls| acceptor(tls, &loaded.base)).transpose()?;
    let registry = Arc::new(RegistryClient::new(&config.registry, &loaded.base)?);
    let portal = open_portal(
        config,
        &loaded.base,
        Arc::clone(&registry),
        Arc::clone(&clock),
    )?;
    let lines = audit::folder(loaded).map(|folder| RequestLines::new(folder, clock.now()));
    let lines = lines.map(|lines| Arc::new(Mutex::new(lines)));
    portal.register_key_service_metrics();
    let listener = bind(loaded.config.portal.address, "portal.address").await?;
    let verifier = open_verifier(loaded, registry, Arc::clone(&clock)).await?;
    if let Some(endpoint) = endpoint {
        tasks.spawn(endpoint.serve(stop.clone().cancelled_owned()));
    }
    let address = listener.local_addr().ok().map(tracing::field::display);
    tracing::info!(
        event = "started",
        address,
        tls = tls.is_some(),
        "the page is served"
    );
    if let Some((site, listener)) = verifier {
        let address = listener.local_addr().ok().map(tracing::field::display);
        tracing::info!(
            event = "verifier-started",
            address,
            "the verifier page is served"
        );
        tasks.spawn(site.serve(listener, tls.clone(), stop.clone()));
    }
    systemd::notify_ready();
    spawn_watchers(&tasks, &portal, lines.as_ref(), &health, &stop);
    Arc::clone(&portal).serve(listener, tls, stop).await;
    systemd::notify_stopping();
    tasks.close();
    let _in_time = tokio::time::timeout(CLOSING_TIME, tasks.wait()).await;
    if let Some(lines) = lines {
        lines.lock().finish(portal.take_tally(), clock.now())?;
    }
    tracing::info!(event = "stopped", "stopped; the page is not served");
    Ok(())
}

/// Begins to look whether the registry and the key services answer, and to write hours where a log
/// is kept.
fn spawn_watchers(
    tasks: &TaskTracker,
    portal: &Arc<CityPortal>,
    lines: Option<&Arc<Mutex<RequestLines>>>,
    health: &Health,
    stop: &CancellationToken,
) {
    let mut parts = health.parts(1 + usize::from(lines.is_some()));
    if let Some(lines) = lines
        && let Some(part) = parts.pop()
    {
        let portal = Arc::clone(portal);
        let writing = audit::write_hours(Arc::clone(lines), portal, part, stop.clone());
        tasks.spawn(writing);
    }
    for part in parts {
        tasks.spawn(look(Arc::clone(portal), part, stop.clone()));
    }
}

/// Opens the verifier page and its address, where the configuration has them.
async fn open_verifier(
    loaded: &LoadedConfig,
    registry: Arc<RegistryClient>,
    clock: Arc<dyn Clock>,
) -> Result<Option<(Arc<VerifierSite>, TcpListener)>, Failure> {
    let Some(config) = &loaded.config.verifier else {
        return Ok(None);
    };
    let site = VerifierSite::open(config, &loaded.base, registry, clock)?;
    let listener = bind(config.address, "verifier.address").await?;
    Ok(Some((site, listener)))
}

/// Binds the address of a setting.
pub(super) async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::Change(format!(
            "cannot listen on {address}: {}; choose another {setting}",
            error.kind()
        ))
    })
}

/// Looks whether the registry and the key services answer, and tells the log when that changes.
async fn look(portal: Arc<CityPortal>, health: HealthPart, stop: CancellationToken) {
    let mut was = None;
    while !stop.is_cancelled() {
        let looks = async {
            let registry = portal.look_at_registry().await;
            (registry, portal.look_at_key_services().await)
        };
        let (looked, keys) = tokio::select! {
            looked = looks => looked,
            () = stop.cancelled() => return,
        };
        let now = looked.as_ref().err().map(|fault| fault.kind);
        if was != Some(now) {
            tell(&looked);
        }
        match (looked, keys) {
            (Ok(()), Ok(())) => health.set_ready(),
            (Err(fault), _) => health.set_unready(fault.to_string()),
            (Ok(()), Err(fault)) => health.set_unready(fault.to_string()),
        }
        was = Some(now);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Tells the log how a look went.
fn tell(looked: &Result<(), RegistryFault>) {
    match looked {
        Ok(()) => tracing::info!(event = "registry-answers", "the registry answers"),
        Err(fault) => {
            let kind = fault.kind.as_str();
            tracing::warn!(event = "registry-failed", fault = kind, "{fault}");
        }
    }
}
