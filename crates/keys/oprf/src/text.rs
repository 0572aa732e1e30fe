//! Text forms of keys and factors: a prefix that names the kind, then 32 bytes in base64url.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// Bytes of every key and factor.
const VALUE_BYTES: usize = 32;

/// Characters of [`VALUE_BYTES`] in base64url without padding.
const VALUE_CHARS: usize = 43;

/// base64url as in RFC 4648, section 5: written without padding, read with or without.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Kind of value that a text form stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// Public key of a key service, `cgov1:`.
    PublicKey,
    /// Private key of a key service, `cgok1:`.
    ServiceKey,
    /// Factor, `cgof1:`.
    Factor,
    /// Public key of a token issuer, `cgtv1:`.
    TokenPublicKey,
    /// Private key of a token issuer, `cgtk1:`.
    TokenKey,
}

impl TextKind {
    const ALL: [Self; 5] = [
        Self::PublicKey,
        Self::ServiceKey,
        Self::Factor,
        Self::TokenPublicKey,
        Self::TokenKey,
    ];

    /// Beginning of the text form of this kind.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::PublicKey => "cgov1:",
            Self::ServiceKey => "cgok1:",
            Self::Factor => "cgof1:",
            Self::TokenPublicKey => "cgtv1:",
            Self::TokenKey => "cgtk1:",
        }
    }
}

impl TextKind {
    /// Settings that a text of this kind is written into, or its file is named in.
    const fn place(self) -> &'static str {
        match self {
            Self::PublicKey => {
                "public_keys of [[keys.services]] at gateways and portals, and keys.rekeyed of the \
                 registry"
            }
            Self::ServiceKey => "[[keys]] of a key service",
            Self::Factor => "keys.rekeyed of the registry, and --factor of `key-service refresh`",
            Self::TokenPublicKey => "batch and day of [tokens] at gateways",
            Self::TokenKey => {
                "[[token_keys]] of the token issuer, and keys of [tokens] at the registry"
            }
        }
    }
}

impl fmt::Display for TextKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PublicKey => "public key of a key service",
            Self::ServiceKey => "private key of a key service",
            Self::Factor => "factor",
            Self::TokenPublicKey => "public key of a token issuer",
            Self::TokenKey => "private key of a token issuer",
        })
    }
}

/// Why a text is not the text form of a key or factor. Quotes nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The text begins otherwise.
    #[error("a {0} begins with `{prefix}`", prefix = .0.prefix())]
    Prefix(TextKind),
    /// The text form of another kind.
    #[error(
        "this is a {found}, which belongs into {}; a {expected} is needed, which begins with \
         `{prefix}`",
        .found.place(),
        prefix = .expected.prefix()
    )]
    OtherKind {
        /// Kind that was asked for.
        expected: TextKind,
        /// Kind that the prefix names.
        found: TextKind,
    },
    /// Text of another length than 43 characters behind the prefix.
    #[error("after the colon come {VALUE_CHARS} characters of base64url; copy the whole text")]
    Length,
    /// A character that base64url does not have, or an end that stands for no whole byte.
    #[error("a character after the colon is mistyped: compare the whole text")]
    Characters,
    /// Bytes that are no value of the kind: zero, the identity, or a form that is not canonical.
    #[error("the text stands for no {0}: compare the whole text, or make a new one")]
    Value(TextKind),
}

/// Reads the 32 bytes of a text form; white space around it is no matter.
pub(crate) fn read(text: &str, kind: TextKind) -> Result<Zeroizing<[u8; VALUE_BYTES]>, TextError> {
    let text = text.trim();
    let Some(encoded) = text.strip_prefix(kind.prefix()) else {
        let found = TextKind::ALL
            .into_iter()
            .find(|other| text.starts_with(other.prefix()));
        return Err(match found {
            Some(found) => TextError::OtherKind {
                expected: kind,
                found,
            },
            None => TextError::Prefix(kind),
        });
    };
    if encoded.trim_end_matches('=').len() != VALUE_CHARS {
        return Err(TextError::Length);
    }
    // The decoder wants a buffer of its own estimate, which is a little longer.
    let mut decoded = Zeroizing::new([0; VALUE_BYTES + 4]);
    match BASE64URL.decode_slice(encoded, decoded.as_mut_slice()) {
        Ok(VALUE_BYTES) => {}
        Ok(_) | Err(_) => return Err(TextError::Characters),
    }
    let mut bytes = Zeroizing::new([0; VALUE_BYTES]);
    bytes.copy_from_slice(&decoded[..VALUE_BYTES]);
    Ok(bytes)
}

/// Writes the text form of a secret.
pub(crate) fn write_secret(kind: TextKind, bytes: &[u8; VALUE_BYTES]) -> SecretString {
    // The exact capacity, so that no moved copy is left behind.
    let mut text = String::with_capacity(kind.prefix().len() + VALUE_CHARS);
    text.push_str(kind.prefix());
    BASE64URL.encode_string(bytes, &mut text);
    SecretString::from(text)
}

/// Writes the text form of a public key of this kind.
pub(crate) fn write_public(kind: TextKind, bytes: &[u8; VALUE_BYTES]) -> String {
    format!("{}{}", kind.prefix(), BASE64URL.encode(bytes))
}
