//! A code as SVG: black on white, whatever stands around it.

use std::fmt::Write;

use crate::qr::QrCode;

/// Number of pixels of a module's side where a program draws the SVG in its own size.
pub const PIXELS_PER_MODULE: usize = 8;

impl QrCode {
    /// The code with its quiet zone as an SVG document.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let modules = self.whole_side();
        let pixels = modules * PIXELS_PER_MODULE;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{pixels}\" height=\"{pixels}\" \
             viewBox=\"0 0 {modules} {modules}\">\n{}</svg>\n",
            self.svg_parts()
        )
    }

    /// White square and black path of the code, one unit for each module, from the corner of the
    /// quiet zone.
    pub(super) fn svg_parts(&self) -> String {
        let modules = self.whole_side();
        format!(
            "<rect width=\"{modules}\" height=\"{modules}\" fill=\"#fff\"/>\n\
             <path fill=\"#000\" shape-rendering=\"crispEdges\" d=\"{}\"/>\n",
            self.path()
        )
    }

    /// One rectangle for each run of dark modules in a row.
    fn path(&self) -> String {
        let mut path = String::new();
        let side = self.whole_side();
        for y in 0..side {
            let mut x = 0;
            while x < side {
                let run = (x..side)
                    .take_while(|x| self.is_dark_in_whole(*x, y))
                    .count();
                if run > 0 {
                    write!(path, "M{x} {y}h{run}v1h-{run}z").expect("a string takes any text");
                }
                x += run.max(1);
            }
        }
        path
    }
}
