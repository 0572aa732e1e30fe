//! Command line of `cargo demo`.

use std::path::PathBuf;

use lexopt::ValueExt;
use lexopt::prelude::{Long, Short};

use crate::print;

const HELP: &str = "\
Two example clinics, a gateway each, and a city registry in one process.

Usage: cargo demo [-- ] [OPTIONS]

  --amqp-url URL       deliver through this RabbitMQ instead of a directory \
  (amqp://user@host:port/vhost);
                       the password is read from the variable DEMO_AMQP_PASSWORD
  --registry-url URL   store in this PostgreSQL instead of SQLite \
  (postgres://user@host:port/database);
                       the password is read from the variable DEMO_REGISTRY_PASSWORD
  --keep FOLDER        keep everything that was made (configurations, keys, outboxes, registry) \
  in this new folder
  --out FOLDER         write the passes, the keys and the list of ended passes into this folder, \
  for any tool to check;
                       the folder is new, empty, or has files of an earlier demo only:
                       pass-*.txt (HC1:…), pass-*.svg, trust.json and root.jwk (JWK), trust.cose, \
  revocations.cose,
                       root.json (what the verifier page pins)
  --strong             the same in strong mode (docs/strong.md): two key services of two operators \
  evaluate pseudonyms, and no
                       clinic holds their keys; a relay hides who sends; every batch needs a \
  one-use token; with scenes of
                       a service that is away, of another key, of clinics that are alive, of a \
  thief at the ceilings, of
                       a clinic that was broken into and is undone, and of a key that changes; goes \
  with every other option
  --serve              at the end, show the portal's page and the verifier's page on this machine \
  until Ctrl-C
  -h, --help           this text

With --amqp-url, --registry-url or --serve the program is first built again with what they need, \
which takes some minutes once.
The queue and the database should be empty ones: the demo adds its facts to what is there.";

/// Options of the command line.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// RabbitMQ's address.
    pub amqp_url: Option<String>,
    /// PostgreSQL's address.
    pub registry_url: Option<String>,
    /// Where to keep what is made.
    pub keep: Option<PathBuf>,
    /// Where to write the passes to.
    pub out: Option<PathBuf>,
    /// True where key services evaluate pseudonyms.
    pub strong: bool,
    /// True where the pages are to be shown at the end.
    pub serve: bool,
}

/// Reads the command line; `None` when help was asked for and given.
pub(crate) fn read() -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments::default();
    let mut parser = lexopt::Parser::from_env();
    let wrong = |error: lexopt::Error| format!("{error}; see cargo demo --help");
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Long("amqp-url") => {
                arguments.amqp_url = Some(parser.value().and_then(ValueExt::string).map_err(wrong)?)
            }
            Long("registry-url") => {
                arguments.registry_url =
                    Some(parser.value().and_then(ValueExt::string).map_err(wrong)?);
            }
            Long("keep") => arguments.keep = Some(parser.value().map_err(wrong)?.into()),
            Long("out") => arguments.out = Some(parser.value().map_err(wrong)?.into()),
            Long("strong") => arguments.strong = true,
            Long("serve") => arguments.serve = true,
            Short('h') | Long("help") => {
                print::line(HELP);
                return Ok(None);
            }
            other => return Err(wrong(other.unexpected())),
        }
    }
    Ok(Some(arguments))
}
