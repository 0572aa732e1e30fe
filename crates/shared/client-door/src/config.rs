//! Address and files of a door, as the configuration of its program names them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Files of TLS: the server's certificate, and the authority of the clients' certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file of the server's certificate, followed by those of intermediate authorities.
    pub certificate_file: PathBuf,
    /// Key of the server's certificate, PKCS #8, PKCS #1 or SEC 1 in PEM: a file readable by this
    /// program's user only.
    pub key_file: PathBuf,
    /// PEM file of the authorities whose certificates clients have to show.
    pub client_ca_file: PathBuf,
}

/// Names of a door's settings in the configuration of its program, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingNames {
    /// Name of the address, such as `portal.address`.
    pub address: &'static str,
    /// Name of the section of TLS, such as `portal.tls`.
    pub tls: &'static str,
}

/// Address, files and names of settings that a door is opened with.
#[derive(Debug, Clone, Copy)]
pub struct DoorConfig<'a> {
    /// Address and port; port 0 lets the operating system choose.
    pub address: SocketAddr,
    /// Files of TLS; without them every client is [`Client::Loopback`](crate::Client::Loopback).
    pub tls: Option<&'a TlsConfig>,
    /// Folder that relative paths start from.
    pub base: &'a Path,
    /// Names of the settings.
    pub names: SettingNames,
}

/// Returns the mistake of an address that other machines reach without TLS, with what to write
/// instead; `None` where there is TLS or the address is a loopback address.
#[must_use]
pub fn open_address_mistake(
    address: SocketAddr,
    tls: Option<&TlsConfig>,
    names: SettingNames,
) -> Option<(String, String)> {
    if tls.is_some() || address.ip().is_loopback() {
        return None;
    }
    let what = format!(
        "{} is {address}, which other machines reach, and there is no [{}]",
        names.address, names.tls
    );
    let help = format!(
        "write [{}], or a loopback address such as 127.0.0.1:{}",
        names.tls,
        address.port()
    );
    Some((what, help))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: SettingNames = SettingNames {
        address: "portal.address",
        tls: "portal.tls",
    };

    #[test]
    fn only_an_address_of_this_machine_does_without_tls() {
        let tls = TlsConfig {
            certificate_file: "a".into(),
            key_file: "b".into(),
            client_ca_file: "c".into(),
        };
        let mistake = |address: &str, tls: Option<&TlsConfig>| {
            open_address_mistake(address.parse().unwrap(), tls, NAMES)
        };
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"] {
            assert_eq!(mistake(address, None), None, "{address}");
        }
        assert_eq!(mistake("0.0.0.0:9467", Some(&tls)), None);
        for address in ["0.0.0.0:9467", "10.0.0.1:9467", "[::]:9467"] {
            let (what, help) = mistake(address, None).unwrap();
            assert!(what.contains("portal.address") && what.contains(address));
            assert!(help.contains("[portal.tls]") && help.contains("127.0.0.1:9467"));
        }
    }
}
