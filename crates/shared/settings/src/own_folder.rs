//! Folders of a configuration that are to hold one thing alone.

use std::path::{Component, Path};

/// Returns whether a path, taken from the configuration file's folder, names that folder: it is
/// empty, or `.`, or goes out and in again as `a/..` does.
#[must_use]
pub fn is_config_folder(path: &Path) -> bool {
    let mut depth = 0_u32;
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    depth == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ways_back_to_the_folder_itself_name_it() {
        for (path, expected) in [
            (".", true),
            ("", true),
            ("./", true),
            ("a/..", true),
            ("audit", false),
            ("./audit", false),
            ("..", false),
            ("../audit", false),
            ("/", false),
        ] {
            assert_eq!(is_config_folder(Path::new(path)), expected, "{path}");
        }
    }
}
