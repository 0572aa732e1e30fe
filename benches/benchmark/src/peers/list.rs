//! The peers: how each is started, when it is done, and what it leaves out.

use std::path::PathBuf;

/// Folder in which `benches/peers/setup` puts what it sets up.
const SETUP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers");
/// Folder of the peers' own files.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../peers");

/// Sign that a peer has done its work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Done {
    /// The peer ends by itself.
    Ended,
    /// The peer goes on waiting for changes.
    QueueHoldsAll,
}

/// A program that does the same job. In its words `{place}` stands for the folder it is set up in,
/// `{source}` for its own files.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Name of the peer in the report.
    pub name: &'static str,
    /// Name of its folder, both of its files and where it is set up.
    pub folder: &'static str,
    /// The program; one without a folder is found by PATH.
    pub program: &'static str,
    /// Arguments of its command line.
    pub arguments: &'static [&'static str],
    /// Folder in which it is started.
    pub works_in: &'static str,
    /// Records a message, one run for each.
    pub rows_a_message: &'static [u32],
    /// Sign that it has done its work.
    pub done: Done,
    /// True if it needs seconds to start, so that its rate without them is shown too.
    pub starts_slowly: bool,
    /// True if it reads the server's log by logical decoding.
    pub decodes_log: bool,
    /// Text on what the gateway does and the peer does not.
    pub leaves_out: &'static str,
}

/// Remark on all that read by pages of a key.
const SCRIPT: &str = "sends plain rows: no pseudonyms, no sealing, no memory of what was sent, \
    no outbox; a second run finds only rows with a later stamp";

impl Peer {
    /// Fills in `{place}` and `{source}` in a path or word of the list.
    pub(crate) fn filled(&self, word: &str) -> PathBuf {
        let folder = self.folder;
        PathBuf::from(
            word.replace("{place}", &format!("{SETUP}/{folder}"))
                .replace("{source}", &format!("{SOURCE}/{folder}")),
        )
    }

    /// Versions of a peer that is set up.
    pub(crate) fn version(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.filled("{place}/VERSION")).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

/// A script that reads by pages of a key; the list says how each is started.
const PAGING_SCRIPT: Peer = Peer {
    name: "",
    folder: "",
    program: "",
    arguments: &[],
    works_in: "{place}",
    rows_a_message: &[1, 100],
    done: Done::Ended,
    starts_slowly: false,
    decodes_log: false,
    leaves_out: SCRIPT,
};

/// Every peer, the fastest kinds of one tool after its plain ones.
pub(crate) const PEERS: [Peer; 6] = [
    Peer {
        name: "Python: psycopg, pika",
        folder: "python",
        program: "{place}/venv/bin/python",
        arguments: &["-B", "{source}/with_pika.py"],
        ..PAGING_SCRIPT
    },
    Peer {
        name: "Python: psycopg, aio-pika",
        folder: "python",
        program: "{place}/venv/bin/python",
        arguments: &["-B", "{source}/with_aio_pika.py"],
        ..PAGING_SCRIPT
    },
    Peer {
        name: "Node: pg, amqplib",
        folder: "node",
        program: "node",
        arguments: &[
            "--preserve-symlinks",
            "--preserve-symlinks-main",
            "{place}/peer.js",
        ],
        ..PAGING_SCRIPT
    },
    Peer {
        name: "Go: pgx, amqp091-go",
        folder: "go",
        program: "{place}/peer",
        ..PAGING_SCRIPT
    },
    Peer {
        name: "Apache Camel",
        folder: "camel",
        program: "java",
        arguments: &["-cp", "{place}/classes:{place}/lib/*", "Peer"],
        starts_slowly: true,
        ..PAGING_SCRIPT
    },
    Peer {
        name: "Debezium Server",
        folder: "debezium",
        program: "bash",
        arguments: &["run.sh"],
        works_in: "{place}/debezium-server",
        rows_a_message: &[1],
        done: Done::QueueHoldsAll,
        starts_slowly: true,
        decodes_log: true,
        leaves_out: "sends plain rows: no pseudonyms, no sealing, no outbox (the server's log is \
            its memory, which the clinic must turn on and keep); cannot put several rows into a \
            message",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_of_the_list_is_there() {
        for peer in &PEERS {
            let own = peer
                .arguments
                .iter()
                .filter(|word| word.starts_with("{source}"));
            for path in own.map(|word| peer.filled(word)) {
                assert!(path.is_file(), "{}", path.display());
            }
            assert!(peer.filled("{source}").is_dir(), "{}", peer.folder);
        }
    }
}
