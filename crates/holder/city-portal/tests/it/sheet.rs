//! The paper sheet: its PDF as other programs see it, and its SVG.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::browser::{citizen, post};
use crate::double::{Behaviour, Double};
use crate::picture::Picture;
use crate::program::Portal;

/// Dots in an inch of the pictures that the sheet is drawn as.
const DPI: u32 = 300;

/// Least side of a code on paper, in millimetres.
const LEAST_MM: f64 = 35.0;

/// Output of a program, or the name of the package that it is in.
fn said(program: &str, arguments: &[&str], package: &str) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|_| panic!("{program} is needed (Debian: {package})"));
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn text_of(program: &str, arguments: &[&str], package: &str) -> String {
    String::from_utf8(said(program, arguments, package)).unwrap()
}

/// A sheet, with its PDF as a file.
async fn sheet(double: &Double, folder: &Path) -> (Value, String) {
    let portal = Portal::over(double).await;
    let answer = post(portal.port, "/api/sheet", &citizen()).await.json();
    assert_eq!(answer["outcome"], "sheet", "{answer}");
    assert_eq!(double.asked()[0].body["form"], "paper");
    let pdf = STANDARD.decode(answer["pdf"].as_str().unwrap()).unwrap();
    let path = folder.join("sheet.pdf");
    std::fs::write(&path, pdf).unwrap();
    (answer, path.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn two_readers_read_the_printed_pdf_and_its_text_can_be_selected() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Behaviour::Entitled).await;
    let (answer, pdf) = sheet(&double, folder.path()).await;
    let poppler = "poppler-utils";
    let info = text_of("pdfinfo", &[&pdf], poppler);
    assert!(info.contains("Pages:           1"), "{info}");
    let size = info.lines().find(|line| line.starts_with("Page size:"));
    let numbers: Vec<f64> = size
        .unwrap()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let millimetres: Vec<f64> = numbers.iter().map(|points| points * 25.4 / 72.0).collect();
    assert!((millimetres[0] - 105.0).abs() < 0.1, "{info}");
    assert!((millimetres[1] - 148.0).abs() < 0.1, "{info}");

    let text = text_of("pdftotext", &["-layout", &pdf, "-"], poppler);
    for line in [
        "Пропуск · Pass",
        "Покажите с документом · Show with a document",
        "RU-MOW · Europe/Moscow",
        "Число рождения · Day of birth: 14",
        "Месяц рождения · Month of birth: 7",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let moscow = double.midnight(7).with_timezone(&chrono_tz::Europe::Moscow);
    let until = moscow.format("до %d.%m.%Y %H:%M").to_string();
    assert!(text.contains(&until), "{until}: {text}");
    assert!(!text.contains("Орлова") && !text.contains("1990"), "{text}");
    let fonts = text_of("pdffonts", &[&pdf], poppler);
    let font = fonts.lines().nth(2).unwrap();
    assert!(
        font.contains("NotoSans") && font.contains("yes yes yes"),
        "{fonts}"
    );

    let dpi = DPI.to_string();
    let prefix = folder.path().join("page");
    let prefix = prefix.to_str().unwrap();
    let arguments = ["-r", &dpi, "-gray", "-singlefile", &pdf, prefix];
    said("pdftoppm", &arguments, poppler);
    let picture = format!("{prefix}.pgm");
    let (by_rqrr, side) = Picture::read(Path::new(&picture)).by_rqrr();
    let side = side * 25.4 / f64::from(DPI);
    assert!(side >= LEAST_MM, "{side} mm");
    let zbar = ["--quiet", "--raw", "--nodbus", &picture];
    let by_zbar = text_of("zbarimg", &zbar, "zbar-tools");
    assert_eq!(by_zbar.trim_end(), by_rqrr);
    assert!(by_rqrr.starts_with("HC1:"));
    // The same pass as the sheet for print has.
    let zone = chrono_tz::Europe::Moscow;
    let svg = pass::qr::paper_sheet(&by_rqrr, zone).unwrap();
    assert_eq!(answer["svg"].as_str().unwrap(), svg);
}
