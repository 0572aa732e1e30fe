//! The systemd unit: what it starts is there, and it permits no more than the registry's.

use std::path::Path;

use crate::commands::run;

const UNIT: &str = include_str!("../../../../../config/strong/mix-relay.service");
const REGISTRY: &str = include_str!("../../../../../config/city-registry.service");
const CONFIG: &str = include_str!("../../../../../config/strong/mix-relay.toml");

/// Values of a setting of a unit, in their order.
fn values<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    let setting = |line: &'a str| line.strip_prefix(name)?.strip_prefix('=');
    unit.lines().filter_map(setting).collect()
}

#[test]
fn the_unit_starts_a_command_that_there_is_with_the_credentials_it_needs() {
    let [start] = values(UNIT, "ExecStart")[..] else {
        panic!("one command");
    };
    assert!(start.ends_with(" run"), "{start}");
    let (code, out, _) = run(Path::new("x"), &["run", "--help"]);
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(values(UNIT, "Type"), ["notify"]);
    for credential in values(UNIT, "LoadCredential") {
        let (name, path) = credential.split_once(':').unwrap();
        assert!(path.ends_with(name));
        assert!(
            CONFIG.contains(&format!("{{ file = \"{name}\" }}")),
            "{name}"
        );
    }
    assert_eq!(
        values(UNIT, "StateDirectory"),
        ["mix-relay mix-relay/state"]
    );
    assert_eq!(values(UNIT, "StateDirectoryMode"), ["0700"]);
}

#[test]
fn the_unit_permits_no_more_than_the_registrys() {
    const HARDENING: [&str; 12] = [
        "RestartPreventExitStatus",
        "UMask",
        "LimitCORE",
        "NoNewPrivileges",
        "ProtectSystem",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "MemoryDenyWriteExecute",
        "LockPersonality",
        "RestrictAddressFamilies",
        "SystemCallFilter",
    ];
    for name in HARDENING {
        assert_eq!(values(UNIT, name).len(), 1, "{name}");
        assert_eq!(values(UNIT, name), values(REGISTRY, name), "{name}");
    }
}
