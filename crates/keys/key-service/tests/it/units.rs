//! The systemd unit: what it starts is there, and its credentials are all that it needs.

use std::fs;
use std::process::Command;

use crate::program::{CONFIG, change, run};
use crate::tls::Authority;

const UNIT: &str = include_str!("../../../../../config/strong/key-service.service");
const REGISTRY: &str = include_str!("../../../../../config/city-registry.service");

/// Values of a setting of a unit, in their order.
fn values<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    let setting = |line: &'a str| line.strip_prefix(name)?.strip_prefix('=');
    unit.lines().filter_map(setting).collect()
}

#[test]
fn the_unit_starts_a_command_that_there_is_and_tells_systemd_when_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let [start] = values(UNIT, "ExecStart")[..] else {
        panic!("one command");
    };
    let arguments: Vec<&str> = start.split(' ').skip(1).chain(["--help"]).collect();
    assert!(start.ends_with(" run"), "{start}");
    let (code, out, _) = run(folder.path(), &arguments);
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(values(UNIT, "Type"), ["notify"]);
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

#[test]
fn its_folders_are_those_of_the_configuration() {
    let folders = values(UNIT, "StateDirectory");
    assert_eq!(folders, ["key-service key-service/state key-service/audit"]);
    assert_eq!(values(UNIT, "StateDirectoryMode"), ["0700"]);
    let [directory] = values(UNIT, "WorkingDirectory")[..] else {
        panic!("one folder");
    };
    assert_eq!(directory, "/var/lib/key-service");
}

#[test]
fn the_credentials_of_the_unit_are_all_that_the_configuration_needs() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "."]);
    let authority = Authority::new("the authority");
    authority.write_server(folder.path());
    change(folder.path(), |text| {
        text.replace("# [service.tls]", "[service.tls]")
            .replace("# certificate_file", "certificate_file")
            .replace("# key_file", "key_file")
            .replace("# client_ca_file", "client_ca_file")
            .replacen("# certificate_fingerprint", "certificate_fingerprint", 1)
            .replace("127.0.0.1:9480", "127.0.0.1:0")
    });
    let credentials = folder.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    for credential in values(UNIT, "LoadCredential") {
        let (name, path) = credential.split_once(':').unwrap();
        let file = path.rsplit('/').next().unwrap();
        fs::rename(folder.path().join(file), credentials.join(name)).unwrap();
        change(folder.path(), |text| {
            let in_file = format!("{{ file = \"{file}\" }}");
            assert!(text.contains(&in_file), "{file} is named in {CONFIG}");
            text.replace(&in_file, &format!("{{ credential = \"{name}\" }}"))
        });
    }
    let check = |with_credentials: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_key-service"));
        command.current_dir(folder.path()).arg("check");
        command.env_remove("KEY_SERVICE_CONFIG");
        if with_credentials {
            command.env("CREDENTIALS_DIRECTORY", &credentials);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text)
    };
    let (with, report) = check(true);
    assert_eq!(with, Some(0), "{report}");
    let (without, _) = check(false);
    assert_eq!(without, Some(78), "without the credentials it cannot run");
}
