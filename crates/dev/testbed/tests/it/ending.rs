//! Tests that nothing is left behind: neither after a drop nor after the sudden death of the test
//! process.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use testbed::disk::SmallDisk;
use testbed::mariadb::MariaDb;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// Ids of the processes that work in this folder or name it in their command.
fn processes_in(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let entries = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    let inside = |process: &PathBuf| {
        let works_in = std::fs::read_link(process.join("cwd")).unwrap_or_default();
        let command = std::fs::read(process.join("cmdline")).unwrap_or_default();
        works_in.to_string_lossy().starts_with(folder)
            || String::from_utf8_lossy(&command).contains(folder)
    };
    let numbers = entries.filter(|path| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .parse::<u32>()
            .is_ok()
    });
    numbers
        .filter(inside)
        .map(|path| path.display().to_string())
        .collect()
}

async fn until_gone(folder: &Path, is_gone: impl Fn() -> bool) {
    let gone = async {
        while !(processes_in(folder).is_empty() && is_gone()) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let late = timeout(Duration::from_secs(120), gone).await.is_err();
    assert!(
        !late,
        "still there: {:?}, folder gone: {}",
        processes_in(folder),
        is_gone()
    );
}

#[tokio::test]
async fn a_dropped_server_leaves_neither_process_nor_file() {
    let (postgres, mariadb, rabbitmq) =
        tokio::join!(Postgres::start(), MariaDb::start(), RabbitMq::start());
    let postgres = postgres.unwrap();
    let mariadb = mariadb.unwrap();
    let rabbitmq = rabbitmq.unwrap();
    postgres.pause().unwrap();
    rabbitmq.pause().unwrap();
    let folders = [
        postgres.data_dir().parent().unwrap().to_owned(),
        mariadb.data_dir().parent().unwrap().to_owned(),
        rabbitmq.data_dir().parent().unwrap().to_owned(),
    ];
    for folder in &folders {
        assert!(
            !processes_in(folder).is_empty(),
            "the check cannot see the server in {}",
            folder.display()
        );
    }
    drop((postgres, mariadb, rabbitmq));
    for folder in &folders {
        until_gone(folder, || !folder.exists()).await;
    }
}

/// The kernel's parent-death signal is tied to the thread that forked, and a test's thread ends
/// with its test.
#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let start = move || runtime().block_on(Postgres::start()).unwrap();
    let server = std::thread::spawn(start).join().unwrap();
    assert_eq!(
        runtime()
            .block_on(server.psql("postgres", "SELECT 1"))
            .unwrap(),
        "1"
    );
}

/// The process that the next test kills; it has its own folder for everything.
#[tokio::test]
#[ignore = "run, and killed, by servers_die_with_a_killed_test_process"]
async fn child_with_servers() {
    let (postgres, mariadb, rabbitmq) =
        tokio::join!(Postgres::start(), MariaDb::start(), RabbitMq::start());
    let postgres = postgres.unwrap();
    let mariadb = mariadb.unwrap();
    let _rabbitmq = rabbitmq.unwrap();
    postgres.pause().unwrap();
    mariadb.pause().unwrap();
    // Where it may be mounted; a folder that is a mount point cannot be removed.
    let _disk = SmallDisk::mount(1).ok();
    println!("READY");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn servers_die_with_a_killed_test_process() {
    let folder = std::env::temp_dir().join(format!("testbed-ending-{}", std::process::id()));
    // Root's PostgreSQL runs as another user, who must be able to pass.
    std::fs::DirBuilder::new()
        .mode(0o711)
        .create(&folder)
        .unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "ending::child_with_servers",
            "--ignored",
            "--nocapture",
        ])
        .env("TMPDIR", &folder)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    while let Some(line) = timeout(Duration::from_secs(120), lines.next_line())
        .await
        .unwrap()
        .unwrap()
    {
        said.push(line);
        if said.last().unwrap().contains("READY") {
            break;
        }
    }
    assert!(
        said.iter().any(|line| line.contains("READY")),
        "the child ended: {said:?}"
    );
    assert!(
        processes_in(&folder).len() >= 4,
        "PostgreSQL, MariaDB, RabbitMQ and its epmd run"
    );
    child.kill().await.unwrap();
    let only_cache = || {
        let entries = std::fs::read_dir(&folder).unwrap().flatten();
        entries.into_iter().all(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("testbed-cache-")
        })
    };
    until_gone(&folder, only_cache).await;
    std::fs::remove_dir_all(&folder).unwrap();
}
