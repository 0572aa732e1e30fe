//! Keeps tokens in hand, asks for the token of the day, and shows what is left of the ceiling.

use std::sync::Arc;
use std::time::Duration;

use outbox::BeaconOccasion;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::tokens::{DayStep, Tokens};

/// Time between two steps.
const PERIOD: Duration = Duration::from_mins(1);

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
            token_step(&gateway, &tokens).await;
            if step.is_multiple_of(STEPS_PER_LOOK) {
                tokens.look().await;
            }
            tokio::time::sleep(PERIOD).await;
        }
    };
    stop.run_until_cancelled(stepping).await;
}

/// Fills up the tokens in hand, and does for the token of the day what its moment asks for.
async fn token_step(gateway: &Gateway, tokens: &Tokens) {
    if let Err(error) = tokens.fill_ahead().await {
        tracing::debug!(event = "tokens-not-filled", code = error.code());
    }
    if tokens.step_day().await == DayStep::SendBatch {
        match gateway.give_out_beacon(BeaconOccasion::SignOfLife).await {
            Ok(true) => gateway.batches_waiting.notify_one(),
            Ok(false) => {}
            Err(error) => tracing::warn!(event = "beacon-failed", code = error.code()),
        }
    }
}
