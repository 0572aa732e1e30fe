//! `city-portal check`: reads keys and certificates, asks the registry and the key services, and
//! prints what it found.

mod keys;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use clock::Clock;
use program::{CheckLayout, Failure, Findings};
use tokio::net::TcpListener;

use self::keys::check_keys;
use super::audit;
use super::config_file::LoadedConfig;
use super::run::bind;
use crate::http::acceptor;
use crate::open::open_portal;
use crate::registry::{RegistryClient, RegistryFault, RegistryFaultKind};
use crate::verifier_site::{OTHER_ROOT, VerifierSite};

pub(super) async fn check(loaded: &LoadedConfig, clock: Arc<dyn Clock>) -> Result<(), Failure> {
    let mut found = Findings::new(CheckLayout::Headings);
    check_keys(loaded, &mut found).await;
    check_page(loaded, &mut found).await;
    match audit::check(loaded) {
        Ok(text) => found.good("audit", text),
        Err(failure) => found.failed("audit", failure),
    }
    match RegistryClient::new(&loaded.config.registry, &loaded.base) {
        Ok(registry) => check_parts(loaded, Arc::new(registry), clock, &mut found).await,
        Err(error) => found.failed("registry", error.into()),
    }
    found.outcome("the registry or a key service does not answer, see above")
}

/// Opens what asks the registry, and asks it once.
async fn check_parts(
    loaded: &LoadedConfig,
    registry: Arc<RegistryClient>,
    clock: Arc<dyn Clock>,
    found: &mut Findings,
) {
    let config = &loaded.config;
    let opened = open_portal(
        config,
        &loaded.base,
        Arc::clone(&registry),
        Arc::clone(&clock),
    );
    if let Some(listen) = &config.listen {
        check_address(listen.address, "listen", found).await;
    }
    if let Err(error) = opened {
        found.failed("portal", error.into());
    }
    let mut site = None;
    if let Some(verifier) = &config.verifier {
        match VerifierSite::open(verifier, &loaded.base, Arc::clone(&registry), clock) {
            Ok(opened) => {
                found.good("verifier", "the page and its root can be read");
                site = Some(opened);
            }
            Err(error) => found.failed("verifier", error.into()),
        }
        check_address(verifier.address, "verifier", found).await;
    }
    match registry.trust().await {
        Ok(bundle) => {
            found.good(
                "registry",
                "answers, and has published what verifiers fetch",
            );
            if site.is_some_and(|site| !site.accepts(&bundle)) {
                found.failed("verifier", Failure::Change(OTHER_ROOT.to_owned()));
            }
        }
        Err(fault) => found.failed("registry", of_fault(&fault)),
    }
}

async fn check_page(loaded: &LoadedConfig, found: &mut Findings) {
    if let Some(tls) = &loaded.config.portal.tls
        && let Err(error) = acceptor(tls, &loaded.base)
    {
        found.failed("page", error.into());
    }
    check_address(loaded.config.portal.address, "portal", found).await;
}

/// Tries the address of a section.
async fn check_address(address: SocketAddr, section: &'static str, found: &mut Findings) {
    let part = if section == "portal" { "page" } else { section };
    match bind(address, &format!("{section}.address")).await {
        Ok(_) => found.good(part, format!("{address} can be listened on")),
        Err(failure) if is_elsewhere(address).await => found.failed(part, failure),
        Err(failure) => found.warning(
            part,
            format!("{failure}, unless it is the portal that runs already"),
        ),
    }
}

/// Returns whether an address is none of this machine's.
async fn is_elsewhere(address: SocketAddr) -> bool {
    let any_port = TcpListener::bind((address.ip(), 0)).await;
    any_port.is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable)
}

/// Failure of a check: what a person has to change, or what may pass.
fn of_fault(fault: &RegistryFault) -> Failure {
    match fault.kind {
        RegistryFaultKind::ServerCertificate
        | RegistryFaultKind::ClientCertificate
        | RegistryFaultKind::Epoch
        | RegistryFaultKind::Refused
        | RegistryFaultKind::Nonsense => Failure::change(fault),
        _ => Failure::later(fault),
    }
}
