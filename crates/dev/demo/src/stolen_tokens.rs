//! Theft of one-use tokens: a thief of a clinic's gateway takes them until the issuer's ceiling is
//! reached, and sends batches of its own with them.

use clinic_gateway::config::LoadedConfig;
use contract::{
    Body, ContentDigest, Event, FactKind, OwnerToken, PublicKey, RecordDigest, SealedTokens,
    Version, wire,
};
use key_client::{KeyClientError, TokenBytes, TokenClient};
use oprf::SIZES;

/// Tokens that a thief has got.
pub(crate) struct Taken {
    /// The tokens.
    pub tokens: Vec<TokenBytes>,
    /// Reason why no more are given.
    pub refusal: String,
}

/// Takes tokens until the issuer has reached its ceiling for the clinic.
pub(crate) async fn until_the_ceiling(client: &TokenClient) -> Result<Taken, String> {
    let mut tokens = Vec::new();
    let mut refusal = String::new();
    // The smaller request takes what the larger one leaves of the ceiling.
    for size in SIZES.into_iter().rev() {
        refusal = loop {
            match client.batch_tokens(size).await {
                Ok(more) => tokens.extend(more),
                Err(error @ KeyClientError::Ceiling { .. }) => break error.to_string(),
                Err(error) => return Err(error.to_string()),
            }
        };
    }
    Ok(Taken { tokens, refusal })
}

/// Sends a batch with each of these tokens, or with none, as the gateway of this configuration
/// would. Each takes back a record that there never was.
pub(crate) async fn send(
    loaded: &LoadedConfig,
    tokens: &[Option<TokenBytes>],
) -> Result<(), String> {
    let config = &loaded.config;
    let registry = PublicKey::from_text(&config.registry.public_key);
    let registry = registry.map_err(|error| error.to_string())?;
    let relay = config.relay.as_ref().ok_or("there is no relay")?;
    let relay = relay.sealer().map_err(|error| error.to_string())?;
    let publisher = broker::publisher(&config.queue, &loaded.base);
    let publisher = publisher.map_err(|error| error.to_string())?;
    for token in tokens {
        let encoded = wire::encode(&[forged()?]);
        let sealed = match token {
            Some(batch) => {
                let tokens = SealedTokens {
                    batch: *batch,
                    day: None,
                };
                registry.seal_with_tokens(&encoded, &tokens)
            }
            None => registry.seal(&encoded),
        };
        let (batch, _) = sealed.map_err(|error| error.to_string())?;
        let outer = relay.seal(&batch).map_err(|error| error.to_string())?;
        let published = publisher.publish(&outer).await;
        published.map_err(|error| error.to_string())?;
    }
    publisher.close().await;
    Ok(())
}

/// Withdrawal of a record that nobody has.
fn forged() -> Result<Event, String> {
    let mut record = [0; 32];
    getrandom::fill(&mut record).map_err(|error| error.to_string())?;
    Ok(Event {
        record: RecordDigest(record),
        version: Version::MAX,
        content: ContentDigest([1; 16]),
        owner: OwnerToken([1; 16]),
        body: Body::Withdrawn {
            kind: FactKind::Vaccination,
        },
    })
}
