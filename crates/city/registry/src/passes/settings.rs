//! Settings of the issue of passes, and their limits.

/// Settings of the issue of passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassSettings {
    /// Text that names the issuer in every pass.
    pub issuer: String,
    /// Number of strips issued for each day.
    pub strips_per_day: u16,
    /// Number of days after today that strips are issued for, 0 to 3.
    pub days_ahead: u8,
    /// Most strips that are issued for one name and one window, up to [`MOST_PER_WINDOW`].
    pub most_per_window: u16,
    /// Number of days that a certificate holds at most, from its first day on.
    pub certificate_days: u16,
    /// True where passes can be ended one by one: their ids can be computed. Otherwise ids are
    /// random and forgotten, and passes last as long as their window.
    pub individual_revocation: bool,
}

impl PassSettings {
    /// Most passes that are issued for one name and one window, or one statement.
    pub(super) fn most(&self) -> u32 {
        self.most_per_window.min(MOST_PER_WINDOW).into()
    }
}

/// Most strips for one name and one window that may be set; it bounds the list of ended passes.
pub const MOST_PER_WINDOW: u16 = 1000;

/// Most days that may be set for a certificate.
pub const MAX_CERTIFICATE_DAYS: u16 = 365;
