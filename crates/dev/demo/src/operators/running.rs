//! Program `key-service` in this process, as a key service or as an issuer of tokens.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use clock::{Clock, ManualClock};
use key_service::{Config, KeyService, open_door, serve};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::files::cannot;

/// Any free port of this machine.
pub(super) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Service that answers.
pub(super) struct Running {
    service: Arc<KeyService>,
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Running {
    /// Starts a service at an address, with the counts and the audit log that it has left, and
    /// writes its configuration into a file of a folder. `text` makes it for the address at which
    /// the service listens.
    pub(super) async fn start(
        folder: &Path,
        file: &str,
        address: SocketAddr,
        text: impl Fn(SocketAddr) -> String,
        clock: &Arc<ManualClock>,
    ) -> Result<Self, String> {
        let mut config: Config =
            toml::from_str(&text(address)).map_err(|error| format!("{file}: {error}"))?;
        if let Some((what, help)) = config.mistake() {
            return Err(format!("{file}: {what}; {help}"));
        }
        let door = open_door(&config.service, folder).await;
        let door = door.map_err(|error| error.to_string())?;
        let address = door.address();
        config.service.listen = address;
        // With its port, for whoever keeps the folder.
        let path = folder.join(file);
        fs::write(&path, text(address)).map_err(|error| cannot(&path, &error))?;
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
        let service = KeyService::open(&config, folder, clock);
        let service = service.map_err(|error| error.to_string())?;
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(door, Arc::clone(&service), stop.clone()));
        Ok(Self {
            service,
            address,
            stop,
            serving,
        })
    }

    /// Address at which the service listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the service; it writes what it has counted.
    pub(super) async fn stop(self) -> Result<(), String> {
        self.stop.cancel();
        self.serving.await.map_err(|error| error.to_string())?;
        self.service.stop().map_err(|error| error.to_string())
    }
}
