//! A disk that fills up: alone, under PostgreSQL, and under RabbitMQ.

use std::io::ErrorKind;
use std::time::Duration;

use testbed::Error;
use testbed::disk::SmallDisk;
use testbed::postgres::Postgres;
use testbed::rabbitmq::{Options, RabbitMq};
use tokio::time::{sleep, timeout};

/// A small disk, or `None`, said aloud, where this process may not mount; CI runs as root and must
/// not skip.
fn disk(mebibytes: u32) -> Option<SmallDisk> {
    match SmallDisk::mount(mebibytes) {
        Err(error @ Error::CannotMount { .. }) if std::env::var_os("CI").is_none() => {
            println!("NOT RUN: {error}");
            None
        }
        mounted => Some(mounted.unwrap()),
    }
}

fn is_mounted(path: &std::path::Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == path.to_str())
}

#[test]
fn it_runs_full_and_can_be_freed_and_is_gone_on_drop() {
    let Some(disk) = disk(2) else { return };
    let path = disk.path().to_owned();
    let file = path.join("a");
    assert!(is_mounted(&path));
    std::fs::write(&file, [1; 4096]).unwrap();
    disk.fill(0).unwrap();
    assert_eq!(
        std::fs::write(disk.path().join("b"), [1])
            .unwrap_err()
            .kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(
        std::fs::read(&file).unwrap().len(),
        4096,
        "what was there stays"
    );
    disk.free().unwrap();
    std::fs::write(&file, vec![1; 1 << 20]).unwrap();
    disk.fill(64 * 1024).unwrap();
    std::fs::write(disk.path().join("c"), vec![1; 32 * 1024]).unwrap();
    let too_much = std::fs::write(disk.path().join("d"), vec![1; 64 * 1024]).unwrap_err();
    assert_eq!(too_much.kind(), ErrorKind::StorageFull);
    drop(disk);
    assert!(!is_mounted(&path) && !path.exists());
}

#[tokio::test]
async fn postgresql_refuses_rows_on_a_full_disk_and_takes_them_when_there_is_room() {
    let Some(disk) = disk(160) else { return };
    let mut server = Postgres::start_in(disk.path(), &[]).await.unwrap();
    server
        .psql("postgres", "CREATE TABLE t (word text)")
        .await
        .unwrap();
    disk.fill(0).unwrap();
    let rows = "INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 20000)";
    let refused = server.psql("postgres", rows).await.unwrap_err();
    assert!(refused.to_string().contains("No space left"), "{refused}");
    disk.free().unwrap();
    server.restart().await.unwrap();
    server
        .psql("postgres", "INSERT INTO t VALUES ('y')")
        .await
        .unwrap();
    assert_eq!(
        server
            .psql("postgres", "SELECT count(*) FROM t")
            .await
            .unwrap(),
        "1"
    );
}

#[tokio::test]
async fn rabbitmq_raises_its_alarm_on_a_full_disk_and_ends_it() {
    let Some(disk) = disk(160) else { return };
    let server = RabbitMq::start_in(disk.path(), Options::default())
        .await
        .unwrap();
    assert!(server.data_dir().starts_with(disk.path()));
    let until = async |alarmed: bool| {
        while server
            .ctl(&["eval", "rabbit_alarm:get_alarms()."])
            .await
            .unwrap()
            .contains("disk")
            != alarmed
        {
            sleep(Duration::from_millis(100)).await;
        }
    };
    until(false).await;
    disk.fill(1 << 20).unwrap();
    timeout(Duration::from_secs(180), until(true))
        .await
        .expect("the alarm goes off");
    disk.free().unwrap();
    timeout(Duration::from_secs(180), until(false))
        .await
        .expect("the alarm ends");
}
