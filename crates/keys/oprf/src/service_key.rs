//! The private key of a key service, and evaluation under it.

use std::fmt;

use rand_core::TryCryptoRng;
use secrecy::{ExposeSecret, SecretString};
use voprf::{Group, Ristretto255, VoprfServer};
use zeroize::Zeroizing;

use crate::random::OsRandom;
use crate::text::{self, TextError, TextKind};
use crate::wire::OUTPUT_BYTES;
use crate::{Factor, PublicKey, Request, answer};

/// Private key of a key service. Text form `cgok1:` and 32 bytes in base64url; never printed, wiped
/// when dropped.
pub struct ServiceKey {
    /// The key as a scalar, for its text form and for rotation.
    secret: Factor,
    /// The same key as the crate `voprf` takes it.
    server: VoprfServer<Ristretto255>,
}

impl ServiceKey {
    /// Makes a fresh key: a random scalar (RFC 9497, section 3.2, GenerateKeyPair).
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    #[must_use]
    pub fn generate() -> Self {
        let scalar = Ristretto255::random_scalar(&mut OsRandom)
            .map(Zeroizing::new)
            .expect("the generator panics rather than fail");
        Self::from_canonical(&Zeroizing::new(scalar.to_bytes()))
            .expect("a random scalar is in range and is not zero")
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`TextError`], saying what the text lacks.
    pub fn from_text(text: &SecretString) -> Result<Self, TextError> {
        let bytes = text::read(text.expose_secret(), TextKind::ServiceKey)?;
        Self::from_canonical(&bytes).ok_or(TextError::Value(TextKind::ServiceKey))
    }

    /// Writes the text form.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        text::write_secret(TextKind::ServiceKey, self.secret_bytes())
    }

    /// Public key, which clients pin.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        let bytes = Ristretto255::serialize_elem(self.server.get_public_key());
        PublicKey::from_bytes(bytes.into()).expect("a key that is not zero gives no identity")
    }

    /// Multiplies the elements of `request` by this key, and proves for all of them at once that it
    /// was this key (RFC 9497, section 3.3.2, BlindEvaluate over a batch). Returns the answer's
    /// bytes, with the request's key number: the caller has chosen the key by it.
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    #[must_use]
    pub fn evaluate(&self, request: &Request) -> Vec<u8> {
        self.evaluate_with(request, &mut OsRandom)
    }

    /// The factor that turns what `old` evaluated into what this key would have: this key divided
    /// by `old`. For a rotation; who has it and one of the keys has the other.
    #[must_use]
    pub fn factor_from(&self, old: &Self) -> Factor {
        self.secret.divided_by(&old.secret)
    }

    /// The key that takes `factor` back: this key divided by it. For a refresh of shares, in which
    /// another service has multiplied its key by the factor; the product of both keys stays.
    ///
    /// # Panics
    /// Never: the quotient of two scalars that are not zero is none.
    #[must_use]
    pub fn divided_by(&self, factor: &Factor) -> Self {
        let quotient = self.secret.divided_by(factor);
        Self::from_canonical(quotient.scalar().as_bytes())
            .expect("a quotient of scalars is in range and is not zero")
    }

    /// Evaluates a request of any size; `random` gives the proof's nonce.
    pub(crate) fn evaluate_with(
        &self,
        request: &Request,
        random: &mut impl TryCryptoRng,
    ) -> Vec<u8> {
        let evaluated = self
            .server
            .batch_blind_evaluate(random, request.elements())
            .expect("the generator panics rather than fail, and no request is that large");
        answer::write(request.key_number(), &evaluated.messages, &evaluated.proof)
    }

    /// Computes the output of an input that is known (RFC 9497, section 3.3.2, Evaluate).
    pub(crate) fn output(&self, input: &[u8]) -> [u8; OUTPUT_BYTES] {
        let output = self.server.evaluate(input);
        output
            .expect("the input is short and does not hash to the identity")
            .into()
    }

    /// The 32 bytes of the text form.
    pub(crate) fn secret_bytes(&self) -> &[u8; 32] {
        self.secret.scalar().as_bytes()
    }

    pub(crate) fn from_canonical(bytes: &[u8; 32]) -> Option<Self> {
        Some(Self {
            secret: Factor::from_canonical(bytes)?,
            server: VoprfServer::new_with_key(bytes).ok()?,
        })
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceKey({})", self.public_key().fingerprint())
    }
}
