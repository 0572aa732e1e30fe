//! A code for a terminal: two rows of modules in one line of half blocks.

use crate::qr::QrCode;

/// Black on white of the fixed part of the 256 colours, which no theme changes.
const BLACK_ON_WHITE: &str = "\u{1b}[38;5;16;48;5;231m";
const RESET: &str = "\u{1b}[0m";

/// Colours in which a terminal shows light and dark modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminalColours {
    /// Black on white by escape sequences, on any background.
    Explicit,
    /// No escape sequences: light modules are drawn, for light letters on a dark background.
    DarkBackground,
}

impl QrCode {
    /// The code with its quiet zone as lines of text.
    #[must_use]
    pub fn to_terminal(&self, colours: TerminalColours) -> String {
        let side = self.whole_side();
        let mut text = String::new();
        for y in (0..side).step_by(2) {
            if colours == TerminalColours::Explicit {
                text.push_str(BLACK_ON_WHITE);
            }
            for x in 0..side {
                let dark = [self.is_dark_in_whole(x, y), self.is_dark_in_whole(x, y + 1)];
                let drawn = match colours {
                    TerminalColours::Explicit => dark,
                    TerminalColours::DarkBackground => dark.map(|dark| !dark),
                };
                text.push(match drawn {
                    [true, true] => '█',
                    [true, false] => '▀',
                    [false, true] => '▄',
                    [false, false] => ' ',
                });
            }
            if colours == TerminalColours::Explicit {
                text.push_str(RESET);
            }
            text.push('\n');
        }
        text
    }
}
