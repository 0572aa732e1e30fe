//! Reasons why a pass does not hold; their names are stable.

use std::fmt;

use crate::container::{ContainerFault, Step};

/// Reason why a pass does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The text does not begin with `HC1:`, or is longer than any pass.
    NotAPass,
    /// The text after the prefix is no base45.
    Base45,
    /// The zlib stream is damaged, too long, or missing.
    Zlib,
    /// The contents are no deterministic CBOR.
    Cbor,
    /// The contents are no COSE_Sign1 with a payload and a key id.
    Cose,
    /// The signature is by another algorithm than ES256.
    Algorithm,
    /// The trust bundle does not have the key.
    KeyUnknown,
    /// The key is for other products.
    KeyNotForThis,
    /// The key's time has not begun or is over.
    KeyNotValidNow,
    /// The signature does not fit.
    Signature,
    /// The issuer is not the one of the trust bundle.
    Issuer,
    /// A claim is unknown, missing, given twice, or not as it must be.
    Claims,
    /// The certificate states a dose of a series that is not complete with it.
    SeriesIncomplete,
    /// The pass's window has not begun.
    NotYet,
    /// The pass's window is over.
    Expired,
    /// The pass ended before its expiry.
    Revoked,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 16] = [
        Self::NotAPass,
        Self::Base45,
        Self::Zlib,
        Self::Cbor,
        Self::Cose,
        Self::Algorithm,
        Self::KeyUnknown,
        Self::KeyNotForThis,
        Self::KeyNotValidNow,
        Self::Signature,
        Self::Issuer,
        Self::Claims,
        Self::SeriesIncomplete,
        Self::NotYet,
        Self::Expired,
        Self::Revoked,
    ];

    /// Stable name of the reason.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAPass => "not-a-pass",
            Self::Base45 => "base45",
            Self::Zlib => "zlib",
            Self::Cbor => "cbor",
            Self::Cose => "cose",
            Self::Algorithm => "algorithm",
            Self::KeyUnknown => "key-unknown",
            Self::KeyNotForThis => "key-not-for-this",
            Self::KeyNotValidNow => "key-not-valid-now",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Claims => "claims",
            Self::SeriesIncomplete => "series-incomplete",
            Self::NotYet => "not-yet",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<ContainerFault> for Reason {
    fn from(fault: ContainerFault) -> Self {
        match fault.step() {
            Step::Prefix => Self::NotAPass,
            Step::Base45 => Self::Base45,
            Step::Zlib => Self::Zlib,
            Step::Cbor => Self::Cbor,
            Step::Cose => Self::Cose,
            Step::Algorithm => Self::Algorithm,
        }
    }
}
