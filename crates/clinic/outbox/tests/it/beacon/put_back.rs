//! A state that is made anew while another one is away, and that other one, put back: each meets the
//! other's beacon.

use super::*;

fn named(place: &Place, sources: &[&str]) -> OutboxOptions {
    OutboxOptions {
        receipts: true,
        sources: sources.iter().copied().map(str::to_owned).collect(),
        ..place.options()
    }
}

/// A state of the same gateway in a folder of its own, with nothing in it.
fn empty<'a>(place: &'a Place, name: &str) -> State<'a> {
    let folder = place.folder.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    State {
        place,
        path: folder.join("outbox.db"),
    }
}

#[tokio::test]
async fn new_state_rises_above_the_lost_one_and_the_lost_one_put_back_above_the_new_one() {
    // The more beacons the lost one gave out, the further it is ahead of the new one's first.
    for idle_runs in 0..4 {
        let place = Place::new();
        let lost = State::new(&place);
        let mut registry = Registry::default();
        for run in 0..=idle_runs {
            let rows = rows(0..3 + u32::try_from(run).unwrap());
            assert_eq!(lost.run(&mut registry, &rows, run).await, SETTLED);
        }
        let new = empty(&place, "new");
        assert!(new.run(&mut registry, &cancelled(), 100).await.raised);
        assert!(!registry.asserts(0));
        assert_eq!(new.run(&mut registry, &cancelled(), 101).await, SETTLED);

        // The row says again what the lost one has sent, so that it has nothing to send for it.
        assert!(lost.run(&mut registry, &rows(0..3), 200).await.raised);
        assert!((0..3).all(|record| registry.asserts(record)));
        assert_eq!(lost.run(&mut registry, &rows(0..3), 201).await, SETTLED);
        let outbox = lost.try_open(202).await.unwrap();
        assert_eq!(outbox.generation(), 3);
        outbox.close().await.unwrap();

        // The new one has risen within the month: a person is asked before it goes on.
        let done = new.run(&mut registry, &cancelled(), 300).await;
        assert!(done.other_gateway && !done.raised);
        assert!(accept_state(&new.path, "test").await.unwrap());
        assert!(new.run(&mut registry, &cancelled(), 301).await.raised);
        assert!(!registry.asserts(0));
    }
}

#[tokio::test]
async fn states_that_read_other_sources_have_other_beacons() {
    let place = Place::new();
    let mut registry = Registry::default();
    let mut opened = Vec::new();
    for (name, sources) in [("one", &["mis", "lab"][..]), ("two", &["mis"])] {
        let path = empty(&place, name).path;
        let options = named(&place, sources);
        let outbox = Outbox::open(&path, options, at(0)).await.unwrap();
        outbox.commit_page(page(rows(0..1), "a")).await.unwrap();
        beacon(&outbox, BeaconOccasion::End, 0).await;
        assert!(
            !registry.exchange(&place, &outbox, 0).await.raised,
            "{name}"
        );
        outbox.close().await.unwrap();
        opened.push(path);
    }
    assert_eq!(registry.held.len(), 3, "one record and two beacons");
    // The order of the names does not matter.
    let options = named(&place, &["lab", "mis"]);
    let outbox = Outbox::open(&opened[0], options, at(1)).await.unwrap();
    beacon(&outbox, BeaconOccasion::Start, 1).await;
    assert_eq!(registry.exchange(&place, &outbox, 1).await, SETTLED);
    assert_eq!(registry.held.len(), 3);
}
