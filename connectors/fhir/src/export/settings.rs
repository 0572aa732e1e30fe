//! Settings of bulk exports: which one, of what, and where its files may lie.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Origin, Url};

use crate::web_address::web_address;

/// Way in which a feed is read from its beginning: the first time, and whenever all of it is to be
/// read again. What changes later is always searched for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FirstLoad {
    /// By searches, as the changes are.
    #[default]
    Search,
    /// By a bulk export of everything (`$export`).
    SystemExport,
    /// By a bulk export of all patients (`Patient/$export`).
    PatientExport,
    /// By a bulk export of the patients of a group (`Group/ID/$export`).
    GroupExport(String),
}

/// Part of a feed's resources that a bulk export is asked for (`_typeFilter`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExportFilter {
    /// All resources of the feed's type; those with other codes are passed over here.
    #[default]
    None,
    /// Those with the feed's codes (`test_codes`, `diagnosis_codes`, `vaccine_codes`). A server
    /// that ignores the filter sends all of them, which are passed over here.
    Codes,
}

/// Origin (scheme, host and port) where files of a bulk export may lie.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct ExportOrigin(#[schemars(with = "String")] Url);

impl FirstLoad {
    /// True where there is no export.
    pub(crate) fn is_search(&self) -> bool {
        *self == Self::Search
    }
}

impl ExportOrigin {
    /// The origin, as addresses have it.
    pub(crate) fn origin(&self) -> Origin {
        self.0.origin()
    }

    /// The address of the origin itself.
    pub(crate) const fn address(&self) -> &Url {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ExportOrigin {
    /// Reads an origin. The error never quotes it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let url = web_address(&text, "files are fetched there without a login")
            .map_err(D::Error::custom)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(D::Error::custom(
                "an origin of export_origins is https://HOST or https://HOST:PORT, without a path",
            ));
        }
        Ok(Self(url))
    }
}

impl Serialize for ExportOrigin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_origin_has_no_path_and_no_account_and_is_never_quoted() {
        let read = |text: &str| {
            serde_json::from_value::<ExportOrigin>(json!(text)).map_err(|error| error.to_string())
        };
        for good in [
            "https://s3.example",
            "https://s3.example:443/",
            "http://[::1]:9000",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        assert_eq!(
            read("https://s3.example").unwrap().origin(),
            read("https://S3.example:443/").unwrap().origin()
        );
        for wrong in [
            "s3.example",
            "ftp://hunter2/",
            "https://hunter2@s3.example",
            "https://s3.example/hunter2",
            "https://s3.example/?hunter2",
            "https://*.hunter2 example",
        ] {
            let error = read(wrong).unwrap_err();
            assert!(!error.contains("hunter2"), "{wrong}: {error}");
        }
    }
}
