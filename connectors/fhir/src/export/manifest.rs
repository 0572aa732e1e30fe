//! Manifest of a finished export: what it shows, and in which files.

use chrono::{DateTime, Utc};
use connector_kit::SourceError;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::date;
use crate::fingerprint;

/// Meaning of a file's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// `OperationOutcome`s: what could not be exported, and remarks.
    Outcomes,
    /// Resources of the feed's type.
    Resources,
    /// Bundles that name deleted resources.
    Deletions,
}

/// A file of an export.
#[derive(Debug)]
pub(crate) struct ListedFile {
    pub kind: FileKind,
    /// Address of the file, as written. Who has one that is signed needs no login.
    pub url: SecretString,
    /// Number of its lines, where the server tells.
    pub count: Option<u64>,
}

/// A manifest, as far as one feed goes by it.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// Moment that the export shows, by the server's clock.
    pub shows: Option<DateTime<Utc>>,
    /// The files need no access token: only where the manifest says so.
    pub is_open: bool,
    /// The files, in the order in which they are read: whether the export is whole comes first,
    /// what was deleted last.
    pub files: Vec<ListedFile>,
    /// Fingerprint of the list, without queries, which may be signed anew for each manifest.
    pub print: u64,
}

impl Manifest {
    /// Reads a manifest; files of other types are left out.
    pub(crate) fn parse(body: &[u8], resource_type: &str) -> Result<Self, SourceError> {
        let manifest: Value = serde_json::from_slice(body).map_err(|_| no_manifest())?;
        let output = manifest["output"].as_array().ok_or_else(no_manifest)?;
        let list = |name: &str| manifest[name].as_array().map_or(&[][..], Vec::as_slice);
        let of_type = output.iter().filter(|file| file["type"] == resource_type);
        let mut files = Vec::new();
        for file in list("error") {
            files.push(listed(FileKind::Outcomes, file)?);
        }
        for file in of_type {
            files.push(listed(FileKind::Resources, file)?);
        }
        for file in list("deleted") {
            files.push(listed(FileKind::Deletions, file)?);
        }
        let names: Vec<&str> = files
            .iter()
            .map(|file| {
                let url = file.url.expose_secret();
                url.split('?').next().unwrap_or_default()
            })
            .collect();
        Ok(Self {
            shows: manifest["transactionTime"].as_str().and_then(date::instant),
            is_open: manifest["requiresAccessToken"] == false,
            print: fingerprint::of_text(&names.join("\n")),
            files,
        })
    }
}

fn listed(kind: FileKind, file: &Value) -> Result<ListedFile, SourceError> {
    Ok(ListedFile {
        kind,
        url: file["url"].as_str().ok_or_else(no_manifest)?.into(),
        count: file["count"].as_u64(),
    })
}

fn no_manifest() -> SourceError {
    SourceError::misconfigured(
        "the FHIR server answers with something else than the manifest of its bulk export",
        "have its export mended, or write first_load = \"search\"",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(manifest: &Value) -> Result<Manifest, SourceError> {
        Manifest::parse(manifest.to_string().as_bytes(), "Immunization")
    }

    #[test]
    fn files_of_the_feed_are_listed_and_others_are_not() {
        let manifest = parse(&json!({
            "transactionTime": "2021-07-01T10:00:00+03:00", "requiresAccessToken": false,
            "output": [{"type": "Immunization", "url": "a", "count": 7},
                {"type": "Patient", "url": "p"}, {"type": "Immunization", "url": "b"}],
            "deleted": [{"type": "Bundle", "url": "d"}],
            "error": [{"type": "OperationOutcome", "url": "e"}]}))
        .unwrap();
        let files: Vec<_> = manifest
            .files
            .iter()
            .map(|file| (file.kind, file.url.expose_secret(), file.count))
            .collect();
        let expected = [
            (FileKind::Outcomes, "e", None),
            (FileKind::Resources, "a", Some(7)),
            (FileKind::Resources, "b", None),
            (FileKind::Deletions, "d", None),
        ];
        assert_eq!(files, expected);
        assert!(manifest.is_open);
        let shown = format!("{manifest:?}");
        assert!(!shown.contains("\"a\""), "no address is shown: {shown}");
        assert_eq!(manifest.shows, date::instant("2021-07-01T07:00:00Z"));
    }

    #[test]
    fn what_a_server_leaves_out_is_taken_with_care() {
        let manifest = parse(&json!({"output": [], "deleted": null})).unwrap();
        assert!(!manifest.is_open, "files get the login as everything else");
        assert_eq!(manifest.shows, None);
        for wrong in [
            json!({"resourceType": "Bundle"}),
            json!([]),
            json!({"output": [{"type": "Immunization"}]}),
        ] {
            assert!(parse(&wrong).is_err(), "{wrong}");
        }
        assert!(Manifest::parse(b"<html>", "Immunization").is_err());
    }

    #[test]
    fn a_list_signed_anew_is_the_same_and_another_is_not() {
        let print = |url: &str| {
            let file = json!({"type": "Immunization", "url": url});
            parse(&json!({"output": [file]})).unwrap().print
        };
        assert_eq!(print("https://x/a?sig=1"), print("https://x/a?sig=2"));
        assert_ne!(print("https://x/a?sig=1"), print("https://x/b?sig=1"));
    }
}
