//! One-use tokens of a batch, as far as storing needs them: they were verified when it was opened.

/// Name of a token: nobody can make another genuine token of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenName {
    /// Id of the key that it was issued under.
    pub key: [u8; 32],
    /// Random number of the token.
    pub nonce: [u8; 32],
}

/// Genuine tokens of a sealed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchTokens {
    /// Digest of the sealed batch that the token is spent for. Only who can open the batch can make
    /// it.
    pub sealed: [u8; 32],
    /// Token of the batch.
    pub batch: TokenName,
    /// Token of a gateway's day, where the batch has one.
    pub day: Option<TokenName>,
}
