//! The gateway's command line as a person meets it: exit codes, and the words that say what to
//! change.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use clinic_gateway::config;
use serde_json::Value;
use testbed::postgres::Postgres;

use crate::support::{
    City, Clinic, MIS, Running, amqp_queue, directory_queue, eventually, fsb_source,
    registry_command,
};

const KINDS: [&str; 5] = ["postgres", "mysql", "sqlite", "fhir", "fhir-folder"];
const PLACEHOLDER: &str = "cgpk1:PASTE-THE-KEY-OF-THE-REGISTRY";
const RECEIPT_PLACEHOLDER: &str = "cgrv1:PASTE-THE-RECEIPT-KEY-OF-THE-REGISTRY";

/// The gateway's program in a folder, without a configuration named.
fn gateway(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clinic-gateway"));
    command
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null());
    command.output().expect("the gateway's program starts")
}

/// Everything that was printed.
pub(crate) fn words(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Asserts the exit code and that all of `phrases` were said; returns everything that was printed.
#[track_caller]
pub(crate) fn told(output: &Output, code: i32, phrases: &[&str]) -> String {
    let words = words(output);
    assert_eq!(
        output.status.code(),
        Some(code),
        "exit code; it said:\n{words}"
    );
    for phrase in phrases {
        assert!(
            words.contains(phrase),
            "it did not say {phrase:?}, but:\n{words}"
        );
    }
    assert!(
        !words.contains("panicked") && !words.contains("stack backtrace"),
        "{words}"
    );
    words
}

#[track_caller]
pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error} in:\n{}", words(output)))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o777
}

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

#[test]
fn keys_are_made_shared_rotated_and_retired_and_never_shown() {
    let city = City::new();
    let clinic = Clinic::new(
        &city,
        "[queue.directory]\npath = \"queue\"\n",
        &fsb_source(1, "mis"),
        "",
    );
    let folder = clinic.folder.path();
    let at = |name: &str| folder.join(name).display().to_string();
    let shown = |ring: &str| {
        fs::rename(folder.join(ring), folder.join("keys")).expect("the ring is put in place");
        json(&clinic.program(&["keys", "show", "--json"]))
    };
    let first = shown("keys");
    told(
        &clinic.program(&["keys", "share", "--out", &at("shared")]),
        0,
        &["trusted way"],
    );
    assert_eq!(mode(&folder.join("shared")), 0o600);
    told(
        &clinic.program(&["keys", "share", "--out", &at("shared")]),
        78,
        &["exists already"],
    );
    told(
        &clinic.program(&[
            "keys",
            "new",
            "--out",
            &at("joined"),
            "--join",
            &at("shared"),
        ]),
        0,
        &["epoch 1"],
    );
    told(
        &clinic.program(&["keys", "new", "--out", &at("x"), "--join", &at("keys")]),
        78,
        &["keys: line", "record key"],
    );
    told(
        &clinic.program(&["keys", "rotate", "--out", &at("rotated")]),
        0,
        &["epoch 2", "sync --full"],
    );
    told(
        &clinic.program(&["keys", "retire", "1", "--out", &at("x")]),
        78,
        &["only one"],
    );

    let rotated = shown("rotated");
    assert_eq!(rotated["pseudonym"][0], first["pseudonym"][0]);
    assert_eq!(rotated["pseudonym"].as_array().map(Vec::len), Some(2));
    told(
        &clinic.program(&["keys", "share", "--out", &at("both")]),
        0,
        &[],
    );
    told(
        &clinic.program(&["keys", "retire", "1", "--out", &at("retired")]),
        0,
        &["epoch 2"],
    );
    let joined = shown("joined");
    assert_eq!(joined["pseudonym"], first["pseudonym"]);
    assert_ne!(
        joined["record"], first["record"],
        "each clinic's record key is its own"
    );
    told(
        &clinic.program(&["keys", "merge", &at("both"), "--out", &at("merged")]),
        0,
        &["sync --full"],
    );
    let merged = shown("merged");
    assert_eq!(
        (&merged["pseudonym"], &merged["record"]),
        (&rotated["pseudonym"], &joined["record"])
    );
    assert_eq!(shown("retired")["pseudonym"][0], rotated["pseudonym"][1]);

    let text = fs::read_to_string(folder.join("keys")).expect("the ring is text");
    let secrets = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().find(|word| word.len() == 43));
    let said = words(&clinic.program(&["keys", "show"]))
        + &words(&clinic.program(&["check", "--offline"]));
    assert!(
        secrets
            .inspect(|key| assert!(!said.contains(key), "a key was shown"))
            .count()
            >= 2
    );
}

/// A PostgreSQL with the example MIS, a clinic that reads it, and a registry; a directory between
/// them.
pub(crate) struct World {
    pub server: Postgres,
    pub city: City,
    pub clinic: Clinic,
    pub registry: std::path::PathBuf,
}

impl World {
    pub(crate) async fn new(extra: &str) -> Self {
        let server = Postgres::start().await.expect("a clinic's PostgreSQL");
        server
            .create_database("mis")
            .await
            .expect("the MIS database");
        server
            .psql("mis", MIS)
            .await
            .expect("the MIS schema and rows");
        let city = City::new();
        let queue = directory_queue(&city.folder.path().join("queue"));
        let clinic = Clinic::new(&city, &queue, &fsb_source(server.port(), "mis"), extra);
        let registry = city.configure("[store.sqlite]\npath = \"registry.sqlite\"\n", &queue);
        Self {
            server,
            city,
            clinic,
            registry,
        }
    }

    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.clinic.config_path()).expect("text");
        assert!(text.contains(from), "{from}");
        fs::write(self.clinic.config_path(), text.replacen(from, to, 1))
            .expect("the file is edited");
    }

    pub(crate) fn registry(&self, arguments: &[&str]) -> Output {
        registry_command(&self.registry, arguments)
            .output()
            .expect("city-registry starts")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clinic_is_checked_previewed_synced_and_looked_at() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    told(&clinic.program(&["status"]), 1, &["no outbox yet", "sync"]);
    told(
        &clinic.program(&["check"]),
        0,
        &[
            "PostgreSQL",
            "12 columns understood",
            "the account may change data",
        ],
    );
    assert!(
        json(&clinic.program(&["check", "--json"]))
            .as_array()
            .is_some_and(|parts| parts.len() == 6)
    );
    told(
        &clinic.program(&["preview", "mos"]),
        2,
        &["no source is named mos", "mis"],
    );
    told(
        &clinic.program(&["sync", "mos"]),
        2,
        &["no source is named mos"],
    );
    let preview = told(
        &clinic.program(&["preview", "mis", "--records", "100"]),
        0,
        &[
            "vaccination 101: leaves",
            "is refused: identifier-check-digit",
            "does not leave: not about COVID-19",
            "vaccinations: dates leave to the day; dose-number, series-doses leave; of ",
        ],
    );
    for identity in [
        "501-377",
        "50137720139",
        "Верещагина",
        "II-180521",
        "4417093",
    ] {
        assert!(!preview.contains(identity), "{identity} in:\n{preview}");
    }
    let again = clinic.program(&[
        "preview",
        "mis",
        "--json",
        "--feed",
        "tests",
        "--records",
        "2",
    ]);
    assert_eq!(json(&again).as_array().map(Vec::len), Some(2));
    let effect = json(&clinic.program(&["preview", "mis", "--release", "1000", "--json"]));
    let leaving = effect.as_array().map(|feeds| {
        let of_feed = |feed: &Value| feed["classes"]["leaving"].as_u64();
        feeds.iter().filter_map(of_feed).sum::<u64>()
    });
    assert_eq!(leaving, Some(8), "as many as sync sends: {effect}");

    let first = json(&clinic.program(&["sync", "--json"]));
    assert_eq!(
        (&first["new"], &first["refused"], &first["complete"]),
        (&8.into(), &5.into(), &true.into()),
        "{first}"
    );
    let second = json(&clinic.program(&["sync", "--json"]));
    assert_eq!(
        (&second["batches_delivered"], &second["refused"]),
        (&0.into(), &0.into()),
        "{second}"
    );
    told(
        &clinic.program(&["preview", "mis", "--feed", "vaccinations"]),
        0,
        &[],
    );

    let refused = told(
        &clinic.program(&["status", "--refused"]),
        0,
        &["identifier-check-digit", "106", "date-future"],
    );
    assert!(!refused.contains("501"), "{refused}");
    let status = json(&clinic.program(&["status", "--json", "--refused"]));
    assert_eq!(status["refused"].as_array().map(Vec::len), Some(5));

    let change = "UPDATE прививка SET доза = 2, изменено = now() AT TIME ZONE 'Europe/Moscow' \
        WHERE ид = 103";
    world
        .server
        .psql("mis", change)
        .await
        .expect("the clinic corrects a row");
    told(
        &clinic.program(&["sync"]),
        0,
        &[
            "corrected                         1",
            "batches delivered                 1",
        ],
    );
    told(&world.registry(&["check"]), 0, &["keys", "store", "queue"]);
    told(&world.registry(&["run", "--drain"]), 0, &["applied"]);
    let stats = json(&world.registry(&["show", "--stats", "--json"]));
    assert_eq!(
        stats["asserted"],
        serde_json::json!({ "recovery": 1, "test": 2, "vaccination": 5 }),
        "{stats}"
    );
    let full = json(&clinic.program(&["sync", "--full", "--json"]));
    assert_eq!(
        (&full["read"], &full["batches_delivered"]),
        (&18.into(), &0.into()),
        "{full}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_or_refuses_is_told_in_words() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    let port = world.server.port();
    world
        .server
        .psql("mis", "CREATE ROLE reader LOGIN PASSWORD 'right-horse'")
        .await
        .expect("a role is made");
    fs::write(clinic.folder.path().join("pw"), "wrong-horse").expect("the password is written");
    fs::set_permissions(
        clinic.folder.path().join("pw"),
        fs::Permissions::from_mode(0o600),
    )
    .expect("its mode");

    world.edit(
        "user = \"postgres\"",
        "user = \"reader\"\npassword = { file = \"pw\" }",
    );
    let said = told(
        &clinic.program(&["check"]),
        78,
        &["refuses the password", "`user`"],
    );
    assert!(!said.contains("horse"), "{said}");
    told(&clinic.program(&["sync"]), 78, &["source mis", "password"]);
    told(&clinic.program(&["status"]), 0, &["source-misconfigured"]);
    fs::write(clinic.folder.path().join("pw"), "right-horse").expect("the password is mended");
    told(
        &clinic.program(&["check"]),
        78,
        &["may not read", "grant it SELECT"],
    );
    world.edit("user = \"reader\"", "user = \"postgres\"");

    world.edit("п.препарат AS vaccine_code", "п.препарат AS vaccine");
    told(
        &clinic.program(&["check"]),
        78,
        &["vaccinations", "vaccine_code"],
    );
    told(
        &clinic.program(&["preview", "mis", "--feed", "vaccinations"]),
        78,
        &["vaccine_code"],
    );
    world.edit("п.препарат AS vaccine", "п.лекарство AS vaccine_code");
    told(
        &clinic.program(&["check"]),
        78,
        &["vaccinations", "лекарство"],
    );

    world.edit("database = \"mis\"", "database = \"nis\"");
    told(
        &clinic.program(&["check"]),
        78,
        &["no such database", "`database`"],
    );
    world.edit(
        &format!("port = {port}"),
        &format!("port = {}", testbed::ports::free_port()),
    );
    told(
        &clinic.program(&["check"]),
        1,
        &["PostgreSQL at 127.0.0.1", "is the server running"],
    );
    told(
        &clinic.program(&["sync"]),
        1,
        &["source mis", "is the server running"],
    );
    told(
        &clinic.program(&["preview", "mis"]),
        1,
        &["is the server running"],
    );
    told(&clinic.program(&["status"]), 0, &["source-away"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_away_keeps_batches_waiting_and_says_so() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    let good = fs::read_to_string(clinic.config_path()).expect("text");
    let queue = directory_queue(&world.city.folder.path().join("queue"));
    let away = good.replace(&queue, &amqp_queue(testbed::ports::free_port()));
    fs::write(clinic.config_path(), away).expect("the broker is named");
    told(
        &clinic.program(&["check"]),
        1,
        &["nothing listens at", "start it"],
    );
    let told_away = clinic.program(&["sync"]);
    told(
        &told_away,
        1,
        &[
            "new                               8",
            "wait in the outbox: nothing listens at",
        ],
    );
    told(
        &clinic.program(&["status"]),
        0,
        &["3 batches wait", "failing: queue-away"],
    );
    fs::write(clinic.config_path(), &good).expect("the queue is back");
    told(
        &clinic.program(&["sync"]),
        0,
        &["batches delivered                 3"],
    );

    // A queue that needs a person is not tried for long.
    let blocked = good.replace(&queue, "[queue.directory]\npath = \"keys/queue\"\n");
    fs::write(clinic.config_path(), blocked).expect("a queue below a file");
    told(&clinic.program(&["check"]), 78, &["keys/queue"]);
}

/// So many rows that their sealed batches do not fit into one mebibyte.
const MANY: &str =
    "INSERT INTO прививка SELECT n, 1 + n % 2, 'Спутник Лайт', NULL, 1, 1, '01.07.2021', \
     'выполнена',
    '2021-07-10 10:00:00'::timestamp + n * interval '1 second' FROM generate_series(1000, 40000) n";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_outbox_pauses_pulling_and_loses_nothing() {
    let world = World::new("[outbox]\nmax_mebibytes = 1\n").await;
    world.server.psql("mis", MANY).await.expect("many rows");
    // A full queue directory: batches stay in the outbox.
    world.edit(
        "[queue.directory]\n",
        "[queue.directory]\nmax_batches = 1\n",
    );
    let said = told(
        &world.clinic.program(&["sync"]),
        1,
        &["the outbox is full", "max_batches is 1"],
    );
    assert!(
        !said.contains(" wait in the outbox: they are not due yet"),
        "{said}"
    );
    world.edit("max_batches = 1\n", "");
    told(
        &world.clinic.program(&["status"]),
        0,
        &["paused: outbox full"],
    );
    // What waits for receipts takes room as well: only with a registry that answers there is
    // enough.
    told(
        &world.clinic.program(&["sync"]),
        1,
        &["the outbox is full", "await a receipt"],
    );
    let mut registry = world.registry_daemon();
    told(
        &world.clinic.program(&["sync", "--wait-receipts", "120"]),
        0,
        &["new", "pulling goes on"],
    );
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
    let stats = json(&world.registry(&["show", "--stats", "--json"]));
    assert_eq!(stats["asserted"]["vaccination"], 5 + 39001, "{stats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_cannot_be_used_says_what_to_do() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    let state = clinic.folder.path().join("state");
    let outbox = state.join("outbox.db");

    let mut daemon = Running::start(clinic.command(&["run"]), &clinic.folder.path().join("log"));
    eventually("the daemon runs", 30, async || {
        daemon
            .log()
            .contains("the gateway is running")
            .then_some(())
    })
    .await;
    for command in ["run", "sync"] {
        told(
            &clinic.program(&[command]),
            1,
            &["in use by another gateway process (run, process "],
        );
    }
    told(&clinic.program(&["check"]), 0, &[]);
    told(&clinic.program(&["status"]), 0, &["outbox:"]);
    assert_eq!(daemon.terminate().await, Some(0), "{}", daemon.log());

    let good = fs::read(&outbox).expect("the outbox is a file");
    let mut torn = good.clone();
    torn[4096..]
        .iter_mut()
        .step_by(3)
        .for_each(|byte| *byte ^= 0x5a);
    for (bytes, phrases) in [
        (torn.as_slice(), ["damaged", "keep the `.generation` file"]),
        (
            b"not a database at all, but long enough to look at".as_slice(),
            ["no outbox", "a path of its own"],
        ),
    ] {
        fs::write(&outbox, bytes).expect("the outbox is damaged");
        for command in ["status", "sync", "run"] {
            told(&clinic.program(&[command]), 78, &phrases);
        }
    }
    fs::write(&outbox, good).expect("the outbox is restored");
    told(&clinic.program(&["sync"]), 0, &[]);

    world.edit(
        "[source.mis]",
        "[outbox]\npath = \"nowhere/outbox.db\"\n[source.mis]",
    );
    told(
        &clinic.program(&["check", "--offline"]),
        78,
        &["nowhere", "no such folder", "mode 0700"],
    );
    for command in ["sync", "run", "status"] {
        told(
            &clinic.program(&[command]),
            78,
            &["mount its disk", "mode 0700"],
        );
    }
}
