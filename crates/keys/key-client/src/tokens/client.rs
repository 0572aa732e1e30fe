//! Client of a token issuer.

use std::fmt;
use std::path::Path;

use oprf::{AnswerError, Token, TokenBlinding, answer_bytes};

use super::config::TokenIssuerConfig;
use super::look::{self, TokenIssuerState};
use super::pinned_key::PinnedTokenKey;
use crate::connection::Connection;
use crate::error::{KeyClientError, KeyConfigMistake};
use crate::peer::PeerKind;
use crate::refusal;
use crate::service::on_a_thread;

/// A token as it is sealed: RFC 9577, section 2.2.
pub type TokenBytes = [u8; Token::BYTES];

/// Client of one token issuer.
pub struct TokenClient {
    connection: Connection,
    batch: PinnedTokenKey,
    day: Option<PinnedTokenKey>,
}

/// Answer to the question for the token of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DayTokenAnswer {
    /// The token.
    Token(TokenBytes),
    /// The issuer has given this client its token of this UTC day before.
    GivenBefore,
    /// No key for tokens of days is configured.
    NotConfigured,
}

impl TokenClient {
    /// Checks the configuration and reads the certificates; asks nobody. Relative paths start from
    /// `base`.
    ///
    /// # Errors
    /// [`KeyConfigMistake`], which names the setting and says what to write.
    pub fn new(config: &TokenIssuerConfig, base: &Path) -> Result<Self, KeyConfigMistake> {
        config.check()?;
        let day = config.day.as_ref();
        Ok(Self {
            connection: Connection::new(
                PeerKind::TokenIssuer,
                &config.label(),
                &config.connection(),
                base,
            )?,
            batch: PinnedTokenKey::new("batch", &config.batch),
            day: day.map(|pinned| PinnedTokenKey::new("day", pinned)),
        })
    }

    /// Host of the issuer, with its port where the configuration names one.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.connection.peer.host
    }

    /// Returns whether tokens of days are configured.
    #[must_use]
    pub const fn has_day_tokens(&self) -> bool {
        self.day.is_some()
    }

    /// Asks for tokens of batches, 16 or 256 of them: the smaller number that is at least `count`,
    /// of which there are 256 at most. Each counts for the client's daily ceiling.
    ///
    /// # Errors
    /// [`KeyClientError`]; what was asked for may count.
    ///
    /// # Panics
    /// `count` is 0.
    pub async fn batch_tokens(&self, count: usize) -> Result<Vec<TokenBytes>, KeyClientError> {
        let pinned = self.batch;
        let count = count.min(oprf::MAX_ELEMENTS);
        let blind = move || TokenBlinding::for_batches(&pinned.public_key, count);
        let blinded = on_a_thread(blind).await;
        let blinded = blinded.ok_or_else(|| self.connection.ending())?;
        let blinding = blinded.expect("from 1 to 256 tokens are asked for");
        let most_bytes = answer_bytes(blinding.size());
        let reply = self
            .connection
            .post(blinding.request(pinned.key), most_bytes);
        let reply = reply.await?;
        if refusal::code_of(&reply) == "unknown-key" {
            return Err(self.unknown_key(&pinned));
        }
        let answer = self.connection.body_of(reply, None)?;
        self.finalize(blinding, answer, pinned).await
    }

    /// Asks for the token of the present day.
    ///
    /// # Errors
    /// [`KeyClientError`]; the token of the day may be lost then.
    pub async fn day_token(&self) -> Result<DayTokenAnswer, KeyClientError> {
        let Some(pinned) = self.day else {
            return Ok(DayTokenAnswer::NotConfigured);
        };
        let blinding = TokenBlinding::for_day(&pinned.public_key);
        let most_bytes = answer_bytes(blinding.size());
        let reply = self
            .connection
            .post(blinding.request(pinned.key), most_bytes);
        let reply = reply.await?;
        match refusal::code_of(&reply).as_str() {
            "day-token-given" => return Ok(DayTokenAnswer::GivenBefore),
            "unknown-key" => return Err(self.unknown_key(&pinned)),
            _ => {}
        }
        let answer = self.connection.body_of(reply, None)?;
        let tokens = self.finalize(blinding, answer, pinned).await?;
        let token = tokens.into_iter().next();
        Ok(token.map_or(DayTokenAnswer::GivenBefore, DayTokenAnswer::Token))
    }

    /// Asks the issuer for its keys and the client's ceiling; costs nothing of it.
    ///
    /// # Errors
    /// [`KeyClientError`].
    pub async fn look(&self) -> Result<TokenIssuerState, KeyClientError> {
        let body = self.connection.keys().await?;
        let pinned: Vec<PinnedTokenKey> =
            [Some(self.batch), self.day].into_iter().flatten().collect();
        look::read(&body, &pinned).ok_or_else(|| refusal::no_list(&self.connection.peer))
    }

    async fn finalize(
        &self,
        blinding: TokenBlinding,
        answer: Vec<u8>,
        pinned: PinnedTokenKey,
    ) -> Result<Vec<TokenBytes>, KeyClientError> {
        let finalize = move || {
            let tokens = blinding.finalize(&answer, pinned.key)?;
            Ok::<_, AnswerError>(tokens.iter().map(Token::to_bytes).collect())
        };
        let made = on_a_thread(finalize).await;
        let made = made.ok_or_else(|| self.connection.ending())?;
        made.map_err(|_| {
            let PinnedTokenKey {
                setting,
                key,
                public_key,
            } = pinned;
            refusal::misconfigured(
                format!(
                    "the answer of {} was not computed under the public key that is pinned for \
                     {setting} (key {key})",
                    self.connection.peer
                ),
                format!(
                    "compare with its operator by voice: the pinned key has the fingerprint {}; \
                     correct {setting} of [tokens]",
                    public_key.fingerprint()
                ),
            )
        })
    }

    fn unknown_key(&self, pinned: &PinnedTokenKey) -> KeyClientError {
        let PinnedTokenKey { setting, key, .. } = pinned;
        refusal::misconfigured(
            format!("{} has no key number {key}", self.connection.peer),
            format!(
                "correct {setting} of [tokens], or ask the issuer's operator which numbers it \
                 serves"
            ),
        )
    }
}

impl fmt::Debug for TokenClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuer = self.issuer();
        write!(f, "TokenClient({issuer})")
    }
}
