//! A key service beside the benchmark, on the loopback address and without TLS.

use std::time::Duration;

use clock::Clock;
use serde_json::Value;

use crate::error::Error;
use crate::http;
use crate::processes::child::Background;
use crate::processes::config::{KeyServiceAddress, ProgramFolder};
use crate::processes::programs::Programs;

/// Interval between two tries to reach a service that starts.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longest start; after it the service is taken to hang.
const LIMIT: Duration = Duration::from_secs(60);

/// A running key service; dropping it ends it.
pub(crate) struct KeyService {
    /// What a gateway's configuration says of it.
    pub address: KeyServiceAddress,
    folder: ProgramFolder,
    process: Background,
    client: reqwest::Client,
}

/// What a key service has done so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyServiceUse {
    /// Elements it has evaluated today, the fill of requests included.
    pub elements: u64,
    /// Processor time of all its threads, in seconds.
    pub processor_seconds: f64,
}

impl KeyService {
    /// Makes a service with a key of its own and starts it; returns once it answers.
    pub(crate) async fn start(
        programs: &Programs,
        name: &str,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        let port = testbed::ports::free_port();
        let (folder, public_key) = programs.key_service(name, port).await?;
        let mut service = Self {
            address: KeyServiceAddress { port, public_key },
            process: programs.start_key_service(&folder)?,
            folder,
            client: http::client().map_err(Error::KeyService)?,
        };
        let started = clock.elapsed();
        loop {
            service.process.check_running("key-service")?;
            match service.elements_today().await {
                Ok(_) => return Ok(service),
                Err(error) if clock.elapsed().saturating_sub(started) > LIMIT => return Err(error),
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// What it has done so far; fails when it has ended by itself.
    pub(crate) async fn look(&mut self) -> Result<KeyServiceUse, Error> {
        self.process.check_running("key-service")?;
        let figures = self.process.figures().unwrap_or_default();
        Ok(KeyServiceUse {
            elements: self.elements_today().await?,
            processor_seconds: figures.processor_seconds,
        })
    }

    /// Elements that it has evaluated today, as `GET /v1/keys` tells.
    async fn elements_today(&self) -> Result<u64, Error> {
        let url = format!("http://127.0.0.1:{}/v1/keys", self.address.port);
        let sent = self.client.get(url).send().await;
        let answer = sent.map_err(Error::KeyService)?.error_for_status();
        let answer = answer.map_err(Error::KeyService)?.json::<Value>().await;
        let used = answer.map_err(Error::KeyService)?["used_today"].as_u64();
        used.ok_or_else(|| Error::WrongResult("a key service does not tell its use".into()))
    }

    /// Ends it, and returns its folder.
    pub(crate) async fn end(self) -> Result<ProgramFolder, Error> {
        self.process.end().await?;
        Ok(self.folder)
    }
}
