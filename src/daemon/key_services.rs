//! Looks at the key services from time to time, so that the metric of their ceilings is fresh also
//! where nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::evaluate::Evaluation;

/// Time between two looks. A look costs nothing of a ceiling.
const PERIOD: Duration = Duration::from_mins(5);

/// Looks at every service until `stop` is cancelled. What fails is told where a page needs it.
pub(super) async fn look_loop(evaluation: Arc<Evaluation>, stop: CancellationToken) {
    let looking = async {
        loop {
            evaluation.client().look().await;
            tokio::time::sleep(PERIOD).await;
        }
    };
    stop.run_until_cancelled(looking).await;
}
