//! `city-portal check`: reads keys and certificates, asks the registry, and prints what it found.

use std::sync::Arc;

use clock::Clock;
use program::{CheckLayout, CheckRow, Failure, Severity};
use pseudonym::SharedKeys;

use super::config_file::LoadedConfig;
use super::run::bind;
use crate::http::acceptor;
use crate::open::open_portal;
use crate::registry::{RegistryFault, RegistryFaultKind};

pub(super) async fn check(loaded: &LoadedConfig, clock: Arc<dyn Clock>) -> Result<(), Failure> {
    let mut found = Findings::default();
    check_keys(loaded, &mut found);
    check_page(loaded, &mut found).await;
    match open_portal(&loaded.config, &loaded.base, clock) {
        Ok(portal) => match portal.look_at_registry().await {
            Ok(()) => found.good(
                "registry",
                "answers, and has published what verifiers fetch",
            ),
            Err(fault) => found.failed("registry", of_fault(&fault)),
        },
        Err(error) => found.failed("portal", error.into()),
    }
    found.outcome()
}

fn check_keys(loaded: &LoadedConfig, found: &mut Findings) {
    let text = loaded.config.keys.shared.read(&loaded.base);
    // What is wrong with them is said when the portal is opened.
    let Some(keys) = text.ok().and_then(|text| SharedKeys::parse(&text).ok()) else {
        return;
    };
    let fingerprints: Vec<String> = keys
        .fingerprints()
        .into_iter()
        .map(|(epoch, fingerprint)| format!("{epoch}:{fingerprint}"))
        .collect();
    found.good(
        "keys",
        format!(
            "pseudonym keys {}; the clinics' `keys show` prints the same",
            fingerprints.join(", ")
        ),
    );
}

async fn check_page(loaded: &LoadedConfig, found: &mut Findings) {
    if let Some(tls) = &loaded.config.portal.tls
        && let Err(error) = acceptor(tls, &loaded.base)
    {
        found.failed("page", error.into());
    }
    let address = loaded.config.portal.address;
    match bind(loaded).await {
        Ok(_) => found.good("page", format!("{address} can be listened on")),
        Err(failure) => found.warning(
            "page",
            format!("{failure}, unless it is the portal that runs already"),
        ),
    }
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

/// Printer of findings that remembers the gravest failure.
#[derive(Default)]
struct Findings {
    gravest: Option<Failure>,
}

impl Findings {
    fn good(&self, part: &str, text: impl Into<String>) {
        print(part, Severity::Good, text.into());
    }

    fn warning(&self, part: &str, text: String) {
        print(part, Severity::Warning, text);
    }

    fn failed(&mut self, part: &str, failure: Failure) {
        print(part, Severity::Error, failure.message().to_owned());
        if !matches!(self.gravest, Some(Failure::Change(_))) {
            self.gravest = Some(failure);
        }
    }

    fn outcome(self) -> Result<(), Failure> {
        match self.gravest {
            None => Ok(()),
            Some(Failure::Change(_)) => Err(Failure::Change(
                "something has to be changed, see above".into(),
            )),
            Some(_) => Err(Failure::Later(
                "the registry does not answer, see above".into(),
            )),
        }
    }
}

fn print(part: &str, severity: Severity, text: String) {
    let row = CheckRow {
        severity,
        text,
        help: None,
    };
    program::print_check(CheckLayout::Headings, part, &[row]);
}
