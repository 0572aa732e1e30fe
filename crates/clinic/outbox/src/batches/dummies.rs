//! Dummies: sealed batches without an event, by which a slot with facts looks like one without.
//!
//! A dummy is made when it is sent, and is written down nowhere: nobody sends it again, waits for
//! its receipt, or counts it among what has to leave.

use contract::SealedBatch;
use tokio::task::spawn_blocking;

use super::sealing::Sealing;
use crate::file::OutboxError;
use crate::tokens::TokensInHand;

impl Sealing {
    /// Seals up to so many batches without an event, in the smallest of the padded sizes; fewer
    /// where batches carry tokens and facts may need those that are left.
    ///
    /// # Errors
    /// [`OutboxError::Seal`].
    pub(crate) async fn seal_dummies(&self, most: usize) -> Result<Vec<SealedBatch>, OutboxError> {
        let tokens = self.tokens();
        let tokens: Vec<TokensInHand> = (0..most)
            .map_while(|_| TokensInHand::take_spare(tokens))
            .collect();
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let mut sealer = self.sealer();
        let sizes = self.padded_sizes();
        let seal = move || -> Result<Vec<SealedBatch>, OutboxError> {
            let mut dummies = Vec::with_capacity(tokens.len());
            for tokens in tokens {
                // Nobody waits for the answer, so that its key is not kept.
                let (batch, _) = tokens.seal(sealer.compress(&[])?, sizes)?;
                tokens.note_leaves();
                dummies.push(batch);
            }
            Ok(dummies)
        };
        spawn_blocking(seal).await?
    }
}

#[cfg(test)]
mod tests {
    use contract::{PaddedSizes, PrivateKey, wire};

    use super::*;
    use crate::batches::test_events::{new_events, secrets};
    use crate::options::OutboxOptions;

    #[tokio::test]
    async fn a_dummy_has_no_event_and_the_size_of_a_batch_of_one() {
        for sizes in [&[4 << 10, 256 << 10][..], &[64 << 10, 256 << 10]] {
            let key = PrivateKey::generate();
            let options = OutboxOptions {
                padded_sizes: PaddedSizes::new(sizes).unwrap(),
                ..OutboxOptions::new(key.public(), secrets(), "test")
            };
            let sealing = Sealing::new(&options);
            let dummies = sealing.seal_dummies(3).await.unwrap();
            let facts = sealing.shuffle_and_seal(new_events(1)).await.unwrap();
            assert_eq!(dummies.len(), 3);
            for dummy in dummies {
                assert_eq!(dummy.bytes.len(), facts[0].batch.bytes.len());
                let opened = key.open(&dummy.bytes).unwrap();
                assert_eq!(wire::decode(&opened.encoded), Ok(Vec::new()));
            }
        }
    }
}
