//! Commands that find something, that meet a signal or a file that is none, that name what there is
//! not, and that run beside a daemon without its secrets.

mod beside;
mod names;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::cli::{World, told};
use crate::support::{Running, eventually, registry_command, registry_program};

/// Longest time that a command gets which must not wait for anything, in seconds.
const NO_WAIT: &str = "60";

/// Runs a program to its end; one that waits for ever ends with 124 (timeout(1)).
fn bounded(program: &Path, config: &Path, arguments: &[&str]) -> Output {
    Command::new("timeout")
        .arg(NO_WAIT)
        .arg(program)
        .arg("--config")
        .arg(config)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("timeout(1) starts")
}

fn gateway_program() -> PathBuf {
    env!("CARGO_BIN_EXE_clinic-gateway").into()
}

fn pipe(path: &Path) {
    let made = Command::new("mkfifo")
        .args(["-m", "600"])
        .arg(path)
        .status();
    assert!(made.is_ok_and(|status| status.success()));
}

fn hang_up(process: u32) {
    let sent = Command::new("kill")
        .args(["-HUP", &process.to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "it has ended");
}

async fn says(running: &Running, phrase: &str) {
    let said = async || running.log().contains(phrase).then_some(());
    eventually(phrase, 60, said).await;
}

/// Waits until a process of the gateway holds the outbox; it listens to signals by then.
async fn works(world: &World) {
    let outbox = world.clinic.folder.path().join("state/outbox.db");
    let owner = async || outbox::owner(&outbox).expect("a lock file");
    eventually("the gateway works", 60, owner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_is_told_and_ends_no_daemon() {
    let world = World::new("").await;
    let log = |name: &str| world.clinic.folder.path().join(name);
    let mut gateway = Running::start(world.clinic.command(&["run"]), &log("gateway.log"));
    let registry = registry_command(&world.registry, &["run"]);
    let mut registry = Running::start(registry, &log("registry.log"));
    says(&gateway, "the gateway is running").await;
    says(&registry, "the registry is running").await;
    for daemon in [&mut gateway, &mut registry] {
        hang_up(daemon.id());
        says(daemon, "SIGHUP is ignored").await;
        says(daemon, "restart it").await;
        assert_eq!(daemon.terminate().await, Some(0), "{}", daemon.log());
    }

    // A command in the foreground stops, tidily; nothing waits for receipts any more.
    let waiting = ["sync", "--wait-receipts", "600"];
    world
        .server
        .psql(
            "mis",
            "UPDATE прививка SET доза = 2, изменено = now() WHERE ид = 103",
        )
        .await
        .expect("a row changes");
    // The tests may themselves run where SIGHUP is ignored.
    let mut asked = Command::new("env");
    asked
        .arg("--default-signal=HUP")
        .arg(gateway_program())
        .arg("--config")
        .arg(world.clinic.config_path())
        .args(waiting)
        .stdin(Stdio::null());
    let mut sync = Running::start(asked, &log("sync.log"));
    works(&world).await;
    hang_up(sync.id());
    says(&sync, "SIGHUP: the terminal has gone").await;
    sync.ended().await;

    // Started with SIGHUP ignored, it stays.
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "trap '' HUP; exec \"$0\" --config \"$1\" sync --wait-receipts 600",
        ])
        .arg(gateway_program())
        .arg(world.clinic.config_path())
        .stdin(Stdio::null());
    let mut sync = Running::start(shell, &log("nohup.log"));
    works(&world).await;
    hang_up(sync.id());
    let _ended = sync.terminate().await;
    assert!(!sync.log().contains("SIGHUP"), "{}", sync.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
    let world = World::new("").await;
    let folder = world.clinic.folder.path();
    let a_pipe = folder.join("pipe");
    pipe(&a_pipe);
    let programs = [gateway_program(), registry_program()];
    for (program, what, path) in [
        (&programs[0], "a pipe", a_pipe.as_path()),
        (&programs[1], "a pipe", a_pipe.as_path()),
        (&programs[0], "a folder", folder),
        (&programs[1], "a device", Path::new("/dev/null")),
    ] {
        let words = format!("it is {what}, and must be a regular file");
        told(&bounded(program, path, &["check"]), 78, &[&words]);
    }

    let config = world.clinic.config_path();
    let is_a_pipe = "it is a pipe, and must be a regular file";
    let check = |phrase: &str| {
        told(
            &bounded(&programs[0], &config, &["check"]),
            78,
            &[is_a_pipe, phrase],
        );
    };
    world.edit("file = \"keys\"", "file = \"pipe\"");
    check("keys");
    told(
        &bounded(&programs[0], &config, &["keys", "show"]),
        78,
        &[is_a_pipe],
    );
    let merged = folder.join("merged").display().to_string();
    let shared = a_pipe.display().to_string();
    let join = ["keys", "new", "--join", &shared, "--out", &merged];
    told(&bounded(&programs[0], &config, &join), 78, &[is_a_pipe]);
    world.edit("file = \"pipe\"", "file = \"keys\"");
    world.edit(
        "user = \"postgres\"",
        "user = \"postgres\"\ntls = { ca_file = \"pipe\" }",
    );
    check("source");
    let text = fs::read_to_string(&config).expect("text");
    let queue = text.find("[queue.directory]").expect("a queue");
    let path_line = text[queue..].find("path").expect("its path") + queue;
    let line_end = text[path_line..].find('\n').expect("a line") + path_line;
    let amqp =
        "[queue.amqp]\nurl = \"amqps://127.0.0.1:1/%2f\"\n[queue.amqp.tls]\nca_file = \"pipe\"\n";
    fs::write(&config, [&text[..queue], amqp, &text[line_end..]].concat()).expect("written");
    check("[queue.amqp.tls]");

    fs::remove_file(world.city.folder.path().join("second-layer.key")).expect("removed");
    pipe(&world.city.folder.path().join("second-layer.key"));
    let show = ["show", "--stats"];
    told(
        &bounded(&programs[1], &world.registry, &show),
        78,
        &[is_a_pipe],
    );
    let key = world.city.folder.path().join("second-layer.key");
    fs::remove_file(&key).expect("removed");
    fs::write(&key, "07".repeat(32)).expect("written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its mode is set");
    fs::create_dir(world.city.folder.path().join("registry.sqlite")).expect("made");
    told(
        &bounded(&programs[1], &world.registry, &["check"]),
        78,
        &["is no regular file"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_at_the_registry_are_no_success() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    told(&clinic.program(&["sync"]), 0, &[]);
    told(&world.registry(&["run", "--drain"]), 0, &[]);
    told(&clinic.program(&["sync"]), 0, &[]);
    // The registry's store is lost.
    for ending in ["", "-wal", "-shm"] {
        let file = world
            .city
            .folder
            .path()
            .join(format!("registry.sqlite{ending}"));
        let _not_there = fs::remove_file(file);
    }
    let log = world.city.folder.path().join("log");
    let mut registry = Running::start(registry_command(&world.registry, &["run"]), &log);
    let wait = ["--wait", "110"];
    let reconcile = |more: &[&str]| clinic.program(&[&["reconcile"], more, &wait].concat());
    told(
        &reconcile(&[]),
        65,
        &["missing", "9 records differ at the registry"],
    );
    told(&reconcile(&["--json"]), 65, &["\"missing\": 9"]);
    told(
        &reconcile(&["--repair"]),
        0,
        &["8 records read from the source", "1 withdrawal sent again"],
    );
    eventually("what was lost is back", 60, async || {
        told(&clinic.program(&["sync"]), 0, &[]);
        (reconcile(&[]).status.code() == Some(0)).then_some(())
    })
    .await;
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
}
