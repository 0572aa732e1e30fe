//! Several receipts in one signed message.

use super::error::ReceiptError;
use super::single::{MAGIC, MAX_RECEIPT_BYTES, Receipt};
use crate::bytes::ByteReader;

/// Most receipts in one message.
pub const MAX_RECEIPTS_PER_MESSAGE: usize = 16;

/// Largest receipts message, in bytes.
pub const MAX_RECEIPTS_MESSAGE_BYTES: usize =
    HEADER_BYTES + COUNT_BYTES + MAX_RECEIPTS_PER_MESSAGE * MAX_RECEIPT_BYTES;

/// Text before every signed body: no other signed thing begins alike.
pub(super) const DOMAIN: &[u8] = b"clinic-gateway receipts v1";

pub(super) const KEY_ID_BYTES: usize = 8;
pub(super) const SIGNATURE_BYTES: usize = 64;
pub(super) const HEADER_BYTES: usize = MAGIC.len() + KEY_ID_BYTES + SIGNATURE_BYTES;
const COUNT_BYTES: usize = 2;

/// A message taken apart, before anything in it is believed.
pub(super) struct Parts<'a> {
    pub(super) key_id: [u8; KEY_ID_BYTES],
    pub(super) signature: [u8; SIGNATURE_BYTES],
    /// Signed bytes: the count and the receipts.
    pub(super) body: &'a [u8],
}

pub(super) fn split(message: &[u8]) -> Result<Parts<'_>, ReceiptError> {
    let parts = || {
        let mut reader = ByteReader::new(message);
        if reader.array()? != *MAGIC || message.len() > MAX_RECEIPTS_MESSAGE_BYTES {
            return None;
        }
        let key_id = reader.array()?;
        let signature = reader.array()?;
        Some(Parts {
            key_id,
            signature,
            body: reader.take(message.len() - HEADER_BYTES)?,
        })
    };
    parts().ok_or(ReceiptError::Format)
}

/// Bytes that a signature is made over.
pub(super) fn signed(body: &[u8]) -> Vec<u8> {
    [DOMAIN, body].concat()
}

pub(super) fn join(parts: &Parts<'_>) -> Vec<u8> {
    [MAGIC, &parts.key_id[..], &parts.signature, parts.body].concat()
}

pub(super) fn body(receipts: &[Receipt]) -> Vec<u8> {
    let fits = (1..=MAX_RECEIPTS_PER_MESSAGE).contains(&receipts.len());
    assert!(
        fits,
        "a message takes 1 to {MAX_RECEIPTS_PER_MESSAGE} receipts"
    );
    let count = u16::try_from(receipts.len()).expect("so few fit two bytes");
    let mut out = count.to_be_bytes().to_vec();
    receipts.iter().for_each(|receipt| receipt.write(&mut out));
    out
}

/// Reads the receipts of a body whose signature holds.
pub(super) fn receipts(body: &[u8]) -> Option<Vec<Receipt>> {
    let mut reader = ByteReader::new(body);
    let count = usize::from(reader.u16()?);
    if !(1..=MAX_RECEIPTS_PER_MESSAGE).contains(&count) {
        return None;
    }
    let receipts = reader.list(count, Receipt::parse)?;
    reader.done(receipts)
}
