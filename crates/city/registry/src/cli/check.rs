//! `city-registry check`: connects to everything and says what it found.

use telemetry::terminal as out;

use super::{Failure, Loaded};
use crate::{Keys, Reader};

pub(super) async fn check(loaded: &Loaded) -> Result<(), Failure> {
    let Loaded { config, base } = loaded;
    let mut worst: Option<Failure> = None;
    let mut note = |place: &str, failure: Failure| {
        let (Failure::Later(message) | Failure::Usage(message) | Failure::Change(message)) =
            &failure;
        out::say(format!("FAILED  {place}: {message}"));
        if !matches!(worst, Some(Failure::Change(_))) {
            worst = Some(failure);
        }
    };
    match Keys::read(&config.keys, base) {
        Ok(keys) => {
            out::say(format!(
                "ok      keys: {} private, and the second layer",
                keys.private().len()
            ));
            out::say(match keys.receipt() {
                Some(_) => "ok      receipts: signed with keys.receipt_key",
                None => "ok      receipts: none are sent, as there is no keys.receipt_key",
            });
            match Reader::open(&config.store, keys, base).await {
                Ok(reader) => {
                    out::say(format!(
                        "ok      store: {} answers, its tables are up to date",
                        reader.describe()
                    ));
                    reader.close().await;
                }
                Err(error) => note("store", error.into()),
            }
        }
        Err(error) => note("keys", error.into()),
    }
    match broker::check(&config.queue, base).await {
        Ok(findings) => findings
            .iter()
            .for_each(|finding| out::say(format!("ok      queue: {finding}"))),
        Err(error) if error.is_retry() => note("queue", Failure::Later(error.to_string())),
        Err(error) => note("queue", Failure::Change(error.to_string())),
    }
    match worst {
        None => Ok(()),
        Some(Failure::Change(_)) => Err(Failure::Change(
            "something has to be changed, see above".into(),
        )),
        Some(Failure::Later(_) | Failure::Usage(_)) => Err(Failure::Later(
            "something does not answer, see above".into(),
        )),
    }
}
