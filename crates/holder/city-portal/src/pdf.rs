//! The paper sheet as PDF: a page of A6 with the code as one path and the lines as text that can be
//! selected, in a font that is part of the document.

use std::sync::LazyLock;

use krilla::Document;
use krilla::color::luma;
use krilla::geom::{Path, PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use pass::qr::{CODE_TOP_MM, PaperSheet, QUIET_ZONE, SHEET_HEIGHT_MM, SHEET_WIDTH_MM, SheetLine};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};

/// Noto Sans, cut down to Latin and Cyrillic; licence beside it.
const FONT: &[u8] = include_bytes!("../font/NotoSans-latin-cyrillic.ttf");

/// Number of points (1/72 inch) of a millimetre.
const POINTS_PER_MM: f64 = 72.0 / 25.4;

/// Title of the document.
const TITLE: &str = "Пропуск · Pass";

/// The font, read once.
static NOTO: LazyLock<Option<Font>> = LazyLock::new(|| Font::new(FONT.to_vec().into(), 0));

/// Sheet that cannot be made a PDF: a fault of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sheet cannot be made a PDF")]
pub(crate) struct PdfFault;

/// The sheet as a PDF document.
pub(crate) fn pdf(sheet: &PaperSheet) -> Result<Vec<u8>, PdfFault> {
    let font = NOTO.clone().ok_or(PdfFault)?;
    let letters = FontRef::new(FONT).map_err(|_| PdfFault)?;
    let mut document = Document::new();
    let metadata = Metadata::new()
        .title(TITLE.to_owned())
        .language("ru".to_owned());
    document.set_metadata(metadata);
    let size = PageSettings::from_wh(
        points(f64::from(SHEET_WIDTH_MM)),
        points(f64::from(SHEET_HEIGHT_MM)),
    );
    let mut page = document.start_page_with(size.ok_or(PdfFault)?);
    let mut surface = page.surface();
    surface.set_fill(Some(Fill {
        paint: luma::Color::new(0).into(),
        ..Fill::default()
    }));
    surface.draw_path(&modules(sheet).ok_or(PdfFault)?);
    for line in sheet.lines() {
        draw_line(&mut surface, line, &font, &letters);
    }
    surface.finish();
    page.finish();
    document.finish().map_err(|_| PdfFault)
}

/// Path of the code: a rectangle for each run of dark modules in a row.
fn modules(sheet: &PaperSheet) -> Option<Path> {
    let code = sheet.code();
    let module = sheet.module_mm();
    let place = |start: f64, count: usize| {
        let count = u32::try_from(count + QUIET_ZONE).unwrap_or(u32::MAX);
        points(start + module * f64::from(count))
    };
    let mut path = PathBuilder::new();
    for y in 0..code.side() {
        let mut x = 0;
        while x < code.side() {
            let run = (x..code.side()).take_while(|x| code.is_dark(*x, y)).count();
            if run > 0 {
                path.push_rect(Rect::from_ltrb(
                    place(sheet.code_left_mm(), x),
                    place(CODE_TOP_MM, y),
                    place(sheet.code_left_mm(), x + run),
                    place(CODE_TOP_MM, y + 1),
                )?);
            }
            x += run.max(1);
        }
    }
    path.finish()
}

/// Text in the middle of the sheet's width.
fn draw_line(surface: &mut Surface<'_>, line: &SheetLine, font: &Font, letters: &FontRef<'_>) {
    let characters = letters.charmap();
    let widths = letters.glyph_metrics(Size::new(1.0), LocationRef::default());
    let glyphs: Vec<KrillaGlyph> = line
        .text
        .char_indices()
        .map(|(at, character)| {
            let glyph = characters.map(character).unwrap_or_default();
            let width = widths.advance_width(glyph).unwrap_or_default();
            let range = at..at + character.len_utf8();
            KrillaGlyph::new(
                GlyphId::new(glyph.to_u32()),
                width,
                0.0,
                0.0,
                0.0,
                range,
                None,
            )
        })
        .collect();
    let size = points(line.font_mm);
    let width: f32 = glyphs.iter().map(|glyph| glyph.x_advance).sum::<f32>() * size;
    let left = (points(f64::from(SHEET_WIDTH_MM)) - width) / 2.0;
    let start = Point::from_xy(left, points(line.baseline_mm));
    surface.draw_glyphs(start, &glyphs, font.clone(), &line.text, size, false);
}

/// Points of so many millimetres.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a place on a sheet needs no more than the 24 bits of an f32"
)]
fn points(millimetres: f64) -> f32 {
    (millimetres * POINTS_PER_MM) as f32
}
