//! Fixed-width binary: big-endian numbers, digests, lists with a stated length. Reading never goes
//! beyond the end.

use crate::{RecordDigest, Version};

/// Reads binary fields one after the other; `None` where too few bytes are left.
pub(crate) struct ByteReader<'a>(&'a [u8]);

impl<'a> ByteReader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads a flag: 0 or 1.
    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// Reads a count or length in four bytes, at most `max`.
    pub(crate) fn length(&mut self, max: usize) -> Option<usize> {
        usize::try_from(self.u32()?)
            .ok()
            .filter(|length| *length <= max)
    }

    /// Reads a version, where zeros stand for none.
    pub(crate) fn optional_version(&mut self) -> Option<Option<Version>> {
        match self.array().map(u64::from_be_bytes)? {
            0 => Some(None),
            number => Version::new(number).map(Some),
        }
    }

    pub(crate) fn version(&mut self) -> Option<Version> {
        self.optional_version()?
    }

    pub(crate) fn record(&mut self) -> Option<RecordDigest> {
        self.array().map(RecordDigest)
    }

    /// Reads `count` items, each by `item`.
    pub(crate) fn list<T>(
        &mut self,
        count: usize,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        (0..count).map(|_| item(self)).collect()
    }

    /// Returns the value, if all bytes were read.
    pub(crate) fn done<T>(&self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

/// Writes a count or length in four bytes; callers keep within limits far below.
pub(crate) fn count(length: usize) -> [u8; 4] {
    u32::try_from(length)
        .expect("every list is bounded by the contract")
        .to_be_bytes()
}

/// Writes a version, zeros for none.
pub(crate) fn optional_version(version: Option<Version>) -> [u8; 8] {
    version.map_or(0, Version::to_u64).to_be_bytes()
}
