//! Check of the `[listen]` section: its address can be had.

use std::io::ErrorKind;

use connector_kit::CheckReport;
use telemetry::{ListenConfig, try_address};

use super::section::add_error;

/// Tries to bind the address. A running daemon has it for itself, and then it is in use.
pub(super) async fn check(report: &mut CheckReport, listen: &ListenConfig, daemon_runs: bool) {
    let address = listen.address;
    match try_address(listen).await {
        Ok(()) => report.good(format!("metrics and health can be served on {address}")),
        Err(error) if error.kind == ErrorKind::AddrInUse && daemon_runs => {
            report.good(format!("{address} is in use while a gateway runs"));
        }
        Err(error) => add_error(report, &error),
    }
}

#[cfg(test)]
mod tests {
    use connector_kit::Level;

    use super::*;

    #[tokio::test]
    async fn an_address_that_cannot_be_had_is_an_error() {
        let worst = async |address: &str, daemon_runs| {
            let listen = ListenConfig {
                address: address.parse().expect("an address"),
            };
            let mut report = CheckReport::default();
            check(&mut report, &listen, daemon_runs).await;
            report.worst()
        };
        assert_eq!(worst("127.0.0.1:0", false).await, Level::Good);
        // Of a block that is kept for documentation (RFC 5737): no machine has it.
        for daemon_runs in [false, true] {
            assert_eq!(worst("203.0.113.5:9464", daemon_runs).await, Level::Error);
        }
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let taken = taken.expect("a free port");
        let taken = taken.local_addr().map(|address| (taken, address));
        let (_taken, address) = taken.expect("its address");
        assert_eq!(worst(&address.to_string(), false).await, Level::Error);
        assert_eq!(worst(&address.to_string(), true).await, Level::Good);
    }
}
