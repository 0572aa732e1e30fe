//! A full disk under the counts and under the audit log.

use testbed::disk::SmallDisk;

use crate::world::World;

#[expect(clippy::print_stdout, reason = "a test says why it was not run")]
fn small_disk() -> Option<SmallDisk> {
    SmallDisk::mount(2)
        .inspect_err(|error| println!("not tried: no small disk can be had here ({error})"))
        .ok()
}

#[tokio::test]
async fn without_room_for_a_count_nothing_is_evaluated_until_there_is_room() {
    let Some(disk) = small_disk() else { return };
    let mut world = World::new(100_000);
    world.config.service.state = disk.path().join("state");
    let served = world.serve().await;
    disk.fill(0).unwrap();
    for _ in 0..2 {
        let refused = served.ask(&world.one, 256).await;
        assert_eq!(refused.problem(), (503, "cannot-count".to_owned()));
        assert_eq!(refused.header("retry-after"), Some("5"));
    }
    let told = served.send(&world.one, "GET /v1/keys").await.json();
    assert_eq!(told["used_today"], 0);
    assert!(served.service.step().is_some());
    disk.free().unwrap();
    assert_eq!(served.ask(&world.one, 256).await.status, 200);
    assert_eq!(served.service.step(), None);
    served.stop().await;
}

#[tokio::test]
async fn without_room_for_the_audit_log_nothing_is_evaluated_until_there_is_room() {
    let Some(disk) = small_disk() else { return };
    let mut world = World::new(100_000);
    world.config.service.audit = disk.path().join("audit");
    let served = world.serve().await;
    assert_eq!(served.ask(&world.one, 256).await.status, 200);
    disk.fill(0).unwrap();
    world.clock.advance(std::time::Duration::from_secs(3600));
    // A line fits into the last block of its file; many do not.
    while served.service.step().is_none() {
        assert_eq!(served.ask(&world.one, 16).await.status, 200);
        world.clock.advance(std::time::Duration::from_secs(3600));
    }
    let refused = served.ask(&world.one, 16).await;
    assert_eq!(refused.problem(), (503, "cannot-count".to_owned()));
    disk.free().unwrap();
    assert_eq!(served.service.step(), None);
    assert_eq!(served.ask(&world.one, 16).await.status, 200);
    served.stop().await;
    let verified = audit::verify(&disk.path().join("audit"), None).unwrap();
    assert!(verified.lines > 0 && verified.torn_bytes == 0);
}
