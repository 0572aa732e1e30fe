//! The programs of strong mode in a history: two key services, and the relay between two brokers.

use clinic_gateway::config;

use super::operation::Condition;
use crate::relay::{PASSWORD, Relayed};
use crate::strong::{HIGH, KeyService, ask_services, strengthen};
use crate::support::{Clinic, Running, amqp_queue};

/// Limits by which a gateway does not wait long for what is broken, and no limit of what is whole.
const IMPATIENT: &str =
    "confirm_timeout_seconds = 3\nconnect_timeout_seconds = 3\nmax_backoff_seconds = 1\n";

/// Account of the one clinic.
const ACCOUNT: &str = "clinic-1";

/// Programs and brokers of one history.
pub(super) struct Strong {
    pub(super) relayed: Relayed,
    services: [KeyService; 2],
    relay: Option<Running>,
}

impl Strong {
    pub(super) async fn start() -> Self {
        let mut strong = Self {
            relayed: Relayed::new(ACCOUNT).await,
            services: [KeyService::start(HIGH).await, KeyService::start(HIGH).await],
            relay: None,
        };
        strong.set_relay(Condition::Whole);
        strong
    }

    /// Sections of the gateway's configuration: relay and queue.
    pub(super) fn gateway_queue(&self) -> String {
        self.relayed.gateway_queue() + IMPATIENT
    }

    /// Section of the registry's configuration.
    pub(super) fn registry_queue(&self) -> String {
        amqp_queue(self.relayed.inside.port())
    }

    /// Gives a clinic its password and a ring for key services.
    pub(super) fn equip(&self, clinic: &Clinic) {
        clinic.secret("broker-password", PASSWORD);
        strengthen(clinic, &self.sections(true));
    }

    /// Completes a configuration that was written anew.
    pub(super) fn complete(&self, clinic: &Clinic, is_impatient: bool) {
        ask_services(clinic, &self.sections(is_impatient));
        config::load(&clinic.config_path()).unwrap_or_else(|error| panic!("{error}"));
    }

    fn sections(&self, is_impatient: bool) -> String {
        let services = self.services.iter();
        let sections: String = services
            .map(|service| service.section(service.port))
            .collect();
        if is_impatient {
            sections.replace("timeout_seconds = 60", "timeout_seconds = 3")
        } else {
            sections
        }
    }

    pub(super) fn set_relay(&mut self, condition: Condition) {
        match condition {
            Condition::Killed => self.relay = None,
            Condition::Paused => {
                if let Some(relay) = &self.relay {
                    relay.pause(true);
                }
            }
            Condition::Whole => {
                let log = self.relayed.folder.path().join("relay.log");
                let start = || Running::start(self.relayed.command(&["run"]), &log);
                let relay = self.relay.get_or_insert_with(start);
                relay.pause(false);
            }
        }
    }

    pub(super) async fn set_service(&mut self, place: usize, condition: Condition) {
        let service = &mut self.services[place];
        match condition {
            Condition::Killed => service.stop(),
            Condition::Paused => service.pause(true),
            Condition::Whole if service.is_running() => service.pause(false),
            Condition::Whole => service.restart().await,
        }
    }

    /// Everything runs.
    pub(super) async fn mend(&mut self) {
        self.set_relay(Condition::Whole);
        for place in 0..self.services.len() {
            self.set_service(place, Condition::Whole).await;
        }
    }
}
