//! QR codes of passes: as SVG, for a terminal, and on a paper sheet.

mod sheet;
mod svg;
mod terminal;

#[cfg(test)]
mod tests;

use fast_qr::qr::QRCodeError;
use fast_qr::{ECL, Mode, QRBuilder};

pub use sheet::{
    CODE_MM, CODE_TOP_MM, PaperSheet, SHEET_HEIGHT_MM, SHEET_WIDTH_MM, SheetFault, SheetLine,
    paper_sheet,
};
pub use svg::PIXELS_PER_MODULE;
pub use terminal::TerminalColours;

/// Number of light modules around a code (ISO/IEC 18004 section 6.3.8).
pub const QUIET_ZONE: usize = 4;

/// Characters that a code holds in alphanumeric mode (ISO/IEC 18004 table 5).
const ALPHANUMERIC: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/// Code of a text at error correction level Q in alphanumeric mode: a quarter of it may be spoilt.
#[derive(Clone, PartialEq, Eq)]
pub struct QrCode {
    side: usize,
    dark: Vec<bool>,
}

/// Reason why a text has no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QrFault {
    /// The text has a character that the alphanumeric mode lacks.
    #[error("the text has a character that is not one of a pass (HC1: and base45)")]
    Character,
    /// The text is longer than the greatest code of level Q holds.
    #[error("the text is longer than a QR code of level Q holds")]
    TooLong,
}

impl QrCode {
    /// Code of the text of a pass.
    ///
    /// # Errors
    /// Another character than passes consist of, or too many.
    pub fn of_text(text: &str) -> Result<Self, QrFault> {
        if !text
            .chars()
            .all(|character| ALPHANUMERIC.contains(character))
        {
            return Err(QrFault::Character);
        }
        let code = QRBuilder::new(text)
            .ecl(ECL::Q)
            .mode(Mode::Alphanumeric)
            .build();
        let code = match code {
            Ok(code) => code,
            Err(QRCodeError::EncodedData | QRCodeError::SpecifiedVersion) => {
                return Err(QrFault::TooLong);
            }
        };
        let rows = (0..code.size).flat_map(|y| code[y].iter());
        Ok(Self {
            side: code.size,
            dark: rows.map(|module| module.value()).collect(),
        })
    }

    /// Number of modules of a side, without the quiet zone.
    #[must_use]
    pub fn side(&self) -> usize {
        self.side
    }

    /// Version of the code, 1 to 40.
    #[must_use]
    pub fn version(&self) -> usize {
        (self.side - 17) / 4
    }

    /// True where the module is dark; those outside the code are light.
    #[must_use]
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        x < self.side && y < self.side && self.dark[y * self.side + x]
    }

    /// Number of modules of a side with the quiet zone.
    #[must_use]
    pub fn whole_side(&self) -> usize {
        self.side + 2 * QUIET_ZONE
    }

    /// True where the module is dark, counted from the corner of the quiet zone.
    fn is_dark_in_whole(&self, x: usize, y: usize) -> bool {
        x >= QUIET_ZONE && y >= QUIET_ZONE && self.is_dark(x - QUIET_ZONE, y - QUIET_ZONE)
    }
}
