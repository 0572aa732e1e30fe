//! A process killed at any moment leaves whole pages, their batches and digests, and nothing else.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::{env, fs};

use contract::PublicKey;
use outbox::{Outbox, OutboxOptions};

use crate::support::{Place, asserted, at, digest, page, revision, revision_of, secrets};

const PATH: &str = "OUTBOX_CRASH_PATH";
const KEY: &str = "OUTBOX_CRASH_KEY";

/// Records in a page of the child's.
const PAGE: u32 = 40;

/// Page `number` holds its own new records and corrects record 0.
fn numbered(number: u32) -> outbox::PageCommit {
    let new = (0..PAGE).map(|index| asserted(number * PAGE + index + 1, 1));
    let correction = asserted(0, u16::try_from(number % 20_000).unwrap());
    page(new.chain([correction]).collect(), &number.to_string())
}

/// Runs in a process of its own, until killed; in a usual test run it does nothing.
#[tokio::test]
async fn child_commits_until_it_is_killed() {
    let (Ok(path), Ok(key)) = (env::var(PATH), env::var(KEY)) else {
        return;
    };
    let options = OutboxOptions::new(PublicKey::from_text(&key).unwrap(), secrets(), "child");
    let outbox = Outbox::open(path.as_ref(), options, at(0)).await.unwrap();
    let begun = outbox.cursor("mis", "recoveries").await.unwrap();
    let mut number = begun.map_or(0, |cursor| cursor.parse::<u32>().unwrap() + 1);
    loop {
        outbox.commit_page(numbered(number)).await.unwrap();
        println!("committed {number}");
        number += 1;
    }
}

/// Starts the child, lets it commit `pages` pages, and kills it wherever it is by then.
fn run_and_kill(place: &Place, pages: usize) -> u32 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::child_commits_until_it_is_killed",
            "--nocapture",
        ])
        .env(PATH, &place.path)
        .env(KEY, place.key.public().to_text())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    // The harness may print on the same line as the child's first word.
    let numbers = lines.filter_map(|line| {
        line.rsplit_once("committed ")
            .map(|(_, number)| number.parse().unwrap())
    });
    let last = numbers.take(pages).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    last
}

#[tokio::test]
async fn killed_process_leaves_whole_pages_only() {
    let place = Place::new();
    for (round, pages) in [1, 4, 9, 2].into_iter().enumerate() {
        let answered = run_and_kill(&place, pages);
        let outbox = place.open().await;
        assert_eq!(
            outbox.generation(),
            1,
            "a crash is no reason to send everything again (round {round})"
        );
        let cursor = outbox.cursor("mis", "recoveries").await.unwrap().unwrap();
        let last: u32 = cursor.parse().unwrap();
        assert!(
            last >= answered,
            "what was answered is durable: {last} {answered}"
        );
    }
    let outbox = place.open().await;
    let last: u32 = outbox
        .cursor("mis", "recoveries")
        .await
        .unwrap()
        .unwrap()
        .parse()
        .unwrap();
    let mut sent = place.deliver_all(&outbox, at(1)).await;
    sent.sort_unstable_by_key(|event| {
        (event.record != digest(0), revision_of(event), event.record)
    });
    let (corrections, others) = sent.split_at(last as usize + 1);
    for (event, count) in corrections.iter().zip(1..) {
        assert_eq!(
            (event.record, revision_of(event)),
            (digest(0), revision(1, count))
        );
    }
    let mut expected: Vec<_> = (1..=(last + 1) * PAGE).map(digest).collect();
    expected.sort_unstable();
    assert_eq!(
        others.iter().map(|event| event.record).collect::<Vec<_>>(),
        expected
    );
    for number in 0..=last {
        let again = outbox.commit_page(numbered(number)).await.unwrap();
        assert_eq!(again.new, 0, "digests are there for every page that is");
    }
}

#[tokio::test]
async fn files_copied_between_two_commits_open_as_of_then() {
    let place = Place::new();
    let copy = Place::new();
    let outbox = place.open().await;
    for number in 0..5 {
        outbox.commit_page(numbered(number)).await.unwrap();
        outbox.lease(1, at(0), crate::support::LEASE).await.unwrap();
        // Files that a machine that stops here finds on its disk: no shared memory, an unfolded
        // WAL, perhaps an old generation file.
        for suffix in ["", "-wal"] {
            fs::copy(place.sibling(suffix), copy.sibling(suffix)).unwrap();
        }
        if number != 3 {
            fs::copy(place.sibling(".generation"), copy.sibling(".generation")).unwrap();
        }
        let options = OutboxOptions { ..copy.options() };
        let stopped = Outbox::open(&copy.path, options, at(0)).await.unwrap();
        assert_eq!(stopped.generation(), 1);
        assert_eq!(
            stopped.cursor("mis", "recoveries").await.unwrap(),
            Some(number.to_string())
        );
        let backlog = stopped.backlog().await.unwrap();
        assert_eq!(
            (backlog.events, backlog.leased),
            (u64::from((number + 1) * (PAGE + 1)), 0)
        );
        stopped.close().await.unwrap();
    }
}

#[tokio::test]
async fn torn_wal_loses_its_last_page_whole() {
    let place = Place::new();
    let copy = Place::new();
    let outbox = place.open().await;
    outbox.commit_page(numbered(0)).await.unwrap();
    let whole = fs::read(place.sibling("-wal")).unwrap().len();
    fs::copy(place.sibling(".generation"), copy.sibling(".generation")).unwrap();
    outbox.commit_page(numbered(1)).await.unwrap();
    let wal = fs::read(place.sibling("-wal")).unwrap();
    // A power cut in the middle of the second page's frames, before its commit was answered or its
    // generation file written.
    fs::copy(&place.path, &copy.path).unwrap();
    fs::write(
        copy.sibling("-wal"),
        &wal[..whole + (wal.len() - whole) / 2],
    )
    .unwrap();
    let stopped = copy.open().await;
    assert_eq!(
        stopped
            .cursor("mis", "recoveries")
            .await
            .unwrap()
            .as_deref(),
        Some("0")
    );
    assert_eq!(
        (
            stopped.generation(),
            stopped.backlog().await.unwrap().events
        ),
        (1, u64::from(PAGE) + 1)
    );
    assert_eq!(
        stopped.commit_page(numbered(1)).await.unwrap().new,
        u64::from(PAGE)
    );
}
