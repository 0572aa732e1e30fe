//! Section `[audit]` of a program's configuration.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use settings::is_config_folder;

/// `[audit]`: the log of who did what with the program. Without the section there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// Folder of the audit log, made with mode 0700 where it is missing; a relative path starts
    /// from the configuration file's folder. It holds nothing else.
    pub folder: PathBuf,
}

impl AuditConfig {
    /// Mistake in the section, with what to write instead. `others` are the folders that the
    /// program keeps other things in, each with the name of its setting.
    #[must_use]
    pub fn mistake(&self, others: &[OtherFolder<'_>]) -> Option<AuditMistake> {
        if self.folder.as_os_str().is_empty() {
            return Some(AuditMistake {
                what: "audit.folder is empty".to_owned(),
                help: "write a folder, such as \"audit\"",
            });
        }
        if is_config_folder(&self.folder) {
            return Some(AuditMistake {
                what: "audit.folder is the folder of the configuration file".to_owned(),
                help: "give the audit log a folder of its own, such as \"audit\"",
            });
        }
        let same = |other: &&OtherFolder<'_>| other.path.components().eq(self.folder.components());
        let other = others.iter().find(same)?;
        Some(AuditMistake {
            what: format!("{} and audit.folder are one folder", other.setting),
            help: "give the audit log a folder of its own",
        })
    }
}

/// Folder that a program keeps other things in than its audit log.
#[derive(Debug, Clone, Copy)]
pub struct OtherFolder<'a> {
    /// Name of its setting.
    pub setting: &'a str,
    /// Path of the folder, as it is written.
    pub path: &'a Path,
}

/// Mistake in the section `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditMistake {
    /// Sentence on the mistake.
    pub what: String,
    /// Advice: what to write instead.
    pub help: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_its_own_is_asked_for() {
        let queue = OtherFolder {
            setting: "queue.directory.path",
            path: Path::new("queue"),
        };
        let mistake = |folder: &str| {
            let config = AuditConfig {
                folder: folder.into(),
            };
            config.mistake(&[queue]).map(|mistake| mistake.what)
        };
        assert_eq!(mistake("audit"), None);
        assert_eq!(mistake(""), Some("audit.folder is empty".to_owned()));
        let same = Some("queue.directory.path and audit.folder are one folder".to_owned());
        assert_eq!(mistake("queue/."), same);
        for beside in [".", "./", "a/.."] {
            let told = mistake(beside).expect("a mistake");
            assert!(
                told.contains("the folder of the configuration file"),
                "{told}"
            );
        }
    }
}
