//! The systemd units: what they start is there, and their credentials are all that it needs.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::installed::{run, words};

const UNITS: [(&str, &str); 2] = [
    (
        "run",
        include_str!("../../../../../config/city-registry.service"),
    ),
    (
        "portal",
        include_str!("../../../../../config/city-registry-portal.service"),
    ),
];

/// Values of a setting of a unit, in their order.
fn values<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    let setting = |line: &'a str| line.strip_prefix(name)?.strip_prefix('=');
    unit.lines().filter_map(setting).collect()
}

#[test]
fn a_unit_starts_a_command_that_there_is_and_tells_systemd_when_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    for (command, unit) in UNITS {
        let [start] = values(unit, "ExecStart")[..] else {
            panic!("one command: {command}");
        };
        let arguments: Vec<&str> = start.split(' ').skip(1).chain(["--help"]).collect();
        assert!(start.ends_with(&format!(" {command}")), "{start}");
        let (code, out, _) = words(&run(folder.path(), &arguments));
        assert_eq!(code, Some(0), "{out}");
        assert_eq!(values(unit, "Type"), ["notify"]);
    }
}

#[test]
fn both_units_permit_no_more_than_the_other() {
    const HARDENING: [&str; 14] = [
        "User",
        "RestartPreventExitStatus",
        "UMask",
        "LimitCORE",
        "MemorySwapMax",
        "NoNewPrivileges",
        "ProtectSystem",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "MemoryDenyWriteExecute",
        "RestrictAddressFamilies",
        "LockPersonality",
        "SystemCallFilter",
    ];
    let [(_, one), (_, other)] = UNITS;
    for name in HARDENING {
        assert_eq!(values(one, name).len(), 1, "{name}");
        assert_eq!(values(one, name), values(other, name), "{name}");
    }
}

/// Puts the keys of a unit where systemd would, and names them in the configuration.
fn as_credentials(folder: &Path, unit: &str) {
    let config = folder.join("city-registry.toml");
    let mut text = fs::read_to_string(&config).unwrap();
    fs::create_dir(folder.join("credentials")).unwrap();
    for credential in values(unit, "LoadCredential") {
        let (name, path) = credential.split_once(':').unwrap();
        let file = Path::new(path).file_name().unwrap().to_str().unwrap();
        let place = folder.join("credentials").join(name);
        fs::rename(folder.join(file), place).unwrap_or_else(|_| panic!("init makes no {file}"));
        let in_file = format!("{{ file = \"{file}\" }}");
        let by_name = format!("{{ credential = \"{name}\" }}");
        assert!(
            text.contains(&in_file),
            "{file} is named in the configuration"
        );
        text = text.replace(&in_file, &by_name);
    }
    fs::write(&config, text).unwrap();
}

#[test]
fn the_credentials_of_the_portals_unit_are_all_that_the_configuration_needs() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = words(&run(folder.path(), &["init", "."]));
    assert_eq!(code, Some(0), "{err}");
    let check = |with_credentials: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_city-registry"));
        command.current_dir(folder.path()).arg("check");
        command.env_remove("CITY_REGISTRY_CONFIG");
        if with_credentials {
            command.env("CREDENTIALS_DIRECTORY", folder.path().join("credentials"));
        }
        words(&command.output().unwrap())
    };
    let (before, _, err) = check(false);
    assert_eq!(before, Some(0), "{err}");
    as_credentials(folder.path(), UNITS[1].1);
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".key"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "no key is left in a file");
    let (with, out, err) = check(true);
    assert_eq!(with, Some(0), "{out}{err}");
    let (without, _, _) = check(false);
    assert_eq!(without, Some(78), "without the credentials it cannot run");
}
