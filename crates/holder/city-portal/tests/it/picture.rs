//! Pictures of codes, read by rqrr, which is independent of what draws them.

use std::path::Path;

/// Pixels of a module's side in a picture that is made of an SVG.
const SCALE: usize = 4;

/// Most modules of a side of a code with its quiet zone (version 40).
const MOST_MODULES: usize = 185;

/// Grey picture; light is 255.
pub(crate) struct Picture {
    width: usize,
    height: usize,
    grey: Vec<u8>,
}

impl Picture {
    /// Picture of a PGM file.
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let mut fields = bytes.splitn(4, u8::is_ascii_whitespace).skip(1);
        let mut number = || {
            let field = String::from_utf8(fields.next().unwrap().to_vec()).unwrap();
            field.parse::<usize>().unwrap()
        };
        let width = number();
        let height = number();
        let rest = fields.next().unwrap();
        let start = rest.iter().position(u8::is_ascii_whitespace).unwrap() + 1;
        let grey = rest[start..].to_vec();
        assert_eq!(grey.len(), width * height);
        Self {
            width,
            height,
            grey,
        }
    }

    /// Code of an SVG of ours: rectangles of a path, one unit for a module.
    fn of_svg(svg: &str) -> Self {
        let path = svg.split(" d=\"").nth(1).unwrap();
        let path = path.split('"').next().unwrap();
        let side = MOST_MODULES * SCALE;
        let mut grey = vec![255; side * side];
        for rectangle in path.split_terminator('z') {
            let numbers: Vec<usize> = rectangle
                .split(|letter: char| !letter.is_ascii_digit())
                .filter_map(|number| number.parse().ok())
                .collect();
            let [x, y, run, height, back] = numbers[..] else {
                panic!("{rectangle}");
            };
            assert_eq!([height, back], [1, run]);
            for row in y * SCALE..(y + 1) * SCALE {
                grey[row * side + x * SCALE..row * side + (x + run) * SCALE].fill(0);
            }
        }
        Self {
            width: side,
            height: side,
            grey,
        }
    }

    /// Text and side, in pixels, of the code in the picture.
    pub(crate) fn by_rqrr(&self) -> (String, f64) {
        let mut prepared =
            rqrr::PreparedImage::prepare_from_greyscale(self.width, self.height, |x, y| {
                self.grey[y * self.width + x]
            });
        let grids = prepared.detect_grids();
        assert_eq!(grids.len(), 1);
        let [left, right, ..] = grids[0].bounds;
        let (_, text) = grids[0].decode().unwrap();
        (text, f64::from(right.x - left.x))
    }
}

/// Text of the code of an SVG of ours.
pub(crate) fn text_of_svg(svg: &str) -> String {
    Picture::of_svg(svg).by_rqrr().0
}
