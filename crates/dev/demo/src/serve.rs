//! The pages: the city's portal over the registry's interface, and the verifier page, on loopback
//! until Ctrl-C.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use city_portal::{
    CityPortal, KeyServices, PageConfig, PortalSettings, PseudonymSource, RegistryClient,
    RegistryConfig, VerifierConfig, VerifierSite,
};
use pseudonym::{CitizenPseudonyms, IdentifierKind, Policy, PolicyConfig, SharedKeys, Suite};
use registry::passes::PassError;
use registry::portal::{Door, Portal, PortalConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::citizens::{self, Citizen, City, DIPLOMAT, EMPLOYEE, SWAPPED};
use crate::print::{self, Chapters};
use crate::stage::{KeyHolders, Stage};

/// Folder of the verifier page.
const VERIFIER_PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../holder/verifier/page");

/// File that the verifier page pins, in the stage's folder.
const ROOT: &str = "root.json";

/// Any free port of this machine.
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Serves the pages until Ctrl-C, and says what to type there.
pub(crate) async fn serve(
    stage: &Stage,
    city: City,
    chapters: &mut Chapters,
) -> Result<(), String> {
    let root = stage.folder.join(ROOT);
    let pinned = citizens::pinned_root(city.root());
    std::fs::write(&root, pinned).map_err(|error| format!("{}: {error}", root.display()))?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let registry = serve_registry(stage, city, &tasks, &stop).await?;
    let portal = serve_portal(stage, Arc::clone(&registry), &tasks, &stop).await?;
    let verifier = serve_verifier(stage, registry, &tasks, &stop).await?;
    // Before the invitation: who has read it may end the program.
    let asked = program::stop_on_signal().map_err(|failure| failure.message().to_owned())?;
    chapters.begin("The pages, on this machine only");
    print_invitation(portal, verifier);
    asked.cancelled().await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Serves the registry's interface of passes, and publishes what verifiers fetch.
async fn serve_registry(
    stage: &Stage,
    city: City,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Arc<RegistryClient>, String> {
    let config = PortalConfig {
        address: LOOPBACK,
        ..PortalConfig::default()
    };
    let door = Door::open(&config, Path::new(".")).await;
    let door = door.map_err(|error| error.to_string())?;
    let address = door.address();
    let portal = Portal::new(city.into_passes(), &config, Arc::clone(&stage.clock));
    // Before anybody asks: a verifier is to find something.
    let published = portal.publish_step().await;
    published.map_err(|error| error.to_string())?;
    let publishing = Arc::clone(&portal);
    let publishing_stop = stop.clone();
    tasks.spawn(async move {
        let told = |step: Result<(), &PassError>| {
            if let Err(error) = step {
                print::print_error(&error.to_string());
            }
        };
        publishing.publish_loop(told, publishing_stop).await;
    });
    tasks.spawn(door.serve(portal, stop.clone()));
    let config = RegistryConfig::on_this_machine(address);
    let client = RegistryClient::new(&config, Path::new("."));
    Ok(Arc::new(client.map_err(|error| error.to_string())?))
}

/// Serves the city's portal; returns its address.
async fn serve_portal(
    stage: &Stage,
    registry: Arc<RegistryClient>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<SocketAddr, String> {
    let settings = PortalSettings {
        pseudonyms: pseudonyms(stage)?,
        registry,
        page: PageConfig {
            zone: citizens::ZONE,
            ..PageConfig::default()
        },
    };
    let portal = CityPortal::new(settings, Arc::clone(&stage.clock));
    let portal = portal.map_err(|error| error.to_string())?;
    let listener = bind().await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    tasks.spawn(portal.serve(listener, None, stop.clone()));
    Ok(address)
}

/// Source of the portal's pseudonyms: keys that it shares with the clinics, or key services.
fn pseudonyms(stage: &Stage) -> Result<PseudonymSource, String> {
    let policy = Policy::new(&PolicyConfig::default()).map_err(|error| error.to_string())?;
    match &stage.keys {
        KeyHolders::Clinics(shared) => {
            let shared = SharedKeys::parse(shared).map_err(|error| error.to_string())?;
            Ok(CitizenPseudonyms::new(&shared, Suite::Hmac, policy).into())
        }
        KeyHolders::Operators(operators) => {
            Ok(KeyServices::new(operators.client()?, policy).into())
        }
    }
}

/// Serves the verifier page; returns its address.
async fn serve_verifier(
    stage: &Stage,
    registry: Arc<RegistryClient>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<SocketAddr, String> {
    let config = VerifierConfig {
        address: LOOPBACK,
        page: VERIFIER_PAGE.into(),
        root: ROOT.into(),
    };
    let clock = Arc::clone(&stage.clock);
    let site = VerifierSite::open(&config, &stage.folder, registry, clock);
    let site = site.map_err(|error| error.to_string())?;
    let listener = bind().await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    tasks.spawn(site.serve(listener, None, stop.clone()));
    Ok(address)
}

async fn bind() -> Result<TcpListener, String> {
    let listener = TcpListener::bind(LOOPBACK).await;
    listener.map_err(|error| format!("no port of this machine can be listened on: {error}"))
}

fn print_invitation(portal: SocketAddr, verifier: SocketAddr) {
    print::line(format!("  the city's portal:  http://{portal}/"));
    print::line(format!("  the verifier page:  http://{verifier}/"));
    print::line("\n  Type at the portal, for example:");
    let rows: Vec<_> = [&EMPLOYEE, &DIPLOMAT, &SWAPPED]
        .into_iter()
        .map(what_to_type)
        .collect();
    print::table(["document", "number", "name", "born"], &rows);
    print::line(
        "\n  Then show the code to the verifier page: its text, a picture of the screen, or by camera.\n  \
         Ctrl-C ends both.",
    );
}

/// What a citizen types.
fn what_to_type(citizen: &Citizen) -> [String; 4] {
    let (kind, number, country) = citizen.identifier;
    let document = match (kind, country) {
        (IdentifierKind::Snils, _) => "SNILS".to_owned(),
        (_, Some(country)) => format!("passport of {country}"),
        (_, None) => "policy or passport".to_owned(),
    };
    let [given, family] = citizen.names;
    let (day, month) = citizen.born;
    [
        document,
        number.to_owned(),
        format!("{given} {family}"),
        format!("{day:02}.{month:02}. of any year"),
    ]
}
