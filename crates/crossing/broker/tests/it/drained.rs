//! Taking whatever is in a queue.

use std::path::Path;
use std::time::Duration;

use broker::QueueConfig;

use crate::until;

/// Receives and acknowledges whatever is in a queue that nobody else uses, and closes the consumer.
/// That nothing came in a while is no proof: connecting and handing out may take longer.
pub(crate) async fn drain_at(config: &QueueConfig, base: &Path) -> Vec<Vec<u8>> {
    let mut consumer = broker::consumer(config, base).unwrap();
    let mut all = Vec::new();
    let mut quiet = 0;
    until("the end of the queue", async || {
        let some = consumer
            .receive(100, Duration::from_millis(500))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        if some.is_empty() {
            let waiting = broker::depth(config, base).await.unwrap().waiting;
            // What the broker has handed out already is on its way the first time.
            quiet += u8::from(consumer.connected() && waiting == 0);
            return (quiet == 2).then_some(());
        }
        quiet = 0;
        all.extend(some.iter().map(|delivery| delivery.bytes.clone()));
        let tokens = some.into_iter().map(|delivery| delivery.token).collect();
        consumer.ack(tokens).await.unwrap();
        None
    })
    .await;
    consumer.close().await;
    all
}
