//! Waits for services as they begin and end: written down for `status`, shown as a metric, logged.

use std::collections::BTreeSet;

use outbox::ServiceWait;

use crate::gateway::Gateway;
use crate::waits::{ServiceKind, Waiting};

/// Waits that were told last.
#[derive(Default)]
pub(super) struct WaitWatch {
    /// Waits as they are written down; `None` before the first write and after one that failed.
    written: Option<Vec<ServiceWait>>,
    /// Services that are logged as waited for.
    logged: BTreeSet<(ServiceKind, String)>,
}

impl WaitWatch {
    /// Tells what has changed since the last look.
    pub(super) async fn look(&mut self, gateway: &Gateway) {
        let told = gateway.waits.told();
        show(gateway, &told);
        self.log(&told);
        let waits: Vec<ServiceWait> = told.into_iter().map(|waiting| waiting.wait).collect();
        if self.written.as_ref() == Some(&waits) {
            return;
        }
        let noted = gateway.outbox.note_waits(&waits).await;
        gateway.own_state.note(noted.as_ref().err());
        self.written = noted.is_ok().then_some(waits);
    }

    fn log(&mut self, told: &[Waiting]) {
        let service = |waiting: &Waiting| (waiting.kind, waiting.wait.service.clone());
        let present: BTreeSet<_> = told.iter().map(service).collect();
        for (kind, service) in present.difference(&self.logged) {
            tracing::warn!(
                event = "waits-for-service",
                service = kind.code(),
                "waits for {service}, which has not answered; pages that need it are read again \
                 if no answer comes"
            );
        }
        for (kind, service) in self.logged.difference(&present) {
            tracing::info!(
                event = "waits-no-more",
                service = kind.code(),
                "waits no more for {service}"
            );
        }
        self.logged = present;
    }
}

/// Shows how long the longest wait for each kind of service has lasted.
fn show(gateway: &Gateway, told: &[Waiting]) {
    let now = gateway.clock.now();
    for kind in ServiceKind::ALL {
        let of_kind = told.iter().filter(|waiting| waiting.kind == kind);
        let begun = of_kind.filter_map(|waiting| waiting.wait.since).min();
        let seconds = begun.map_or(0, |begun| (now - begun).num_seconds());
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        metrics::gauge!("gateway_service_wait_seconds", "service" => kind.code()).set(seconds);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use outbox::{BatchTokens as _, FeedName};
    use tokio::net::TcpListener;

    use super::*;
    use crate::testing::World;

    const TESTS: FeedName<'static> = FeedName {
        source: "mis",
        feed: "tests",
    };

    /// Gateway whose token issuer takes connections and answers nothing.
    async fn world_with_hung_issuer() -> (World, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let key = oprf::TokenKey::generate().public_key();
        let section = format!(
            "[tokens]\nurl = \"http://127.0.0.1:{port}\"\ntimeout_seconds = 60\n\
             batch = {{ key = 1, public_key = \"{key}\" }}\n"
        );
        (World::new(&section, 0..0).await, listener)
    }

    #[tokio::test]
    async fn a_hung_issuer_is_told_while_it_is_waited_for_and_not_after() {
        let (world, listener) = world_with_hung_issuer().await;
        let tokens = world.gateway.tokens.as_ref().expect("an issuer");
        let mut watch = WaitWatch::default();
        let told = async {
            let (connection, _) = listener.accept().await.expect("the gateway asks");
            watch.look(&world.gateway).await;
            let early = world.gateway.outbox.reader().status().await;
            assert_eq!(early.expect("a status").waits, []);
            world.clock.advance(Duration::from_secs(12));
            watch.look(&world.gateway).await;
            drop(connection);
            drop(listener);
            world.gateway.outbox.reader().status().await
        };
        let (failed, told) = tokio::join!(tokens.ready(1, Some(TESTS)), told);
        assert!(failed.is_err(), "the issuer has hung up");
        let waits = told.expect("a status").waits;
        assert_eq!(waits.len(), 1, "{waits:?}");
        let wait = &waits[0];
        assert_eq!((wait.source.as_str(), wait.feed.as_str()), ("mis", "tests"));
        assert!(wait.service.starts_with("the token issuer 127.0.0.1"));
        watch.look(&world.gateway).await;
        let after = world.gateway.outbox.reader().status().await;
        assert_eq!(after.expect("a status").waits, []);
    }

    #[tokio::test]
    async fn pages_that_wait_for_one_request_fail_with_it_and_do_not_wait_in_turn() {
        let (world, listener) = world_with_hung_issuer().await;
        let tokens = world.gateway.tokens.as_ref().expect("an issuer");
        let mut asked = 0;
        let hanging_up = async {
            loop {
                drop(listener.accept().await);
                asked += 1;
            }
        };
        let both = async { tokio::join!(tokens.ready(1, Some(TESTS)), tokens.ready(2, None)) };
        let (first, second) = tokio::select! {
            failed = both => failed,
            () = hanging_up => unreachable!("it has no end"),
        };
        assert_eq!(first, second);
        assert_eq!(first.expect_err("hung up").code(), "token-issuer-away");
        assert_eq!(asked, 1);
    }
}
