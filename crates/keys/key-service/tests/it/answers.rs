//! Right answers, which the client verifies against the pinned key.

use oprf::{Blinding, PublicKey, SIZES};

use crate::world::{Served, World, blinding};

/// Evaluates one input under a key over the wire.
async fn evaluated(served: &Served<'_>, world: &World, number: u16, key: &PublicKey) -> Vec<u8> {
    let mut blinding = Blinding::new(&[b"input".as_slice()]).unwrap();
    let answer = served.post(&world.one, &blinding.request(number)).await;
    assert_eq!(answer.status, 200);
    blinding.accept(&answer.body, number, key).unwrap();
    blinding.unblind()[0].to_bytes().to_vec()
}

#[tokio::test]
async fn answers_of_both_sizes_are_proven() {
    let world = World::new(1000);
    let served = world.serve().await;
    for size in SIZES {
        let mut blinding = blinding(size);
        let answer = served.post(&world.one, &blinding.request(1)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body.len(), oprf::answer_bytes(size));
        assert_eq!(
            answer.header("content-type"),
            Some("application/octet-stream")
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(blinding.accept(&answer.body, 1, &world.keys[1]).is_err());
        blinding.accept(&answer.body, 1, &world.keys[0]).unwrap();
        assert_eq!(blinding.unblind().len(), size);
    }
}

#[tokio::test]
async fn two_keys_answer_at_once_and_each_gives_the_same_to_every_blinding() {
    let world = World::new(1000);
    let served = world.serve().await;
    let [first, second] = &world.keys;
    let under_first = evaluated(&served, &world, 1, first).await;
    let under_second = evaluated(&served, &world, 2, second).await;
    assert_ne!(under_first, under_second);
    assert_eq!(evaluated(&served, &world, 1, first).await, under_first);
    assert_eq!(evaluated(&served, &world, 2, second).await, under_second);
}

#[tokio::test]
async fn keys_ceiling_and_use_are_told_to_each_client() {
    let world = World::new(1000);
    let served = world.serve().await;
    served.ask(&world.one, 256).await;
    served.ask(&world.one, 16).await;
    for (client, used) in [(&world.one, 272), (&world.two, 0)] {
        let told = served.send(client, "GET /v1/keys").await;
        assert_eq!(told.status, 200);
        let keys = world.keys.map(|key| key.to_string());
        let expected = serde_json::json!({
            "keys": [
                { "number": 1, "use": "pseudonyms", "public_key": keys[0] },
                { "number": 2, "use": "pseudonyms", "public_key": keys[1] },
            ],
            "daily_ceiling": 1000,
            "used_today": used,
        });
        assert_eq!(told.json(), expected);
    }
}
