//! An uplink too slow for the confirm timeout: everything arrives all the same, and once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use broker::{AmqpConfig, QueueConfig};
use testbed::rabbitmq::RabbitMq;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::amqp::{at, base, drain, publish_stubbornly};
use crate::{PATIENCE, batch};

const BATCH_BYTES: usize = 64 * 1024;
const CHUNK_BYTES: usize = 8 * 1024;
/// Time for a chunk: 256 KiB/s, four batches a second.
const CHUNK_TIME: Duration = Duration::from_millis(32);

/// Passes connections on to `port`, upwards at 256 KiB/s; its own port.
async fn slow_uplink(port: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let broker = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (mut down, mut up) = client.into_split();
            let (mut answers, mut requests) = broker.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut up).await });
            tokio::spawn(async move {
                let mut chunk = [0; CHUNK_BYTES];
                while let Ok(count @ 1..) = down.read(&mut chunk).await {
                    let pace = CHUNK_TIME.mul_f64(count as f64 / CHUNK_BYTES as f64);
                    tokio::time::sleep(pace).await;
                    if requests.write_all(&chunk[..count]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    own
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_uplink_neither_sticks_nor_fills_the_queue_with_copies() {
    let broker = RabbitMq::start().await.unwrap();
    let url = RabbitMq::url_on(slow_uplink(broker.port()).await);
    let impatient = AmqpConfig {
        confirm_timeout_seconds: 2.try_into().unwrap(),
        ..at(&url)
    };
    let publisher = broker::publisher(&QueueConfig::Amqp(impatient), base()).unwrap();
    publisher.publish(&batch(b"connected")).await.unwrap();
    // More than may be on the way at once, and several times what goes up within the timeout.
    let batches: Vec<_> = (0..24)
        .map(|number| batch(&[number; BATCH_BYTES]))
        .collect();
    let expected: BTreeSet<_> = batches.iter().map(|batch| batch.bytes.clone()).collect();
    let publishing = publish_stubbornly(Arc::clone(&publisher), batches);
    let failures = tokio::time::timeout(PATIENCE, publishing)
        .await
        .expect("it gets through");
    assert!(failures > 0, "callers did give up in between");
    let arrived = drain(&QueueConfig::Amqp(at(&broker.amqp_url()))).await;
    assert_eq!(arrived.len(), 25, "copies");
    assert!(expected.is_subset(&arrived.into_iter().collect()));
}
