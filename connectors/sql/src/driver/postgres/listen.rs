//! PostgreSQL's notifications as hints: one connection of its own that listens, is watched, and
//! comes back by itself.

use std::sync::Arc;
use std::time::Duration;

use connector_kit::{CheckReport, SourceError};
use futures_util::FutureExt;
use parking_lot::Mutex;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, Postgres, Row};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::failure::database_failure;
use crate::driver::Failure;
use crate::driver::failure::from_sqlx;

/// Longest silence of a connection before it is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(30);
/// Longest time that an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Shortest time between two hints: what is notified meanwhile is one hint.
const GATHER: Duration = Duration::from_millis(100);
/// Most notifications taken at once, without giving way to other tasks.
const MAX_DRAINED: usize = 10_000;
/// Wait after the first connection that fails, doubled with each further one.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Longest name of a channel the server keeps whole, in bytes.
const MAX_CHANNEL_BYTES: usize = 63;
/// The channel `check` sends itself a notification on.
const CHECK_CHANNEL: &str = "clinic_gateway_check";

/// Listens from the first time somebody waits for a hint until it is dropped.
pub(crate) struct Listener {
    channel: Arc<Channel>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A channel, and how to connect to its server.
struct Channel {
    options: PgConnectOptions,
    place: String,
    name: String,
    connect_timeout: Duration,
    /// A hint for whoever waits next.
    hint: Notify,
}

impl Listener {
    /// Refuses a name that would have to be quoted, which NOTIFY without quotation marks would not
    /// reach.
    pub(super) fn new(
        options: PgConnectOptions,
        place: String,
        channel: &str,
        connect_timeout: Duration,
    ) -> Result<Self, SourceError> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins_well = channel
            .as_bytes()
            .first()
            .is_some_and(|first| !first.is_ascii_digit());
        if !begins_well || channel.len() > MAX_CHANNEL_BYTES || !channel.bytes().all(fits) {
            return Err(SourceError::misconfigured(
                "listen is no channel's name",
                "write small letters a to z, digits and _, at most 63 in all, as in NOTIFY",
            ));
        }
        let hint = Notify::new();
        let channel = Arc::new(Channel {
            options,
            place,
            name: channel.to_owned(),
            connect_timeout,
            hint,
        });
        Ok(Self {
            channel,
            task: Mutex::default(),
        })
    }

    /// Waits for a hint.
    pub(super) async fn changed(&self) {
        {
            let mut task = self.task.lock();
            if task.as_ref().is_none_or(JoinHandle::is_finished) {
                *task = Some(tokio::spawn(Arc::clone(&self.channel).listen()));
            }
        }
        self.channel.hint.notified().await;
    }

    /// Reports whether hints can arrive, and whether anything in the database sends them.
    pub(super) async fn check(&self, report: &mut CheckReport) {
        let channel = &self.channel.name;
        match self.channel.try_out().await {
            Ok(0) => report.warn(
                format!("no trigger of the database notifies the channel {channel}"),
                format!(
                    "let its administrator run: CREATE FUNCTION clinic_gateway_hint() RETURNS \
                     trigger LANGUAGE plpgsql AS \
                     $$BEGIN PERFORM pg_notify('{channel}', ''); RETURN NULL; END$$; then for \
                     each table read: CREATE TRIGGER \
                     clinic_gateway_hint AFTER INSERT OR UPDATE OR DELETE ON … FOR EACH STATEMENT \
                     EXECUTE FUNCTION clinic_gateway_hint()"
                ),
            ),
            Ok(triggers) => report.good(format!(
                "notifications arrive; triggers that name the channel {channel}: \
                    {triggers}"
            )),
            Err(failure) => report.warn(
                format!("hints do not arrive: {}", failure.words(None).0),
                "connect to the server itself: a standby, or a pooler that lends connections by \
                 the transaction, cannot LISTEN; \
                 until then the schedule alone decides when the source is read",
            ),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}

impl Channel {
    fn failure(&self, error: &sqlx::Error) -> Failure {
        from_sqlx(error, &self.place, database_failure)
    }

    async fn connect(&self) -> Result<PgListener, Failure> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(self.connect_timeout)
            .connect_lazy_with(self.options.clone());
        let connecting = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.ignore_pool_close_event(true);
            listener.eager_reconnect(false);
            listener.listen(&self.name).await?;
            Ok(listener)
        };
        match timeout(self.connect_timeout + ANSWER, connecting).await {
            Ok(listener) => {
                let mut listener = listener.map_err(|error| self.failure(&error))?;
                if self.is_lent_on(&mut listener).await {
                    return Err(Failure::misconfigured(
                        "a pooler lends the connection that listens to others between \
                         transactions, so that notifications go astray",
                        "connect to the server itself, or set pool_mode to session",
                    ));
                }
                Ok(listener)
            }
            Err(_) => Err(Failure::retry(format!("{} does not answer", self.place))),
        }
    }

    /// True where another connection meets the same process of the server while this one is open:
    /// LISTEN needs a process of its own.
    async fn is_lent_on(&self, listener: &mut PgListener) -> bool {
        let second = async {
            let own = process(listener).await?;
            let mut other = self.options.connect().await?;
            let is_lent_on = process(&mut other).await? == own;
            other.close().await?;
            Ok::<_, sqlx::Error>(is_lent_on)
        };
        // A second connection that the server does not give says nothing.
        matches!(
            timeout(self.connect_timeout + ANSWER, second).await,
            Ok(Ok(true))
        )
    }

    async fn listen(self: Arc<Self>) {
        let mut wait = SHORTEST_WAIT;
        let mut is_logged = false;
        loop {
            match self.connect().await {
                Ok(listener) => {
                    tracing::info!(event = "listening", "the source hints at changes");
                    is_logged = false;
                    // What was notified before is not known.
                    self.hint.notify_one();
                    if self.pass_hints_on(listener).await {
                        wait = SHORTEST_WAIT;
                    }
                }
                Err(failure) if !is_logged => {
                    let reason = failure.words(None).0;
                    tracing::warn!(
                        event = "not-listening",
                        reason,
                        "the source cannot hint; its schedule goes on"
                    );
                    is_logged = true;
                }
                Err(_) => {}
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Passes hints on until the connection is lost. Returns whether it has worked at all. What a
    /// notification says is not looked at.
    async fn pass_hints_on(&self, mut listener: PgListener) -> bool {
        let mut has_worked = false;
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(_))) => {
                    self.hint.notify_one();
                    loop {
                        sleep(GATHER).await;
                        match drain(&mut listener) {
                            // One hint for all of them: a waiter that is quick would otherwise take
                            // one for each.
                            Some(true) => self.hint.notify_one(),
                            Some(false) => break,
                            // Asked once more it would connect by itself, and what was missed would
                            // not be known.
                            None => return true,
                        }
                    }
                }
                Ok(_) => return has_worked,
                Err(_) => {
                    let asked = sqlx::raw_sql("SELECT 1").execute(&mut listener);
                    if !matches!(timeout(ANSWER, asked).await, Ok(Ok(_))) {
                        return has_worked;
                    }
                }
            }
            has_worked = true;
        }
    }

    /// Sends itself a notification, and counts the triggers that may send some.
    async fn try_out(&self) -> Result<i64, Failure> {
        let mut listener = self.connect().await?;
        let received = async {
            listener.listen(CHECK_CHANNEL).await?;
            sqlx::raw_sql("NOTIFY clinic_gateway_check")
                .execute(&mut listener)
                .await?;
            while let Some(notification) = listener.try_recv().await? {
                if notification.channel() == CHECK_CHANNEL {
                    break;
                }
            }
            let triggers = sqlx::query(
                "SELECT count(*) FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS p ON \
                 p.oid = t.tgfoid \
                 WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' \
                 AND (position($1 IN p.prosrc) > 0 OR position($1 IN encode(t.tgargs, 'escape')) \
                 > 0)",
            );
            let row = triggers
                .persistent(false)
                .bind(&self.name)
                .fetch_one(&mut listener)
                .await?;
            row.try_get(0)
        };
        match timeout(ANSWER, received).await {
            Ok(triggers) => triggers.map_err(|error| self.failure(&error)),
            Err(_) => Err(Failure::retry(format!(
                "{} delivers no notification",
                self.place
            ))),
        }
    }
}

/// The server's process at the other end.
async fn process<'c>(connection: impl Executor<'c, Database = Postgres>) -> sqlx::Result<String> {
    let row = sqlx::raw_sql("SELECT pg_backend_pid()::text")
        .fetch_one(connection)
        .await?;
    row.try_get(0)
}

/// Takes what was notified and is here already, up to a limit. Returns whether it was anything;
/// `None` when the connection is lost.
fn drain(listener: &mut PgListener) -> Option<bool> {
    let mut any = false;
    for _ in 0..MAX_DRAINED {
        match listener.try_recv().now_or_never() {
            Some(Ok(Some(_))) => any = true,
            Some(_) => return None,
            None => break,
        }
    }
    Some(any)
}
