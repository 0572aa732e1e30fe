//! Configuration of the address that serves metrics and health.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The `[listen]` section: where metrics and health are served.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    /// Address and port, for instance `127.0.0.1:9464`. Metric labels name the clinic's sources:
    /// keep it inside.
    pub address: SocketAddr,
}

/// Returns the mistake that metrics and health are to be served where another interface of the
/// program listens, with what to write instead. Each address comes with the name of its setting.
#[must_use]
pub fn shared_address_mistake(
    listen: Option<&ListenConfig>,
    listen_name: &str,
    interface: SocketAddr,
    interface_name: &str,
) -> Option<(String, &'static str)> {
    let metrics = listen?.address;
    if !exclude_each_other(metrics, interface) {
        return None;
    }
    Some((
        format!("{listen_name} is {metrics}, and {interface_name} is {interface}: one port"),
        "write another port for metrics and health",
    ))
}

/// Returns whether two sockets cannot listen at both addresses. Port 0 stands for one that the
/// operating system chooses.
fn exclude_each_other(one: SocketAddr, other: SocketAddr) -> bool {
    let is_everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || is_everywhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_serves_one_interface() {
        let mistake = |metrics: &str, interface: &str| {
            let listen = ListenConfig {
                address: metrics.parse().unwrap(),
            };
            let interface = interface.parse().unwrap();
            shared_address_mistake(Some(&listen), "listen.address", interface, "door.address")
        };
        for (metrics, interface) in [
            ("127.0.0.1:9480", "127.0.0.1:9480"),
            ("127.0.0.1:9480", "0.0.0.0:9480"),
            ("0.0.0.0:9480", "10.0.0.1:9480"),
            ("127.0.0.1:9480", "[::]:9480"),
        ] {
            let (what, _) = mistake(metrics, interface).unwrap();
            for part in ["listen.address", metrics, "door.address", interface] {
                assert!(what.contains(part), "{part}: {what}");
            }
        }
        for (metrics, interface) in [
            ("127.0.0.1:9480", "127.0.0.1:9481"),
            ("127.0.0.1:9480", "127.0.0.2:9480"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ] {
            assert_eq!(mistake(metrics, interface), None, "{metrics} {interface}");
        }
    }
}
