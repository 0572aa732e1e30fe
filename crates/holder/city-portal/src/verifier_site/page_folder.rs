//! Files of the verifier page, read once from their folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use axum::body::Bytes;

/// Most files that the folder may have.
pub(super) const MAX_FILES: usize = 200;

/// Largest file, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Deepest folder within the folder.
const MAX_DEPTH: usize = 4;

/// Files without which a folder is no verifier page.
const NEEDED: [&str; 3] = ["index.html", "main.js", "sw.js"];

/// Media types by the end of a file's name; other files are not served.
const MEDIA_TYPES: [(&str, &str); 6] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("webmanifest", "application/manifest+json"),
];

/// Mistake in `verifier.page`.
#[derive(Debug, thiserror::Error)]
pub enum PageFolderMistake {
    /// Folder or file that cannot be read.
    #[error(
        "verifier.page: {path} cannot be read: {}; name the folder of the verifier page, and let \
         this user read it",
        settings::path_error_text(*kind)
    )]
    Unreadable {
        /// Path of the folder or file.
        path: PathBuf,
        /// Error of the operating system.
        kind: std::io::ErrorKind,
    },
    /// Folder of something else.
    #[error(
        "verifier.page: {path} has no file {missing}; it must be the folder of the verifier page"
    )]
    Incomplete {
        /// Path of the folder.
        path: PathBuf,
        /// Name of the file that is missing.
        missing: &'static str,
    },
    /// Folder that holds more than a page has.
    #[error(
        "verifier.page: {path} is more than a page has (at most {MAX_FILES} files of \
         {MAX_FILE_BYTES} bytes, {MAX_DEPTH} folders deep)"
    )]
    TooMuch {
        /// Path of the folder or file.
        path: PathBuf,
    },
}

/// File of the page.
#[derive(Debug, Clone)]
pub(super) struct File {
    /// Media type.
    pub media_type: &'static str,
    /// Content.
    pub content: Bytes,
}

/// Files of the page, by their path in the address.
#[derive(Debug)]
pub(super) struct PageFolder {
    files: BTreeMap<String, File>,
}

impl PageFolder {
    /// Reads all files of a folder.
    ///
    /// # Errors
    /// [`PageFolderMistake`].
    pub(super) fn read(folder: &Path) -> Result<Self, PageFolderMistake> {
        let mut files = BTreeMap::new();
        read_into(&mut files, folder, "", MAX_DEPTH)?;
        for name in NEEDED {
            if !files.contains_key(&format!("/{name}")) {
                return Err(PageFolderMistake::Incomplete {
                    path: folder.to_path_buf(),
                    missing: name,
                });
            }
        }
        if let Some(index) = files.get("/index.html").cloned() {
            files.insert("/".to_owned(), index);
        }
        Ok(Self { files })
    }

    /// File at a path of the address.
    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }
}

/// Reads the files of a folder and of those in it, as they stand below `prefix` of the address.
fn read_into(
    files: &mut BTreeMap<String, File>,
    folder: &Path,
    prefix: &str,
    depth: usize,
) -> Result<(), PageFolderMistake> {
    let unreadable = |path: &Path, error: &std::io::Error| PageFolderMistake::Unreadable {
        path: path.to_path_buf(),
        kind: error.kind(),
    };
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(folder, &error))?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let address = format!("{prefix}/{name}");
        let about = fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if about.is_dir() {
            if depth == 0 {
                return Err(PageFolderMistake::TooMuch { path });
            }
            read_into(files, &path, &address, depth - 1)?;
            continue;
        }
        let Some(media_type) = media_type(&name).filter(|_| about.is_file()) else {
            continue;
        };
        if about.len() > MAX_FILE_BYTES || files.len() >= MAX_FILES {
            return Err(PageFolderMistake::TooMuch { path });
        }
        let content = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let content = content.into();
        files.insert(
            address,
            File {
                media_type,
                content,
            },
        );
    }
    Ok(())
}

fn media_type(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit_once('.')?;
    let mut known = MEDIA_TYPES.into_iter();
    known.find_map(|(other, media_type)| (other == end).then_some(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_page_of_this_project_is_read_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../verifier/page");
        let page = PageFolder::read(&folder).expect("the page");
        let listed = fs::read_to_string(folder.join("page-files.js")).expect("the list");
        let files = listed.lines().filter_map(|line| {
            let name = line.trim().strip_prefix('"')?.strip_suffix("\",")?;
            (name != "./").then_some(name)
        });
        let mut number = 0;
        for name in files {
            assert!(page.get(&format!("/{name}")).is_some(), "{name}");
            number += 1;
        }
        assert!(number > 20, "{number}");
        let script = page.get("/vendor/jsqr/jsQR.js").expect("the reader");
        assert_eq!(script.media_type, "text/javascript; charset=utf-8");
        assert!(page.get("/README.md").is_none());
        assert!(page.get("/").is_some());
    }

    #[test]
    fn a_folder_of_something_else_is_refused_and_so_is_one_that_is_too_large() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = || PageFolder::read(folder.path());
        assert!(matches!(
            read(),
            Err(PageFolderMistake::Incomplete {
                missing: "index.html",
                ..
            })
        ));
        for name in NEEDED {
            fs::write(folder.path().join(name), "x").expect("a file");
        }
        assert!(read().is_ok());
        for number in NEEDED.len()..MAX_FILES {
            fs::write(folder.path().join(format!("{number}.js")), "x").expect("a file");
        }
        assert!(read().is_ok());
        fs::write(folder.path().join("more.js"), "x").expect("a file");
        assert!(matches!(read(), Err(PageFolderMistake::TooMuch { .. })));
        let absent = PageFolder::read(&folder.path().join("absent"));
        assert!(matches!(absent, Err(PageFolderMistake::Unreadable { .. })));
    }
}
