//! What went through the relay, for all tests that look at it: made once in a process, since the
//! brokers and their accounts cost more than everything else.

use std::sync::OnceLock;

use contract::Suite;

use crate::interference::{ONE, OTHER, Seen, play};
use crate::relayed::Brokers;
use crate::stolen::Loot;

/// Runs behind the relay.
pub(crate) struct Recorded {
    /// City in strong mode.
    pub(crate) strong: Loot,
    /// City in the embedded default, behind the relay, too.
    pub(crate) keyed: Loot,
    /// Messages of two clinics.
    pub(crate) one: Vec<Seen>,
    /// Messages of two others, which state the same facts of other people.
    pub(crate) other: Vec<Seen>,
}

/// Runs of this process, which the first test that asks makes.
pub(crate) fn recorded() -> &'static Recorded {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    RECORDED.get_or_init(|| tokio::runtime::Runtime::new().unwrap().block_on(record()))
}

async fn record() -> Recorded {
    let brokers = Brokers::start(&[ONE.accounts, OTHER.accounts].concat()).await;
    Recorded {
        strong: Loot::fill(&brokers, Suite::Voprf, ONE.accounts).await,
        keyed: Loot::fill(&brokers, Suite::Hmac, OTHER.accounts).await,
        one: play(&brokers, &ONE).await,
        other: play(&brokers, &OTHER).await,
    }
}
