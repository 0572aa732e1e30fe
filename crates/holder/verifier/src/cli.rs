//! Command line of `pass`.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};

/// Exit codes, as `--help` shows them.
const EXIT_CODES: &str = "Exit codes:
   0  valid
   1  invalid; with --vector: something differs from what the vector expects
   2  wrong arguments; nothing was read
   3  valid, but by keys or revocations older than 24 hours (stale)
   4  cannot tell: keys or revocations were read and cannot be verified, or are older than
      72 hours; of pass hcert: something that is needed was not given
   5  the clock of this machine is more than 5 minutes before the time at which keys or
      revocations were issued
  66  a file is missing, cannot be read, or is not what the argument wants; nothing was checked
Of several passes the run has the first of 5, 4, 1, 3, 0 that one of them has.";

/// Checks passes of the city, and health certificates of others. Nothing needs a network.
#[derive(Debug, Parser)]
#[command(name = "pass", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Command to run.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Command of the program.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Verify(VerifyArguments),
    Hcert(HcertArguments),
}

/// Checks passes of the city as it is done at the door.
///
/// A valid pass shows the few attributes of its holder that it has, to compare with a document. An
/// invalid one shows a reason and nothing personal.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct VerifyArguments {
    /// Public key of the root, pinned: a JWK of type EC on P-256, or the root.json of the page.
    #[arg(long, value_name = "ROOT.jwk")]
    pub(crate) root: PathBuf,
    /// Trust bundle of the city.
    #[arg(long, value_name = "trust.cose")]
    pub(crate) trust: PathBuf,
    /// Revocation list of the city; may be given several times: the whole list first, then the
    /// deltas in their order.
    #[arg(long, value_name = "revocations.cose", required = true)]
    pub(crate) revocations: Vec<PathBuf>,
    /// Trust bundle that was used before. The new one is refused if it is older, or another one of
    /// the same number: a replay.
    #[arg(long, value_name = "trust.cose")]
    pub(crate) known_trust: Option<PathBuf>,
    /// Text that names the city as the issuer in every pass; default: the issuer in root.json, or
    /// RU-MOW.
    #[arg(long, value_name = "TEXT")]
    pub(crate) issuer: Option<String>,
    /// Checks as if it were this time, such as 2026-11-29T18:00:00+03:00; default: now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) at: Option<DateTime<Utc>>,
    /// Prints JSON instead of words.
    #[arg(long)]
    pub(crate) json: bool,
    /// Text with one pass (HC1:…) on each line, or a PNG picture with QR codes; - is standard
    /// input.
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
}

/// Checks health certificates of any issuer in the form of the EU Digital COVID Certificate (HCERT
/// 1), and names each step that has a fault.
///
/// Steps, in their order: qr (pictures only), prefix, base45, zlib, cbor, tag, cose, algorithm,
/// kid, certificate, signature, claims, clock, key-usage, schema, content. A step that fails does
/// not keep later ones from being done where they still make sense. The signature, the key usage
/// and the signer's validity are checked with the certificates given; the chain above them is not.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct HcertArguments {
    /// Certificate of a signer (DSC), in PEM, DER or base64; may be given several times.
    #[arg(long = "certificate", value_name = "FILE")]
    pub(crate) certificates: Vec<PathBuf>,
    /// Checks as if it were this time, such as 2021-05-03T20:00:00+02:00; default: now. A vector's
    /// own VALIDATIONCLOCK comes first.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) at: Option<DateTime<Utc>>,
    /// Prints JSON instead of words.
    #[arg(long)]
    pub(crate) json: bool,
    /// Runs a test vector (JSON with EXPECTEDRESULTS, as the public EU test data) and compares; may
    /// be given several times. Of a folder every vector in it and in the folders in it is run, and
    /// a summary ends the run; a file of a folder that cannot be read counts as a difference.
    #[arg(
        long = "vector",
        value_name = "FILE.json|FOLDER",
        conflicts_with_all = ["certificates", "file"]
    )]
    pub(crate) vectors: Vec<PathBuf>,
    /// Text with one certificate (HC1:…) on each line, or a PNG picture with QR codes; - is
    /// standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
}

/// Reads a time with its zone (RFC 3339).
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|moment| moment.to_utc())
        .map_err(|_| "give a date, a time and a zone, such as 2026-11-29T18:00:00+03:00".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Arguments, moment};

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_time_without_a_zone_is_refused() {
        assert!(moment("2026-11-29T18:00:00").is_err());
        let moment = moment("2026-11-29T18:00:00+03:00").unwrap();
        assert_eq!(moment.to_rfc3339(), "2026-11-29T15:00:00+00:00");
    }
}
