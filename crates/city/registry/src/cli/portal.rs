//! `city-registry portal`: answers portals, and publishes what verifiers fetch.

use std::sync::Arc;

use clock::Clock;
use program::{Failure, systemd};
use telemetry::{Endpoint, Health};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::closing::close_in_time;
use super::config_file::LoadedConfig;
use super::rules::{passes_config, read_rules};
use crate::passes::{PassError, PassKeys, Passes};
use crate::portal::{Door, Portal, register_metrics};
use crate::{Keys, Reader};

pub(super) async fn portal(
    loaded: &LoadedConfig,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let config = &loaded.config.portal;
    let health = Health::default();
    let tasks = TaskTracker::new();
    let endpoint = Endpoint::open(config.listen.as_ref(), &health).await?;
    register_metrics();
    let door = Door::open(config, &loaded.base)
        .await
        .map_err(Failure::change)?;
    let reader = open_reader(loaded).await?;
    let passes = open_passes(loaded, reader.clone())?;
    if let Some(endpoint) = endpoint {
        tasks.spawn(endpoint.serve(stop.clone().cancelled_owned()));
    }
    let root = passes.keys().root().kid();
    let portal = Portal::new(passes, config, clock);
    tracing::info!(
        event = "started",
        address = %door.address(),
        tls = config.tls.is_some(),
        store = reader.describe(),
        %root,
        "portals are answered"
    );
    systemd::notify_ready();
    let publishing = Arc::clone(&portal);
    let publishing_stop = stop.clone();
    tasks.spawn(async move {
        let told = move |step: Result<(), &PassError>| tell(&health, step);
        publishing.publish_loop(told, publishing_stop).await;
    });
    door.serve(portal, stop).await;
    systemd::notify_stopping();
    close_in_time(&tasks, &reader).await;
    tracing::info!(event = "stopped", "stopped; portals are not answered");
    Ok(())
}

async fn open_reader(loaded: &LoadedConfig) -> Result<Reader, Failure> {
    let keys = Keys::read(&loaded.config.keys, &loaded.base)?;
    Ok(Reader::open(&loaded.config.store, keys, &loaded.base).await?)
}

fn open_passes(loaded: &LoadedConfig, reader: Reader) -> Result<Passes, Failure> {
    let config = passes_config(loaded)?;
    let rules = read_rules(&loaded.base.join(&config.rules))?;
    let keys = PassKeys::read(config, &loaded.base).map_err(Failure::change)?;
    Ok(Passes::new(reader, rules, keys, config.settings()))
}

/// Tells how a publication went: it is ready once something is published and nothing fails.
fn tell(health: &Health, step: Result<(), &PassError>) {
    match step {
        Ok(()) => health.set_ready(),
        Err(error) => {
            tracing::warn!(
                event = "publish-failed",
                %error,
                "what was published before is still served; trying again"
            );
            health.set_unready(error.to_string());
        }
    }
}
