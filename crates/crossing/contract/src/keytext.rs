//! Text form of keys: a prefix that names the kind, then 32 bytes in base64url without padding.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use zeroize::Zeroizing;

/// Length of every key.
pub(crate) const KEY_BYTES: usize = 32;

/// Characters of [`KEY_BYTES`] in base64url.
const KEY_CHARS: usize = 43;

/// Reads a key's text form; `lacks` is the error of a text without the prefix.
pub(crate) fn read(
    text: &str,
    prefix: &str,
    lacks: &'static str,
) -> Result<Zeroizing<[u8; KEY_BYTES]>, &'static str> {
    let encoded = text.trim().strip_prefix(prefix).ok_or(lacks)?;
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    // The decoder wants a buffer of its own estimate (33 bytes).
    let mut decoded = Zeroizing::new([0; KEY_BYTES + 2]);
    match URL_SAFE_NO_PAD.decode_slice(encoded, decoded.as_mut_slice()) {
        Ok(KEY_BYTES) => bytes.copy_from_slice(&decoded[..KEY_BYTES]),
        Ok(_) | Err(_) if encoded.len() == KEY_CHARS => {
            return Err("a character after the colon is mistyped: compare the whole text");
        }
        Ok(_) | Err(_) => return Err("after the colon come 43 characters of base64url"),
    }
    Ok(bytes)
}

/// Writes the text form of a public key.
pub(crate) fn public(prefix: &str, bytes: &[u8; KEY_BYTES]) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Writes the text form of a secret key.
pub(crate) fn secret(prefix: &str, bytes: &[u8; KEY_BYTES]) -> SecretString {
    // The exact capacity, so that no moved copy is left behind.
    let mut text = String::with_capacity(prefix.len() + KEY_CHARS);
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    SecretString::from(text)
}
