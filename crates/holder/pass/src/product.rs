//! Products: what a key may sign.

/// Kind of thing that a key of the trust bundle may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Product {
    /// Strips: passes that say nothing but that they hold.
    City,
    /// Certificates with their vaccination, recovery or test.
    Hcert,
    /// Revocation lists.
    Revocations,
}

impl Product {
    /// Every product.
    pub const ALL: [Self; 3] = [Self::City, Self::Hcert, Self::Revocations];

    /// Name of the product in a trust bundle.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::City => "city",
            Self::Hcert => "hcert",
            Self::Revocations => "revocations",
        }
    }

    /// Product of a name; `None` where it is none of today's.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|product| product.as_str() == name)
    }
}
