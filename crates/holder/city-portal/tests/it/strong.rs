//! Key services evaluate the identifier: what they are asked, and by what the registry is asked.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use city_portal::{
    CityPortal, ELEMENTS_OF_A_QUESTION, KeyServiceFault, KeyServices, PageConfig, PortalSettings,
    PseudonymFault, PseudonymSource, RegistryClient, RegistryConfig,
};
use clock::{Clock, SystemClock};
use key_client::{KeyClient, KeyServicesConfig};
use pseudonym::{
    CitizenPseudonyms, IdentifierKind, KeyRing, Policy, PolicyConfig, RejectionReason,
    StatedIdentifier, Suite,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::access::limited_to;
use crate::browser::{certificate, citizen, post};
use crate::double::{Behaviour, Double};
use crate::key_double::{
    EPOCHS, KEY_NUMBERS, KeyBehaviour, KeyDouble, elements, evaluated, sections,
};
use crate::program::{Portal, configured, strong};

/// Normal form of the SNILS that [`citizen`] types.
const SNILS: &str = "61248091169";

fn policy() -> Policy {
    Policy::new(&PolicyConfig::default()).unwrap()
}

fn stated(value: &str) -> Vec<StatedIdentifier> {
    vec![StatedIdentifier {
        kind: IdentifierKind::Snils,
        value: SecretString::from(value),
        country: None,
    }]
}

fn client(doubles: &[&KeyDouble]) -> KeyClient {
    client_of(&sections(doubles))
}

fn client_of(sections: &str) -> KeyClient {
    let mut table: toml::Table = sections.parse().unwrap();
    let mut keys: toml::Table = table.remove("keys").unwrap().try_into().unwrap();
    let services: KeyServicesConfig = keys.remove("services").unwrap().try_into().unwrap();
    KeyClient::new(&services, Path::new(".")).unwrap()
}

/// Pseudonyms as the registry has to be asked by.
fn expected(doubles: &[&KeyDouble]) -> Value {
    let values = evaluated(doubles, "snils", SNILS);
    let names = EPOCHS.iter().zip(values).map(|(epoch, value)| {
        json!({
            "suite": "voprf", "scheme": "snils", "epoch": epoch, "value": hex::encode(value),
        })
    });
    names.collect()
}

#[tokio::test]
async fn the_registry_is_asked_by_what_all_services_make_in_every_open_epoch() {
    let registry = Double::start(Behaviour::Entitled).await;
    let first = KeyDouble::start().await;
    let second = KeyDouble::start().await;
    let portal = Portal::strong_over(&registry, &[&first, &second]).await;
    let expected = expected(&[&first, &second]);
    for (path, body, outcome) in [
        ("/api/status", citizen(), "status"),
        ("/api/codes", citizen(), "codes"),
        ("/api/sheet", citizen(), "sheet"),
        ("/api/certificate", certificate("recovery"), "certificate"),
    ] {
        let answer = post(portal.port, path, &body).await;
        assert_eq!(answer.outcome(), outcome);
        let asked = registry.asked();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].body["pseudonyms"], expected, "{path}");
    }
    let mut sent = BTreeSet::new();
    let [of_first, of_second] = [first.asked(), second.asked()];
    for (asked, number) in [&of_first, &of_second]
        .into_iter()
        .flat_map(|asked| asked.iter().zip(KEY_NUMBERS.into_iter().cycle()))
    {
        assert_eq!(asked[..3], [1, 0, u8::try_from(number).unwrap()]);
        sent.extend(elements(asked).into_iter().map(<[u8]>::to_vec));
    }
    assert_eq!((of_first.len(), of_second.len()), (8, 8));
    let most = usize::try_from(ELEMENTS_OF_A_QUESTION).unwrap();
    // No element is sent a second time: every question has blinds of its own.
    assert_eq!(sent.len(), 16 * most);
    // The first look at the services may end after the questions.
    let looked = "key_client_ceiling_left{service=\"1\"} 9968";
    let page = portal.page_with("/metrics", looked).await;
    for line in [
        "key_client_requests_total{service=\"1\",outcome=\"ok\"} 8",
        "key_client_elements_total{service=\"2\"} 128",
        "city_portal_requests_total{route=\"/api/codes\",outcome=\"key-service\"} 0",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn services_are_asked_only_about_a_form_without_fault_and_below_the_ceiling() {
    let registry = Double::start(Behaviour::Entitled).await;
    let services = KeyDouble::start().await;
    let (folder, port, metrics) = configured(&registry.url(), "");
    strong(folder.path(), &services.section());
    limited_to(2, folder.path());
    let portal = Portal::start(folder, port, metrics).await;
    let mut wrong = citizen();
    wrong["birth_date"] = json!("31.02.1990");
    assert_eq!(post(port, "/api/status", &wrong).await.status, 422);
    assert!(services.asked().is_empty());
    assert_eq!(post(port, "/api/status", &citizen()).await.status, 200);
    assert_eq!(services.asked().len(), 2);
    let refused = post(portal.port, "/api/status", &citizen()).await;
    assert_eq!(refused.code(), "ceiling");
    assert!(services.asked().is_empty());
}

#[tokio::test]
async fn a_citys_own_portal_is_given_pseudonyms_of_either_suite() {
    let keys = KeyRing::generate().shared();
    let shared = CitizenPseudonyms::new(&keys, Suite::Hmac, policy());
    let alone = shared.of(stated("612-480-911 69")).unwrap();
    let source = PseudonymSource::from(shared);
    assert_eq!(source.of(stated("61248091169")).await, Ok(alone));

    let double = KeyDouble::start().await;
    let source = PseudonymSource::from(KeyServices::new(client(&[&double]), policy()));
    let named = source.of(stated("612-480-911 69")).await.unwrap();
    let values: Vec<_> = named.iter().map(|name| (name.epoch, name.value)).collect();
    let [old, new] = evaluated(&[&double], "snils", SNILS);
    assert_eq!(values, [(EPOCHS[0], old), (EPOCHS[1], new)]);
    assert!(named.iter().all(|name| name.suite == Suite::Voprf));

    let wrong = source.of(stated("612-480-911 68")).await;
    let reason = RejectionReason::IdentifierCheckDigit;
    assert_eq!(wrong, Err(PseudonymFault::Rejected(reason)));
    double.behave(KeyBehaviour::OtherProof);
    let failed = source.of(stated("612-480-911 69")).await;
    assert!(matches!(failed, Err(PseudonymFault::KeyServices(_))));
}

// The clock of the runtime jumps to the next timer where nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_key_services_longer_than_a_minute() {
    let double = KeyDouble::start().await;
    double.behave(KeyBehaviour::Silent);
    let patient = double
        .section()
        .replace("timeout_seconds = 60", "timeout_seconds = 120");
    let source = PseudonymSource::from(KeyServices::new(client_of(&patient), policy()));
    let waiting = |seconds| {
        let limit = std::time::Duration::from_secs(seconds);
        tokio::time::timeout(limit, source.of(stated("612-480-911 69")))
    };
    assert!(waiting(59).await.is_err());
    let slow = PseudonymFault::KeyServices(KeyServiceFault::Slow);
    assert_eq!(waiting(61).await, Ok(Err(slow)));
}

#[tokio::test]
async fn a_look_asks_key_services_where_there_are_such() {
    let registry = Double::start(Behaviour::Entitled).await;
    let address = SocketAddr::from(([127, 0, 0, 1], registry.port));
    let registry = RegistryConfig::on_this_machine(address);
    let portal = |pseudonyms: PseudonymSource| {
        let registry = RegistryClient::new(&registry, Path::new(".")).unwrap();
        let settings = PortalSettings {
            pseudonyms,
            registry: Arc::new(registry),
            page: PageConfig::default(),
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        CityPortal::new(settings, clock).unwrap()
    };
    let keys = KeyRing::generate().shared();
    let shared = portal(CitizenPseudonyms::new(&keys, Suite::Hmac, policy()).into());
    assert_eq!(shared.look_at_key_services().await, Ok(()));

    let first = KeyDouble::start().await;
    let second = KeyDouble::start().await;
    let strong = portal(KeyServices::new(client(&[&first, &second]), policy()).into());
    assert_eq!(strong.look_at_key_services().await, Ok(()));
    for (behaviour, told) in [
        (KeyBehaviour::NoKeys, "has no key 7 of epoch 3; ask its"),
        (KeyBehaviour::OtherKeys, "has another key 7 of epoch 3"),
        (KeyBehaviour::Ceiling, "has reached its ceiling"),
        (KeyBehaviour::Problem(503, "busy"), "is busy"),
    ] {
        second.behave(behaviour);
        let fault = strong.look_at_key_services().await.unwrap_err();
        assert!(fault.to_string().contains(told), "{behaviour:?}: {fault}");
        assert!(fault.to_string().contains(&second.port.to_string()));
    }
}
