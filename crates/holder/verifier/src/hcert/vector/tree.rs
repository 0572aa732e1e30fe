//! Files of test vectors in a folder and the folders in it.

use std::fs::{self, DirEntry, FileType};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::input::InputError;

/// Greatest depth of folders within the folder that is given.
pub(crate) const MAX_DEPTH: usize = 16;

/// Greatest number of files in a folder and the folders in it.
pub(crate) const MAX_FILES: usize = 100_000;

/// Ending of the names of vector files.
const EXTENSION: &str = "json";

/// Files of a folder whose names end with `.json`, in capital letters or not, ordered by their
/// paths. Links to folders are not followed, so that no folder comes twice.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, InputError> {
    let mut found = Vec::new();
    collect(folder, 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), InputError> {
    let name = || program::terminal::visible(&folder.to_string_lossy()).into_owned();
    let unreadable = |error: io::Error| InputError::Unreadable(name(), error.kind());
    if depth > MAX_DEPTH {
        let words = format!("this folder lies more than {MAX_DEPTH} deep");
        return Err(InputError::Unfit(name(), words));
    }
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            collect(&entry.path(), depth + 1, found)?;
        } else if is_vector_file(&entry, kind) {
            if found.len() == MAX_FILES {
                let words = format!("there are more than {MAX_FILES} files; give a part of them");
                return Err(InputError::Unfit(name(), words));
            }
            found.push(entry.path());
        }
    }
    Ok(())
}

fn is_vector_file(entry: &DirEntry, kind: FileType) -> bool {
    let path = entry.path();
    let is_json = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case(EXTENSION));
    is_json && (kind.is_file() || (kind.is_symlink() && path.is_file()))
}

/// True where a path is that of a folder; an error if nothing has the path.
pub(crate) fn is_folder(path: &Path) -> Result<bool, InputError> {
    let name = || program::terminal::visible(&path.to_string_lossy()).into_owned();
    match fs::metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(InputError::Missing(name())),
        Err(error) => Err(InputError::Unreadable(name(), error.kind())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{MAX_DEPTH, files};
    use crate::input::InputError;

    #[test]
    fn json_files_of_all_folders_are_found_in_the_order_of_their_paths() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["b/2DCode/raw", "a/raw"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        for name in [
            "b/2DCode/raw/2.json",
            "b/2DCode/raw/1.JSON",
            "a/raw/1.json",
            "a/1.png",
        ] {
            fs::write(path(name), "{}").unwrap();
        }
        let found = files(folder.path()).unwrap();
        let expected = ["a/raw/1.json", "b/2DCode/raw/1.JSON", "b/2DCode/raw/2.json"];
        assert_eq!(found, expected.map(path));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_back_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("1.json"), "{}").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        assert_eq!(files(folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn the_greatest_depth_is_read_and_one_more_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut path = folder.path().to_owned();
        path.extend(vec!["d"; MAX_DEPTH]);
        fs::create_dir_all(&path).unwrap();
        assert_eq!(files(folder.path()).unwrap().len(), 0);
        fs::create_dir(path.join("d")).unwrap();
        assert!(matches!(files(folder.path()), Err(InputError::Unfit(_, _))));
    }
}
