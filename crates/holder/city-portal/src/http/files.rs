//! Files of the page, which are part of the program.

/// File of the page.
pub(super) struct PageFile {
    /// Path in the address.
    pub path: &'static str,
    /// Media type.
    pub media_type: &'static str,
    /// Content.
    pub content: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal, $media_type:expr, $file:literal;)+) => {
        /// All files.
        pub(super) const FILES: &[PageFile] = &[$(PageFile {
            path: $path,
            media_type: $media_type,
            content: include_str!(concat!("../../page/", $file)),
        },)+];
    };
}

files! {
    "/", HTML, "index.html";
    "/style.css", STYLE, "style.css";
    "/print.css", STYLE, "print.css";
    "/icon.svg", SVG, "icon.svg";
    "/main.js", SCRIPT, "main.js";
    "/api.js", SCRIPT, "api.js";
    "/countries.js", SCRIPT, "countries.js";
    "/form.js", SCRIPT, "form.js";
    "/i18n.js", SCRIPT, "i18n.js";
    "/idle.js", SCRIPT, "idle.js";
    "/text-en.js", SCRIPT, "text-en.js";
    "/text-ru.js", SCRIPT, "text-ru.js";
    "/view.js", SCRIPT, "view.js";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.into_string().expect("text"))
            .filter(|name| name != "index.html")
            .map(|name| format!("/{name}"))
            .chain(["/".to_owned()])
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(there, served);
    }
}
