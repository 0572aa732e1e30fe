//! What the audit log says: starts, stops, changes, hours, ceilings.

use std::time::Duration;

use crate::world::{World, at};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn an_hour_is_written_when_it_ends_and_at_the_stop() {
    let world = World::new(1000);
    let served = world.serve().await;
    served.ask(&world.one, 16).await;
    served.ask(&world.one, 256).await;
    served.post(&world.one, b"").await;
    assert_eq!(served.service.step(), None);
    assert_eq!(world.audited("hour").len(), 0, "the hour goes on");
    world.clock.advance(HOUR);
    assert_eq!(served.service.step(), None);
    let hours = world.audited("hour");
    let expected = serde_json::json!({
        "client": "one",
        "from": "2026-11-30T12:00:00Z",
        "until": "2026-11-30T13:00:00Z",
        "requests": 2,
        "elements": 272,
        "refusals": { "malformed": 1 },
    });
    assert_eq!(hours, [expected]);

    let stranger = world.authority.sign("one");
    served.ask(&stranger, 16).await;
    served.stop().await;
    let hours = world.audited("hour");
    assert_eq!(hours.len(), 2);
    assert_eq!(hours[1]["client"], serde_json::Value::Null);
    assert_eq!(hours[1]["refusals"]["unknown-client"], 1);
    assert_eq!(world.audited("stop").len(), 1);
    let folder = world.folder.path().join("audit");
    assert!(audit::verify(&folder, None).unwrap().lines >= 7);
}

#[tokio::test]
async fn a_reached_ceiling_is_written_at_once_and_once_a_day() {
    let world = World::new(256);
    let served = world.serve().await;
    served.ask(&world.one, 256).await;
    served.ask(&world.one, 16).await;
    served.ask(&world.one, 16).await;
    let expected = serde_json::json!({ "client": "one", "daily_ceiling": 256 });
    assert_eq!(world.audited("ceiling-reached"), [expected]);
    assert_eq!(world.audited("hour")[0]["elements"], 256);
    world.clock.set(at("2026-12-01T00:00:00Z"));
    served.ask(&world.one, 256).await;
    served.ask(&world.one, 16).await;
    assert_eq!(world.audited("ceiling-reached").len(), 2);
}

#[tokio::test]
async fn keys_are_in_every_start_and_changes_are_written_once() {
    let mut world = World::new(1000);
    world.serve().await.stop().await;
    let start = &world.audited("start")[0];
    for (at, key) in world.keys.iter().enumerate() {
        assert_eq!(start["keys"][at]["number"], at + 1);
        assert_eq!(start["keys"][at]["fingerprint"], key.fingerprint());
    }
    assert_eq!(world.audited("key-changed").len(), 2);
    assert_eq!(world.audited("client-changed").len(), 2);

    world.serve().await.stop().await;
    assert_eq!(world.audited("start").len(), 2);
    assert_eq!(world.audited("client-changed").len(), 2, "nothing changed");

    world.config.clients[0].daily_ceiling = 2000;
    world.config.clients.pop();
    world.config.keys.pop();
    world.serve().await.stop().await;
    let clients = world.audited("client-changed");
    let change = |at: usize| (&clients[at]["client"], &clients[at]["change"]);
    assert_eq!(change(2), (&"two".into(), &"removed".into()));
    assert_eq!(change(3), (&"one".into(), &"changed".into()));
    assert_eq!(clients[3]["now"]["daily_ceiling"], 2000);
    assert_eq!(world.audited("key-changed")[2]["change"], "removed");
}

#[tokio::test]
async fn a_damaged_log_lets_no_service_start() {
    let world = World::new(1000);
    world.serve().await.stop().await;
    let path = world.folder.path().join("audit/audit-2026-11.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"start\"", "\"stop\"", 1)).unwrap();
    let error = world.open().await.unwrap_err().to_string();
    assert!(error.contains("audit-2026-11.jsonl:2"), "{error}");
}
