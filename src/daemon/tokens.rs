//! Keeps tokens in hand, asks for the token of the day, and shows what is left of the ceiling.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::tokens::{STEP, Tokens, token_step};

/// Steps for one look at the ceiling, which costs nothing of it.
const STEPS_PER_LOOK: u32 = 5;

/// Steps until `stop` is cancelled. That tokens are lacking is told where a page needs them.
pub(super) async fn token_loop(
    gateway: Arc<Gateway>,
    tokens: Arc<Tokens>,
    stop: CancellationToken,
) {
    let stepping = async {
        for step in 0_u32.. {
            if step.is_multiple_of(STEPS_PER_LOOK) {
                tokens.look().await;
            }
            if token_step(&gateway).await {
                gateway.batches_waiting.notify_one();
            }
            tokio::time::sleep(STEP).await;
        }
    };
    stop.run_until_cancelled(stepping).await;
}
