//! Who is let in, and what those get who are not.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::tls::{Authority, connect, exchange, post_head, read_answer};
use crate::world::{World, request};

#[tokio::test]
async fn a_certificate_of_no_client_is_refused_whatever_it_asks_for() {
    let world = World::new(1000);
    let served = world.serve().await;
    let stranger = world.authority.sign("one");
    let refused = served.ask(&stranger, 16).await;
    assert_eq!(refused.problem(), (403, "unknown-client".to_owned()));
    let refused = served.send(&stranger, "GET /v1/keys").await;
    assert_eq!(refused.problem(), (403, "unknown-client".to_owned()));
}

#[tokio::test]
async fn whoever_shows_no_certificate_of_the_authority_gets_nothing() {
    let world = World::new(1000);
    let served = world.serve().await;
    let other = Authority::new("somebody else");
    let foreign = other.sign("one");
    let body = request(16, 1);
    for shown in [None, Some(&foreign)] {
        let answer = match connect(served.address, &world.authority, shown).await {
            Ok(stream) => exchange(stream, &post_head(body.len()), &body).await.ok(),
            Err(_) => None,
        };
        assert!(answer.is_none(), "{answer:?}");
    }
    let plain = TcpStream::connect(served.address).await.unwrap();
    let plain = exchange(plain, &post_head(body.len()), &body).await;
    assert!(plain.is_err() || plain.is_ok_and(|answer| answer.status >= 400));
}

#[tokio::test]
async fn a_slow_client_is_refused_in_time_and_holds_nobody_up() {
    let world = World::new(1000);
    let served = world.serve().await;
    let body = request(16, 1);
    let mut slow = served.connect(&world.one).await;
    slow.write_all(post_head(body.len()).as_bytes())
        .await
        .unwrap();
    slow.write_all(&body[..100]).await.unwrap();
    slow.flush().await.unwrap();
    assert_eq!(served.ask(&world.two, 256).await.status, 200);
    let refused = read_answer(&mut slow).await.unwrap();
    assert_eq!(refused.problem(), (400, "malformed".to_owned()));
}

#[tokio::test]
async fn without_tls_the_one_client_is_of_this_machine() {
    let mut world = World::new(1000);
    world.config.service.tls = None;
    world.config.clients.truncate(1);
    world.config.clients[0].certificate_fingerprint = None;
    assert_eq!(world.config.mistake(), None);
    let served = world.serve().await;
    let body = request(16, 1);
    let stream = TcpStream::connect(served.address).await.unwrap();
    let answer = exchange(stream, &post_head(body.len()), &body).await;
    assert_eq!(answer.unwrap().status, 200);
}
