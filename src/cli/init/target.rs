//! What `--look` points at: a database or a FHIR server, as the section of a source says it.

use std::path::{Path, PathBuf};

use program::{Address, Failure, quoted};

use super::{FHIR, MYSQL, POSTGRES, SQLITE};

/// Line of the examples before which the connection ends, and the one at which the sweep begins.
const QUERIES: &str = "# One plain SELECT a kind of fact";
const SWEEP: &str = "# All keys are read";
/// Settings of the examples that an address says.
const OF_ADDRESS: [&str; 7] = [
    "host", "port", "database", "user", "password", "path", "base_url",
];
/// Account that is assumed where the address names none.
pub(super) const READER: &str = "gateway_reader";

/// System that is looked at.
#[derive(Debug)]
pub(super) struct Target {
    /// Name of the connector's section.
    pub kind: &'static str,
    example: &'static str,
    /// Settings of the connector's section, and their values as they are written.
    pub settings: Vec<(&'static str, String)>,
}

/// Files that `--password-file` and `--ca-file` name, as the configuration is to name them.
pub(super) struct Files<'a> {
    pub folder: &'a Path,
    pub password: Option<&'a Path>,
    pub ca: Option<&'a Path>,
}

impl Files<'_> {
    /// A path as it stands in the configuration: relative to its folder, if the file is there.
    pub(super) fn named(&self, path: &Path) -> PathBuf {
        if path.is_absolute() || self.folder.join(path).exists() {
            return path.to_owned();
        }
        std::path::absolute(path)
            .ok()
            .filter(|path| path.exists())
            .unwrap_or_else(|| path.to_owned())
    }

    fn secret(&self) -> Option<String> {
        let path = self.named(self.password?);
        Some(format!("{{ file = {} }}", quoted(&path.to_string_lossy())))
    }

    fn ca(&self) -> Option<String> {
        let path = self.named(self.ca?);
        Some(quoted(&path.to_string_lossy()))
    }
}

impl Target {
    /// Reads the address that `--look` has.
    pub(super) fn parse(look: &str, files: &Files<'_>) -> Result<Self, Failure> {
        if let Some(path) = look.strip_prefix("sqlite:") {
            return Ok(Self::sqlite(path, files));
        }
        let address = Address::parse(look, "--look", "--password-file")?;
        match address.scheme.as_str() {
            "postgres" | "postgresql" => Self::server("postgres", POSTGRES, &address, files),
            "mysql" | "mariadb" => Self::server("mysql", MYSQL, &address, files),
            "https" | "http" => Ok(Self::fhir(look, &address, files)),
            _ => Err(Failure::Usage(
                "--look: the address begins with postgres://, mysql://, mariadb://, sqlite: or \
                 https://"
                    .into(),
            )),
        }
    }

    fn sqlite(path: &str, files: &Files<'_>) -> Self {
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = files.named(Path::new(path));
        Self {
            kind: "sqlite",
            example: SQLITE,
            settings: vec![("path", quoted(&path.to_string_lossy()))],
        }
    }

    fn server(
        kind: &'static str,
        example: &'static str,
        address: &Address,
        files: &Files<'_>,
    ) -> Result<Self, Failure> {
        if address.path.is_empty() || address.path.contains('/') {
            return Err(Failure::Usage(format!(
                "--look: the database is missing; write {}://user@host:port/database",
                address.scheme
            )));
        }
        let user = address.user.as_deref().unwrap_or(READER);
        let mut settings = vec![
            ("host", quoted(&address.host)),
            ("database", quoted(&address.path)),
            ("user", quoted(user)),
        ];
        if let Some(port) = address.port {
            settings.push(("port", port.to_string()));
        }
        settings.extend(files.secret().map(|secret| ("password", secret)));
        if let Some(ca) = files.ca() {
            settings.push((
                "tls",
                format!("{{ mode = \"verify-full\", ca_file = {ca} }}"),
            ));
        }
        Ok(Self {
            kind,
            example,
            settings,
        })
    }

    fn fhir(look: &str, address: &Address, files: &Files<'_>) -> Self {
        let base = match look.split_once('@') {
            Some((_, rest)) if address.user.is_some() => format!("{}://{rest}", address.scheme),
            _ => look.to_owned(),
        };
        let mut settings = vec![("base_url", quoted(&base))];
        if let (Some(user), Some(secret)) = (&address.user, files.secret()) {
            let auth = format!(
                "{{ basic = {{ user = {}, password = {secret} }} }}",
                quoted(user)
            );
            settings.push(("auth", auth));
        }
        settings.extend(files.ca().map(|ca| ("ca_file", ca)));
        Self {
            kind: "fhir",
            example: FHIR,
            settings,
        }
    }

    /// The connector's settings alone, to be read at once.
    pub(super) fn connection(&self) -> String {
        let lines = self.settings.iter();
        lines
            .map(|(name, value)| format!("{name} = {value}\n"))
            .collect()
    }

    /// The source's section up to its feeds: the example's, with these settings.
    pub(super) fn head(&self, name: &str) -> String {
        let end = self.example.find(QUERIES).unwrap_or(self.example.len());
        renamed(&self.with_settings(&self.example[..end]), name)
    }

    /// The whole section of a FHIR server, with what its declaration adds.
    pub(super) fn head_of_server(&self, name: &str, notes: &str, further: &str) -> String {
        let end = self.example.find(SWEEP).unwrap_or(self.example.len());
        let text = self.with_settings(&self.example[..end]);
        let settings = self.connection();
        let text = text.replacen(&settings, &format!("{notes}{settings}{further}"), 1);
        renamed(&text, name) + &self.tail(name)
    }

    /// An example's text with these settings in place of its own account and address.
    fn with_settings(&self, text: &str) -> String {
        let header = format!(".{}]\n", self.kind);
        let (before, rest) = text.split_once(&header).unwrap_or((text, ""));
        let kept = rest.lines().filter(|line| {
            let word = line.split(' ').next().unwrap_or_default();
            !OF_ADDRESS.contains(&word)
        });
        let kept: String = kept.map(|line| format!("{line}\n")).collect();
        // The example's way to log in is a table of its own.
        let auth = format!("[source.clinic.{}.auth]\n", self.kind);
        let kept = match kept.split_once(&auth) {
            Some((first, rest)) => {
                let rest = rest.split_once("\n\n").map_or("", |(_, rest)| rest);
                format!("{first}{rest}")
            }
            None => kept,
        };
        format!("{before}{header}{}{kept}", self.connection())
    }

    /// The section of sweeps.
    pub(super) fn tail(&self, name: &str) -> String {
        let begin = self.example.find(SWEEP).unwrap_or(self.example.len());
        renamed(&self.example[begin..], name)
    }

    /// The whole example with these settings, where nothing better is known.
    pub(super) fn feeds_of_example(&self, name: &str) -> String {
        let begin = self.example.find(QUERIES);
        let end = self.example.find(SWEEP).unwrap_or(self.example.len());
        begin.map_or_else(String::new, |begin| {
            renamed(&self.example[begin..end], name)
        })
    }
}

/// A section with the source's own name in place of the example's.
fn renamed(text: &str, name: &str) -> String {
    let new = format!("[source.{name}");
    let examples = ["[source.mis", "[source.clinic"];
    let own = examples.into_iter().find(|own| text.contains(own));
    own.map_or_else(|| text.to_owned(), |own| text.replace(own, &new))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(look: &str) -> Result<Target, String> {
        let files = Files {
            folder: Path::new("/nowhere"),
            password: Some(Path::new("mis-password")),
            ca: None,
        };
        Target::parse(look, &files).map_err(|error| error.to_string())
    }

    #[test]
    fn the_head_of_a_section_has_the_addresss_settings_and_no_others_of_the_example() {
        let head = target("postgres://reader@db.clinic:5433/emr")
            .expect("an address")
            .head("emr");
        for part in [
            "[source.emr]\n",
            "[source.emr.postgres]\nhost = \"db.clinic\"\ndatabase = \"emr\"\n",
            "user = \"reader\"\nport = 5433\n",
            "password = { file = \"mis-password\" }\n",
            "overlap_seconds = 300",
        ] {
            assert!(head.contains(part), "{part}: {head}");
        }
        assert_eq!(head.matches("\nhost = ").count(), 1, "{head}");
        assert_eq!(head.matches("\nuser = ").count(), 1, "{head}");
        let text = head + &target("mysql://db/emr").expect("an address").tail("emr");
        let parsed: toml::Table = toml::from_str(&text).expect("TOML");
        assert_eq!(
            parsed["source"]["emr"]["sweep"]["max_withdrawn_percent"].as_integer(),
            Some(5)
        );
    }

    #[test]
    fn every_kind_of_system_is_told_by_its_address() {
        let kind = |look| target(look).map(|target| target.kind);
        assert_eq!(kind("postgresql://db/mis"), Ok("postgres"));
        assert_eq!(kind("mariadb://r@db/mis"), Ok("mysql"));
        assert_eq!(kind("sqlite:/srv/mis.db"), Ok("sqlite"));
        assert_eq!(kind("https://r@fhir.clinic/fhir"), Ok("fhir"));
        assert!(kind("mysql://db").is_err_and(|error| error.contains("database is missing")));
        assert!(kind("oracle://db/x").is_err());
        let fhir = target("https://r@fhir.clinic/fhir")
            .expect("an address")
            .connection();
        assert!(
            fhir.contains("base_url = \"https://fhir.clinic/fhir\""),
            "{fhir}"
        );
        assert!(fhir.contains("user = \"r\""), "{fhir}");
    }
}
