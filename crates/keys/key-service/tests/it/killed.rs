//! The program is killed at any moment: no more than the ceiling is ever given, and little is lost.

use chrono::NaiveDate;
use clock::{Clock as _, SystemClock};
use key_service::BLOCK;
use oprf::PublicKey;

use crate::program::{Installed, change, run, terminate};
use crate::world::{blinding, request};

const CEILING: u64 = 4096;

/// Day by the clock of the machine, which the program goes by.
fn today() -> NaiveDate {
    SystemClock::default().now().date_naive()
}

/// What a service gave that was killed three times.
struct Killed {
    installed: Installed,
    /// Elements counted at each start, and those given before it.
    counted: Vec<(u64, u64)>,
    /// Elements given until there were no more.
    given: u64,
}

async fn killed_three_times() -> Killed {
    let installed = Installed::new();
    change(installed.folder.path(), |text| {
        text.replace(
            "daily_ceiling = 200000",
            &format!("daily_ceiling = {CEILING}"),
        )
    });
    let body = request(256, 1);
    let mut counted = Vec::new();
    let mut given = 0;
    for _ in 0..3 {
        let mut service = installed.start().await;
        counted.push((installed.used_today().await, given));
        assert_eq!(installed.post(&body).await.status, 200);
        given += 256;
        // SIGKILL.
        service.kill().await.unwrap();
    }
    let mut service = installed.start().await;
    while installed.post(&body).await.status == 200 {
        given += 256;
    }
    assert_eq!(terminate(&mut service).await, Some(0));
    Killed {
        installed,
        counted,
        given,
    }
}

#[tokio::test]
async fn a_kill_gives_nothing_twice_and_loses_one_block_at_most() {
    // A ceiling is one of a day: what went on over midnight is done once more.
    let killed = loop {
        let day = today();
        let killed = killed_three_times().await;
        if today() == day {
            break killed;
        }
    };
    for (kills, (before, given)) in (0..).zip(killed.counted) {
        assert!(
            before >= given && before <= given + kills * BLOCK,
            "{before}"
        );
    }
    let possible = CEILING - 3 * BLOCK..=CEILING;
    assert!(possible.contains(&killed.given), "{}", killed.given);
    let folder = killed.installed.folder.path();
    let (code, out, err) = run(folder, &["audit", "verify"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

#[tokio::test]
async fn the_program_answers_shows_its_metrics_and_stops_in_good_order() {
    let installed = Installed::new();
    let day = today();
    let mut service = installed.start().await;
    let (_, shown, _) = run(installed.folder.path(), &["keys", "show"]);
    let public = shown
        .split_whitespace()
        .find(|word| word.starts_with("cgov1:"));
    let public: PublicKey = public.unwrap().parse().unwrap();
    let mut blinding = blinding(16);
    let answer = installed.post(&blinding.request(1)).await;
    blinding.accept(&answer.body, 1, &public).unwrap();
    assert_eq!(installed.post(b"").await.status, 400);
    let page = installed
        .page_with(
            "/metrics",
            "key_service_refusals_total{reason=\"malformed\"} 1",
        )
        .await;
    for line in [
        "key_service_evaluations_total{client=\"gateway-1\"} 16",
        "key_service_refusals_total{reason=\"busy\"} 0",
        "key_service_keys 1",
        "key_service_writable 1",
        "key_service_handshakes_refused_total 0",
        "key_service_evaluation_seconds_count 1",
        "key_service_ceiling_left{client=\"gateway-1\"}",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    assert_eq!(terminate(&mut service).await, Some(0));
    let mut service = installed.start().await;
    let used = installed.used_today().await;
    // Nothing is used on a day that has just begun.
    assert!(used == 16 || today() != day, "{used}");
    assert_eq!(terminate(&mut service).await, Some(0));
}
