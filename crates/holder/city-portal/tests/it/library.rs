//! The portal as a library, inside a process that sets the time: how a demonstration uses it.

use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use city_portal::{CityPortal, PageConfig, PortalSettings, RegistryClient, RegistryConfig};
use clock::{Clock, ManualClock};
use pseudonym::{CitizenPseudonyms, KeyRing, Policy, PolicyConfig, Suite};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::browser::{citizen, post};
use crate::double::{Behaviour, Double};

struct Served {
    port: u16,
    clock: Arc<ManualClock>,
    _stop: DropGuard,
}

/// Portal over a double, on a free port, at a time.
async fn served(double: &Double, now: DateTime<Utc>) -> Served {
    let policy = Policy::new(&PolicyConfig::default()).unwrap();
    let keys = KeyRing::generate().shared();
    let registry = SocketAddr::from(([127, 0, 0, 1], double.port));
    let registry = RegistryConfig::on_this_machine(registry);
    let settings = PortalSettings {
        pseudonyms: CitizenPseudonyms::new(&keys, Suite::Hmac, policy).into(),
        registry: Arc::new(RegistryClient::new(&registry, std::path::Path::new(".")).unwrap()),
        page: PageConfig::default(),
    };
    let clock = Arc::new(ManualClock::at(now));
    let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let portal = CityPortal::new(settings, shared).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    tokio::spawn(portal.serve(listener, None, stop.clone()));
    Served {
        port,
        clock,
        _stop: stop.drop_guard(),
    }
}

#[tokio::test]
async fn the_codes_are_those_that_hold_at_the_moment() {
    let double = Double::start(Behaviour::Entitled).await;
    let last_second = double.midnight(1) - TimeDelta::seconds(1);
    let served = served(&double, last_second).await;
    let today = post(served.port, "/api/codes", &citizen()).await.json();
    assert_eq!(today["codes"][0]["until"], json!(double.midnight(1)));
    served.clock.advance(std::time::Duration::from_secs(1));
    let tomorrow = post(served.port, "/api/codes", &citizen()).await.json();
    assert_eq!(tomorrow["codes"][0]["from"], json!(double.midnight(1)));
    assert_eq!(tomorrow["codes"].as_array().unwrap().len(), 2);
    // The registry's answer has no day so late.
    served.clock.set(double.midnight(9));
    let none = post(served.port, "/api/codes", &citizen()).await;
    assert_eq!(none.outcome(), "exhausted");
}

#[tokio::test]
async fn today_is_the_citys_where_a_date_of_birth_is_judged() {
    let double = Double::start(Behaviour::Entitled).await;
    // An hour after midnight in Moscow it is still the day before in UTC.
    let served = served(&double, double.midnight(0) + TimeDelta::hours(1)).await;
    let moscow = double.midnight(0).with_timezone(&chrono_tz::Europe::Moscow);
    let mut form = citizen();
    form["birth_date"] = json!(moscow.format("%d.%m.%Y").to_string());
    let born = post(served.port, "/api/status", &form).await;
    assert_eq!(born.outcome(), "status");
    let tomorrow = moscow + TimeDelta::days(1);
    form["birth_date"] = json!(tomorrow.format("%d.%m.%Y").to_string());
    let unborn = post(served.port, "/api/status", &form).await.json();
    assert_eq!(unborn["fields"][0]["code"], "birth-future");
}
