//! The token block: one-use tokens between the length and the frame, where a batch has any.
//!
//! What a token is, this crate does not know: it carries the bytes. They belong to the batch because
//! the seal authenticates them together with the header, which names the batch.

use std::fmt;

use super::error::OpenError;

/// Length in bytes of a token (RFC 9577, section 2.2, with an authenticator of 64 bytes).
pub const TOKEN_BYTES: usize = 162;

/// Length in bytes of the token block: the batch's token, and room for the token of a day.
pub const TOKEN_BLOCK_BYTES: usize = 2 * TOKEN_BYTES;

/// Bit of the length that says that a token block follows it.
pub(super) const TOKENS_BIT: u32 = 1 << 31;

/// Tokens that a batch carries. `Debug` shows nothing of them: whoever has one can spend it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedTokens {
    /// Token that is spent for the batch.
    pub batch: [u8; TOKEN_BYTES],
    /// Token that says that a gateway is alive today, in one batch of a gateway's day. All zeros is
    /// no token.
    pub day: Option<[u8; TOKEN_BYTES]>,
}

impl SealedTokens {
    /// Writes the block; zeros where there is no token of a day.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.batch);
        to.extend_from_slice(&self.day.unwrap_or([0; TOKEN_BYTES]));
    }

    /// Reads the block in front of the rest; the rest comes back too.
    pub(super) fn split_from(bytes: &[u8]) -> Result<(Self, &[u8]), OpenError> {
        let (batch, rest) = split_token(bytes)?;
        let (day, rest) = split_token(rest)?;
        let day = (day != [0; TOKEN_BYTES]).then_some(day);
        Ok((Self { batch, day }, rest))
    }
}

impl fmt::Debug for SealedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedTokens(..)")
    }
}

fn split_token(bytes: &[u8]) -> Result<([u8; TOKEN_BYTES], &[u8]), OpenError> {
    let split = bytes.split_first_chunk::<TOKEN_BYTES>();
    split
        .map(|(token, rest)| (*token, rest))
        .ok_or(OpenError::Content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::format::{HEADER_BYTES, LENGTH_BYTES};
    use crate::seal::tests::{framed, noise, plaintext_bytes, seal_raw};
    use crate::{PADDED_SIZES_BYTES, PaddedSizes, PrivateKey, SealError, Sealer};

    fn tokens(day: bool) -> SealedTokens {
        SealedTokens {
            batch: [7; TOKEN_BYTES],
            day: day.then_some([9; TOKEN_BYTES]),
        }
    }

    #[test]
    fn tokens_come_back_with_their_batch() {
        let key = PrivateKey::generate();
        for tokens in [tokens(false), tokens(true)] {
            let (batch, answer_key) = key.public().seal_with_tokens(b"[]", &tokens).unwrap();
            let opened = key.open(&batch.bytes).unwrap();
            assert_eq!(opened.tokens, Some(tokens));
            assert_eq!(opened.encoded.as_slice(), b"[]");
            assert!(opened.id == batch.id && opened.answer_key == answer_key);
        }
        let (without, _) = key.public().seal(b"[]").unwrap();
        assert_eq!(key.open(&without.bytes).unwrap().tokens, None);
    }

    /// The id stands in the header, which the seal authenticates together with the tokens.
    #[test]
    fn tokens_cannot_be_taken_to_another_batch() {
        let key = PrivateKey::generate();
        let seal = || key.public().seal_with_tokens(b"[]", &tokens(true)).unwrap();
        let [first, second] = [seal().0.bytes, seal().0.bytes];
        let moved = [&second[..HEADER_BYTES], &first[HEADER_BYTES..]].concat();
        assert_eq!(key.open(&moved), Err(OpenError::NotAuthentic));
    }

    #[test]
    fn room_for_tokens_counts_in_every_size() {
        let key = PrivateKey::generate();
        let content = noise(3000);
        let mut without = Sealer::new(&key.public());
        let mut with = Sealer::with_token_room(&key.public());
        let bytes = without.compress_encoded(&content).unwrap().bytes();
        let compressed = with.compress_encoded(&content).unwrap();
        assert_eq!(compressed.bytes(), bytes + TOKEN_BLOCK_BYTES);
        let frame = noise(PADDED_SIZES_BYTES[4]);
        let room = LENGTH_BYTES + TOKEN_BLOCK_BYTES;
        for (index, size) in PADDED_SIZES_BYTES.into_iter().enumerate() {
            let seal = |bytes: usize| {
                let sealed =
                    key.public()
                        .seal_frame(&frame[..bytes], PaddedSizes::ALL, Some(&tokens(true)));
                sealed.map(|(batch, _)| plaintext_bytes(&batch))
            };
            assert_eq!(seal(size - room).unwrap(), size);
            match PADDED_SIZES_BYTES.get(index + 1) {
                Some(next) => assert_eq!(seal(size - room + 1).unwrap(), *next),
                None => assert!(matches!(
                    seal(size - room + 1),
                    Err(SealError::TooLarge { .. })
                )),
            }
        }
    }

    #[test]
    fn a_block_that_is_cut_short_and_a_length_beyond_the_rest_are_refused() {
        let key = PrivateKey::generate();
        let frame = zstd::bulk::compress(b"[]", 1).unwrap();
        let block = [3; TOKEN_BLOCK_BYTES];
        let content = [block.as_slice(), &frame].concat();
        let length = framed(&frame) | TOKENS_BIT;
        let open = |length, content: &[u8]| {
            let opened = key.open(&seal_raw(&key.public(), length, content, 0));
            opened.map(|opened| opened.tokens.is_some())
        };
        assert_eq!(open(length, &content), Ok(true));
        let one_short = &content[1..];
        assert_eq!(open(length, one_short), Err(OpenError::Content));
        let without_the_bit = framed(&frame);
        assert_eq!(open(without_the_bit, &content), Err(OpenError::Content));
        let rest = PADDED_SIZES_BYTES[0] - LENGTH_BYTES - TOKEN_BLOCK_BYTES;
        let beyond = u32::try_from(rest + 1).unwrap() | TOKENS_BIT;
        assert_eq!(open(beyond, &content), Err(OpenError::Content));
        assert!(SealedTokens::split_from(&content[..TOKEN_BLOCK_BYTES - 1]).is_err());
    }

    #[test]
    fn debug_shows_no_token() {
        assert_eq!(format!("{:?}", tokens(true)), "SealedTokens(..)");
    }
}
