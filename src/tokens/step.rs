//! Step of a gateway that keeps tokens in hand, and shows once a day that it is alive.

use outbox::BeaconOccasion;

use super::DayStep;
use crate::gateway::Gateway;

/// Fills up the tokens in hand, and does for the token of the day what its moment asks for; nothing
/// without `[tokens]`. Returns whether the beacon has been put among the batches that have to
/// leave, so that the token of the day leaves with it. That tokens are lacking is told where a page
/// needs them.
pub async fn token_step(gateway: &Gateway) -> bool {
    let Some(tokens) = &gateway.tokens else {
        return false;
    };
    if let Err(error) = tokens.fill_ahead().await {
        tracing::debug!(event = "tokens-not-filled", code = error.code());
    }
    if tokens.step_day().await == DayStep::Nothing {
        return false;
    }
    let given_out = gateway.give_out_beacon(BeaconOccasion::SignOfLife).await;
    given_out.unwrap_or_else(|error| {
        tracing::warn!(event = "beacon-failed", code = error.code());
        false
    })
}
