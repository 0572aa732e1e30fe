//! Padded sizes that a clinic uses, of those that the contract knows.

use super::format::PADDED_SIZES_BYTES;

/// Padded sizes in use, at least one of [`PADDED_SIZES_BYTES`]; all of them by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaddedSizes {
    /// Whether the size at the same place of [`PADDED_SIZES_BYTES`] is in use.
    used: [bool; PADDED_SIZES_BYTES.len()],
}

/// Reason why sizes cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PaddedSizesError {
    /// No size at all.
    #[error("no padded size is named")]
    Empty,
    /// A size that no batch may have.
    #[error("{0} bytes is no size that the contract pads to")]
    Unknown(usize),
}

impl PaddedSizes {
    /// Every size of the contract.
    pub const ALL: Self = Self {
        used: [true; PADDED_SIZES_BYTES.len()],
    };

    /// Makes a set of sizes in bytes, in any order.
    ///
    /// # Errors
    /// [`PaddedSizesError`].
    pub fn new(sizes_bytes: &[usize]) -> Result<Self, PaddedSizesError> {
        let is_unknown = |size: &&usize| !PADDED_SIZES_BYTES.contains(size);
        if let Some(size) = sizes_bytes.iter().find(is_unknown) {
            return Err(PaddedSizesError::Unknown(*size));
        }
        if sizes_bytes.is_empty() {
            return Err(PaddedSizesError::Empty);
        }
        let used = PADDED_SIZES_BYTES.map(|size| sizes_bytes.contains(&size));
        Ok(Self { used })
    }

    /// Sizes in bytes, smallest first.
    pub fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        let used = PADDED_SIZES_BYTES.into_iter().zip(self.used);
        used.filter_map(|(size, is_used)| is_used.then_some(size))
    }

    /// Smallest size that holds so many bytes; `None` if no size in use does.
    #[must_use]
    pub fn holding(&self, bytes: usize) -> Option<usize> {
        self.iter().find(|size| bytes <= *size)
    }
}

impl Default for PaddedSizes {
    fn default() -> Self {
        Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_some_of_the_contracts_and_the_smallest_that_fits_is_taken() {
        let sizes = PaddedSizes::new(&[256 << 10, 16 << 10]).unwrap();
        assert_eq!(sizes.iter().collect::<Vec<_>>(), [16 << 10, 256 << 10]);
        assert_eq!(sizes.holding(1), Some(16 << 10));
        assert_eq!(sizes.holding(16 << 10), Some(16 << 10));
        assert_eq!(sizes.holding((16 << 10) + 1), Some(256 << 10));
        assert_eq!(sizes.holding((256 << 10) + 1), None);
        assert_eq!(PaddedSizes::new(&PADDED_SIZES_BYTES), Ok(PaddedSizes::ALL));
    }

    #[test]
    fn other_sizes_and_none_are_refused() {
        assert_eq!(PaddedSizes::new(&[]), Err(PaddedSizesError::Empty));
        let unknown = PaddedSizes::new(&[4 << 10, 5000]);
        assert_eq!(unknown, Err(PaddedSizesError::Unknown(5000)));
    }
}
