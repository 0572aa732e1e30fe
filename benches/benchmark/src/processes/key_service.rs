//! A key service or a token issuer beside the benchmark, on the loopback address and without TLS.

use std::path::PathBuf;
use std::time::Duration;

use clock::Clock;
use serde_json::Value;

use crate::error::Error;
use crate::http;
use crate::processes::child::{Background, StartLimits};
use crate::processes::config::{self, KEY_FILE, KeyServiceAddress, ProgramFolder, ServiceConfig};
use crate::processes::programs::Programs;

/// Pause between two tries to reach a service that starts, and longest start.
const START: StartLimits = StartLimits {
    pause: Duration::from_millis(20),
    limit: Duration::from_secs(60),
};

/// A running key service or token issuer; dropping it ends it.
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
        Self::start_as(programs, config::key_service, name, clock).await
    }

    /// Makes a token issuer with a key of its own for batches, and starts it; returns once it
    /// answers.
    pub(crate) async fn start_issuer(
        programs: &Programs,
        name: &str,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        Self::start_as(programs, config::token_issuer, name, clock).await
    }

    async fn start_as(
        programs: &Programs,
        configuration: fn(u16) -> ServiceConfig,
        name: &str,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        let port = testbed::ports::free_port();
        let (folder, public_key) = programs.key_service(name, &configuration(port)).await?;
        let mut process = programs.start_key_service(&folder)?;
        let client = http::client().map_err(Error::KeyService)?;
        let answers = async || elements_today(&client, port).await.is_ok();
        process
            .until_it_answers("key-service", START, clock, answers)
            .await?;
        Ok(Self {
            address: KeyServiceAddress { port, public_key },
            folder,
            process,
            client,
        })
    }

    /// Path of the file of its private key.
    pub(crate) fn private_key(&self) -> PathBuf {
        self.folder.path().join(KEY_FILE)
    }

    /// What it has done so far; fails when it has ended by itself.
    pub(crate) async fn look(&mut self) -> Result<KeyServiceUse, Error> {
        self.process.check_running("key-service")?;
        let figures = self.process.figures().unwrap_or_default();
        Ok(KeyServiceUse {
            elements: elements_today(&self.client, self.address.port).await?,
            processor_seconds: figures.processor_seconds,
        })
    }

    /// Ends it, and returns its folder.
    pub(crate) async fn end(self) -> Result<ProgramFolder, Error> {
        self.process.end().await?;
        Ok(self.folder)
    }
}

/// Elements that the service at this port has evaluated today, as `GET /v1/keys` tells.
async fn elements_today(client: &reqwest::Client, port: u16) -> Result<u64, Error> {
    let url = format!("http://127.0.0.1:{port}/v1/keys");
    let sent = client.get(url).send().await;
    let answer = sent.map_err(Error::KeyService)?.error_for_status();
    let answer = answer.map_err(Error::KeyService)?.json::<Value>().await;
    let used = answer.map_err(Error::KeyService)?["used_today"].as_u64();
    used.ok_or_else(|| Error::WrongResult("a key service does not tell its use".into()))
}
