//! Files of results: JSON below the target folder, and those that the page shows beside the
//! benchmarks, so that the page can be composed anew on another machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::arguments::Part;
use crate::error::Error;
use crate::print;
use crate::results::PartResult;

/// Writes a result beside the earlier ones. Returns its path.
pub(crate) fn save(result: &PartResult, folder: &Path) -> Result<PathBuf, Error> {
    let began = result.began_at.format("%Y%m%dT%H%M%SZ");
    save_as(result, folder, &format!("{}-{began}.json", result.part))
}

fn save_as(result: &PartResult, folder: &Path, name: &str) -> Result<PathBuf, Error> {
    fs::create_dir_all(folder).map_err(Error::io("make the folder of results"))?;
    let path = folder.join(name);
    let text = serde_json::to_vec_pretty(result).map_err(|error| {
        Error::WrongResult(format!("results cannot be written as JSON: {error}"))
    })?;
    fs::write(&path, text).map_err(Error::io("write results"))?;
    Ok(path)
}

/// Folder where results are kept: `bench/` in the target folder this program was built into.
pub(crate) fn untracked_folder() -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(Error::io("find this program's folder"))?;
    let target = own
        .ancestors()
        .nth(2)
        .unwrap_or_else(|| Path::new("target"));
    Ok(target.join("bench"))
}

/// Folder of the results that the page shows, under version control as the page is.
pub(crate) fn tracked_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../results")
}

/// Puts the results that the page shows where they are tracked, a file a part. One in which
/// something failed does not take the place of a whole one.
pub(crate) fn track(shown: &[PartResult]) -> Result<(), Error> {
    let mut whole = shown.iter().filter(|result| result.failures.is_empty());
    whole.try_for_each(|result| {
        save_as(result, &tracked_folder(), &format!("{}.json", result.part)).map(drop)
    })
}

/// The newest result of each part that has one in these folders.
pub(crate) fn newest(folders: &[&Path]) -> Result<Vec<PartResult>, Error> {
    let mut newest = BTreeMap::<Part, PartResult>::new();
    for entry in folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
    {
        let path = entry.map_err(Error::io("list results"))?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read(&path).map_err(Error::io("read results"))?;
        let Ok(result) = serde_json::from_slice::<PartResult>(&text) else {
            print::error(&format!(
                "{} is not a result of this version; left out",
                path.display()
            ));
            continue;
        };
        if newest
            .get(&result.part)
            .is_none_or(|other| other.began_at < result.began_at)
        {
            newest.insert(result.part, result);
        }
    }
    Ok(newest.into_values().collect())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::results::name;

    fn result(part: Part, second: i64) -> PartResult {
        let mut result = PartResult::new(
            part,
            DateTime::from_timestamp(second, 0).unwrap(),
            vec![("a".into(), "b".into())],
        );
        result
            .sizes
            .entry(1000)
            .or_default()
            .push(name::KEYSET, second as f64);
        result
    }

    #[test]
    fn the_newest_of_each_part_is_read_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        for saved in [
            result(Part::Stages, 7),
            result(Part::Stages, 60),
            result(Part::Idle, 8),
        ] {
            save(&saved, folder.path()).unwrap();
        }
        fs::write(folder.path().join("stages-older.json"), "{}").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let none = folder.path().join("none");
        assert_eq!(
            newest(&[&none, folder.path()]).unwrap(),
            [result(Part::Stages, 60), result(Part::Idle, 8)]
        );
        for saved in [result(Part::Stages, 59), result(Part::Idle, 9)] {
            save_as(&saved, elsewhere.path(), &format!("{}.json", saved.part)).unwrap();
        }
        let newest_of_both = newest(&[folder.path(), elsewhere.path()]).unwrap();
        assert_eq!(
            newest_of_both,
            [result(Part::Stages, 60), result(Part::Idle, 9)]
        );
        assert_eq!(newest(&[&none]).unwrap(), []);
    }
}
