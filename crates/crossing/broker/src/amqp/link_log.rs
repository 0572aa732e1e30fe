//! Log of a connection: it is connected, it is lost, it is back; never the tries between.

use tracing::{debug, info, warn};

use super::address::BrokerAddress;
use crate::BrokerError;

/// What was logged last of a connection.
#[derive(Debug, Default)]
pub(super) struct LinkLog {
    /// Failure that was logged; `None` while the connection is up, or was never tried.
    lost: Option<BrokerError>,
}

impl LinkLog {
    /// Logs that the connection is up.
    pub(super) fn connected(&mut self, place: &BrokerAddress, what: &'static str) {
        let again = self.lost.take().is_some();
        info!(event = "queue-connected", %place, again, "{what}");
    }

    /// Logs that the connection is lost, or that it cannot be had for another reason than before.
    pub(super) fn lost(&mut self, error: &BrokerError, what: &'static str) {
        // A lost connection and the attempts to have it back fail in other words, all of which mean
        // that the broker is away.
        let is_known = |before: &BrokerError| before.is_retry() == error.is_retry();
        if self.lost.as_ref().is_some_and(is_known) {
            debug!(%error, "{what}, still");
            return;
        }
        warn!(event = "queue-lost", %error, "{what}");
        self.lost = Some(error.clone());
    }
}
