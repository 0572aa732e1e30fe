//! Tests of the look-up of a person on PostgreSQL: one round trip to the server, whoever it is, and
//! another connection where the one that was held is broken.

use std::sync::atomic::{AtomicUsize, Ordering};

use testbed::postgres::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::on_postgres::open_at;
use super::*;

/// Way to a server that counts how often a client waits for it.
struct CountingWay {
    port: u16,
    round_trips: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
    /// Number of connections that were made.
    connections: Arc<AtomicUsize>,
    /// Breaks every connection.
    breaks: tokio::sync::watch::Sender<()>,
}

impl CountingWay {
    async fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let round_trips = Arc::new(AtomicUsize::new(0));
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = (Arc::clone(&round_trips), Arc::clone(&connections));
        let breaks = tokio::sync::watch::Sender::new(());
        let broken = breaks.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.1.fetch_add(1, Ordering::Relaxed);
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let trips = Arc::clone(&counted.0);
                let mut is_broken = broken.subscribe();
                tokio::spawn(async move {
                    let (from_client, mut to_client) = client.into_split();
                    let (mut from_server, to_server) = server.into_split();
                    tokio::select! {
                        _ = forward(from_client, to_server, &trips) => {}
                        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
                        _ = is_broken.changed() => {}
                    }
                });
            }
        });
        Self {
            port,
            round_trips,
            task,
            connections,
            breaks,
        }
    }

    fn round_trips(&self) -> usize {
        self.round_trips.load(Ordering::Relaxed)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for CountingWay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes a client's messages on (PostgreSQL's manual, "Message Formats"); counts those after which
/// the client waits: Sync and Query.
async fn forward(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    round_trips: &AtomicUsize,
) -> std::io::Result<()> {
    // The first message has no kind.
    let mut kind = None;
    loop {
        let length = client.read_u32().await?;
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        client.read_exact(&mut body).await?;
        if matches!(kind, Some(b'S' | b'Q')) {
            round_trips.fetch_add(1, Ordering::Relaxed);
        }
        let head: Vec<u8> = kind.into_iter().chain(length.to_be_bytes()).collect();
        server.write_all(&[head, body].concat()).await?;
        kind = Some(client.read_u8().await?);
    }
}

/// Store behind a counting way, with a person of three names and two facts.
async fn store_behind(way: &CountingWay) -> Store {
    let url = format!("postgres://postgres@127.0.0.1:{}/r", way.port);
    let store = open_at(url, 4).await;
    let person = person();
    let events = vec![
        event(1, 1, Some(person.clone())),
        event(2, 1, Some(person)),
        event(3, 1, Some(vec![name(Scheme::Snils, 2)])),
    ];
    apply(&store, &[batch(events)], now()).await.unwrap();
    store
}

fn person() -> Vec<CityPseudonym> {
    vec![
        name(Scheme::Snils, 1),
        name(Scheme::Oms, 1),
        name(Scheme::PassportRu, 1),
    ]
}

fn values(names: &[CityPseudonym]) -> Vec<NameValue> {
    names.iter().map(|name| name.value).collect()
}

#[tokio::test]
async fn a_person_is_looked_up_in_one_round_trip_known_or_not() {
    let server = Postgres::start().await.unwrap();
    server.create_database("r").await.unwrap();
    let way = CountingWay::to(server.port()).await;
    let store = store_behind(&way).await;
    let known = values(&person());
    let unknown = values(&[name(Scheme::Snils, 9), name(Scheme::PassportRu, 9)]);
    let two = values(&[name(Scheme::Snils, 1), name(Scheme::Snils, 2)]);
    // The first one also opens the connection and has the statement prepared.
    store.asked_person(&known, 10).await.unwrap();
    for (names, facts) in [(&known, 2), (&unknown, 0), (&two, 0), (&known, 2)] {
        let before = way.round_trips();
        let asked = store.asked_person(names, 10).await.unwrap();
        assert_eq!(way.round_trips() - before, 1);
        assert!(asked.facts.len() == facts || asked.in_doubt);
    }
}

#[tokio::test]
async fn a_held_connection_that_is_broken_is_replaced_at_once() {
    let server = Postgres::start().await.unwrap();
    server.create_database("r").await.unwrap();
    let way = CountingWay::to(server.port()).await;
    let store = store_behind(&way).await;
    let known = values(&person());
    // Two at once, so that two are held.
    let (one, other) = tokio::join!(
        store.asked_person(&known, 10),
        store.asked_person(&known, 10)
    );
    assert_eq!(one.unwrap(), other.unwrap());
    let before = way.connections();
    way.breaks.send_replace(());
    assert_eq!(store.asked_person(&known, 10).await.unwrap().facts.len(), 2);
    assert_eq!(
        way.connections(),
        before + 1,
        "no other that is broken is tried"
    );
    // The server ends the session: it says so, and the answer is that of no statement.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name = 'city-registry'";
    server.psql("r", end).await.unwrap();
    assert_eq!(store.asked_person(&known, 10).await.unwrap().facts.len(), 2);
    assert_eq!(way.connections(), before + 2);
}
