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
}

/// Most strips for one name and one window that may be set; it bounds the list of ended passes.
pub const MOST_PER_WINDOW: u16 = 1000;
