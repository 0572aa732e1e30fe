//! Configuration files: what `init` writes, the examples, and mistakes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clinic_gateway::config;
use serde_json::Value;

use super::{gateway, json, mode, told, words};
use crate::support::{City, Clinic, fsb_source};

const KINDS: [&str; 5] = ["postgres", "mysql", "sqlite", "fhir", "fhir-folder"];
const PLACEHOLDER: &str = "cgpk1:PASTE-THE-KEY-OF-THE-REGISTRY";
const RECEIPT_PLACEHOLDER: &str = "cgrv1:PASTE-THE-RECEIPT-KEY-OF-THE-REGISTRY";

fn public_key() -> String {
    contract::PrivateKey::generate().public().to_text()
}

fn receipt_key() -> String {
    contract::ReceiptSigner::generate().verifier().to_text()
}

/// The text with both keys of a registry filled in.
fn filled(text: &str) -> String {
    text.replace(PLACEHOLDER, &public_key())
        .replace(RECEIPT_PLACEHOLDER, &receipt_key())
}

#[test]
fn a_new_folder_lacks_only_what_a_person_must_fill_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    told(
        &gateway(folder.path(), &["check"]),
        78,
        &["no such file", "--config", "clinic-gateway init"],
    );
    for kind in KINDS {
        told(
            &gateway(folder.path(), &["init", kind, "--source", kind]),
            0,
            &["key ring", "check"],
        );
        let made = folder.path().join(kind);
        assert_eq!(
            (
                mode(&made),
                mode(&made.join("keys")),
                mode(&made.join("state"))
            ),
            (0o700, 0o600, 0o700)
        );
        let untouched = gateway(&made, &["check"]);
        told(
            &untouched,
            78,
            &["registry.public_key", "cgpk1:", "city-registry keys public"],
        );
        told(
            &gateway(&made, &["keys", "show"]),
            0,
            &["epoch 1: fingerprint"],
        );
        told(
            &gateway(folder.path(), &["init", kind]),
            78,
            &["exists already"],
        );

        let text = fs::read_to_string(made.join("clinic-gateway.toml")).expect("the file is text");
        let half = text.replace(PLACEHOLDER, &public_key());
        fs::write(made.join("clinic-gateway.toml"), half).expect("one key is filled in");
        told(
            &gateway(&made, &["check"]),
            78,
            &[
                "registry.receipt_keys",
                "cgrv1:",
                "city-registry keys public",
            ],
        );
        fs::write(made.join("clinic-gateway.toml"), filled(&text))
            .expect("both keys are filled in");
        let checked = gateway(&made, &["check", "--offline"]);
        match kind {
            "sqlite" => told(&checked, 0, &["source mis"]),
            "fhir-folder" => told(&checked, 0, &["source clinic"]),
            "fhir" => told(&checked, 78, &["fhir-password", "no such file"]),
            _ => told(&checked, 78, &["mis-password", "no such file"]),
        };
    }
    let key = public_key();
    told(
        &gateway(folder.path(), &["init", "x", "--registry-key", "cgpk1:no"]),
        2,
        &["--registry-key"],
    );
    told(
        &gateway(folder.path(), &["init", "x", "--receipt-key", "cgrv1:no"]),
        2,
        &["--receipt-key"],
    );
    let keys = ["--registry-key", &key, "--receipt-key", &receipt_key()];
    told(
        &gateway(
            folder.path(),
            &[&["init", "x", "--source", "sqlite"], &keys[..]].concat(),
        ),
        0,
        &[],
    );
    told(
        &gateway(&folder.path().join("x"), &["check", "--offline"]),
        0,
        &[],
    );
}

#[test]
fn every_command_forbids_core_dumps_first() {
    let source = fsb_source(1, "mis");
    let clinic = Clinic::new(
        &City::new(),
        "[queue.directory]\npath = \"q\"\n",
        &source,
        "",
    );
    for arguments in [&["check", "--offline"][..], &["sync"], &["status"]] {
        let mut command = clinic.command(arguments);
        let output = command.env("RUST_LOG", "debug").output();
        let words = words(&output.expect("the gateway's program starts"));
        assert!(words.contains("core-dumps-forbidden"), "{words}");
    }
}

#[test]
fn every_example_loads_and_fits_the_printed_schema() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let printed = gateway(folder.path(), &["schema"]);
    let schema =
        jsonschema::validator_for(&json(&printed)).expect("what is printed is a JSON Schema");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut files: Vec<_> = fs::read_dir(examples.join("clinics"))
        .expect("the examples are there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    for kind in KINDS {
        told(
            &gateway(folder.path(), &["init", kind, "--source", kind]),
            0,
            &[],
        );
        files.push(folder.path().join(kind).join("clinic-gateway.toml"));
    }
    assert!(files.len() >= 7, "{files:?}");
    for file in files {
        let text = filled(&fs::read_to_string(&file).expect("text"));
        let copy = folder.path().join("copy.toml");
        fs::write(&copy, &text).expect("the copy is written");
        config::load(&copy).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let value: Value = toml::from_str(&text).expect("TOML");
        let faults: Vec<_> = schema
            .iter_errors(&value)
            .map(|fault| fault.to_string())
            .collect();
        assert!(faults.is_empty(), "{}: {faults:#?}", file.display());
        let mut typo = value;
        typo["outbox"]["batch_event"] = 3.into();
        assert!(
            !schema.is_valid(&typo),
            "the schema must refuse an unknown key"
        );
    }
    settings::load::<registry::Config>(&examples.join("city-registry.toml"))
        .expect("the registry's example");
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_line_and_what_to_write() {
    let city = City::new();
    let clinic = Clinic::new(
        &city,
        "[queue.directory]\npath = \"queue\"\n",
        &fsb_source(1, "mis"),
        "",
    );
    let good = fs::read_to_string(clinic.config_path()).expect("text");
    let line = |key: &str| {
        1 + good
            .lines()
            .position(|line| line.contains(key))
            .expect("the key is there")
    };
    let overlap = format!(
        "clinic-gateway.toml:{}:1: unknown key `overlap_second`",
        line("overlap_seconds")
    );
    let password = "port = 1\npassword = \"hunter2\"";
    let url = "[queue.amqp]\nurl = \"amqp://clinic:hunter2@127.0.0.1/\"\n#";
    for (from, to, phrases) in [
        (
            "overlap_seconds",
            "overlap_second",
            [overlap.as_str(), "did you mean `overlap_seconds`?"],
        ),
        (
            "[source.mis.policy.codes.tests]",
            "[source.mis.polcy.codes.tests]",
            ["`polcy`", "`policy`"],
        ),
        (
            "[queue.directory]",
            "[queue.directry]",
            ["`directry`", "did you mean `directory`?"],
        ),
        (
            "[queue.directory]",
            "[qeue.directory]",
            ["`qeue`", "did you mean `queue`?"],
        ),
        (
            "\"final\"",
            "\"done\"",
            ["`done`", "known here: final, cancelled, ignore, not-a-fact"],
        ),
        (
            "every-seconds = 60",
            "cron = \"* * *\"",
            ["not a cron expression", "second minute hour"],
        ),
        (
            "every-seconds = 60",
            "every-seconds = 0",
            ["every-seconds must be 1 to 86400", "cron"],
        ),
        (
            "SELECT п",
            "DELETE п",
            ["vaccinations: the query is not a SELECT", "SELECT … FROM"],
        ),
        (
            "\"sputnik-v\"",
            "\"sputnik-5\"",
            ["codes.vaccines", "did you mean \"sputnik-v\"?"],
        ),
        (
            "{ file = \"keys\" }",
            "\"keys\"",
            ["how a secret is named", "{ file = "],
        ),
        (
            "{ file = \"keys\" }",
            "{ file = \"nokeys\" }",
            ["nokeys", "no such file"],
        ),
        (
            "{ file = \"keys\" }",
            "{ env = \"CG_NOT_SET\" }",
            ["CG_NOT_SET", "not set"],
        ),
        (
            "cgpk1:",
            "cgpk1:x",
            ["registry.public_key", "city-registry keys public"],
        ),
        (
            "[\"cgrv1:",
            "[\"cgrv1:x",
            ["receipt_keys: entry 1", "city-registry keys public"],
        ),
        (
            "receipt_keys",
            "resend_after_seconds = 1\n#",
            ["receipt_keys is missing", "receipts = \"off\""],
        ),
        (
            "every-seconds = 60 }",
            "every-seconds = 60 }\nsweep = { max_withdrawn_percent = 101 }",
            ["sweep.max_withdrawn_percent", "0 to 100"],
        ),
        (
            "every-seconds = 60 }",
            "every-seconds = 60 }\nsweep = { max_withdrawn_percent = 500 }",
            ["sweep.max_withdrawn_percent", "0 to 100"],
        ),
        (
            "every-seconds = 60 }",
            "every-seconds = 60 }\nsweep = { schedule = { cron = \"0 0 4 31 2 *\" } }",
            ["sweep.schedule: this schedule is never due", "never"],
        ),
        (
            "[registry]",
            "[reconcile]\nschedule = { cron = \"x\" }\n[registry]",
            ["reconcile.schedule: not a cron", "never"],
        ),
        (
            "[registry]",
            "[log]\nfilter = \"a=b=c\"\n[registry]",
            ["log.filter", "info"],
        ),
        ("[source.mis]", "[source.MIS]", ["source.MIS", "lower-case"]),
        ("port = 1", password, ["how a secret is named", "{ file = "]),
        (
            "[queue.directory]\npath",
            url,
            ["holds a password", "password = { file = "],
        ),
        (
            "[queue.directory]\npath = \"queue\"",
            "",
            ["`queue` is missing", "add it"],
        ),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(clinic.config_path(), good.replacen(from, to, 1)).expect("the mistake is made");
        let offline: &[&str] = if from.contains("[queue.directory]\npath") {
            &["check"]
        } else {
            &["check", "--offline"]
        };
        let said = told(&clinic.program(offline), 78, &phrases);
        assert!(
            !said.contains("hunter2"),
            "a password was repeated:\n{said}"
        );
    }
    fs::write(clinic.config_path(), &good).expect("the file is mended");
    let keys = clinic.folder.path().join("keys");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o640)).expect("the mode is set");
    for command in [
        &["check", "--offline"][..],
        &["sync"],
        &["run"],
        &["keys", "show"],
    ] {
        told(&clinic.program(command), 78, &["mode 0640", "chmod 600"]);
    }
}
