//! The peers: how each is started, when it is done, and what it leaves out.

/// When a peer has done its work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Done {
    /// The peer ends by itself.
    Ended,
    /// The peer goes on waiting for changes.
    QueueHoldsAll,
}

/// A program that does the same job. In its words `{place}` stands for where it is set up,
/// `{source}` for its own files.
#[derive(Debug)]
pub(super) struct Peer {
    /// Name of the peer in the report.
    pub name: &'static str,
    /// Name of its folder, both of its files and where it is set up.
    pub folder: &'static str,
    /// The program; one without a folder is found by PATH.
    pub program: &'static str,
    /// Arguments of its command line.
    pub arguments: &'static [&'static str],
    /// Where it is started.
    pub works_in: &'static str,
    /// Records a message, one run for each.
    pub rows_a_message: &'static [u32],
    /// When it has done its work.
    pub done: Done,
    /// True if it needs seconds to start, so that its rate without them is shown too.
    pub starts_slowly: bool,
    /// True if it reads the server's log by logical decoding.
    pub decodes_log: bool,
    /// Text on what the gateway does and the peer does not.
    pub leaves_out: &'static str,
}

/// Common to all that read by pages of a key.
const SCRIPT: &str = "sends plain rows: no pseudonyms, no sealing, no memory of what was sent, no \
    outbox; a second run \
    finds only rows with a later stamp";

/// Every peer, the fastest kinds of one tool after its plain ones.
pub(super) const PEERS: [Peer; 6] = [
    Peer {
        name: "Python: psycopg, pika",
        folder: "python",
        program: "{place}/venv/bin/python",
        arguments: &["-B", "{source}/with_pika.py"],
        works_in: "{place}",
        rows_a_message: &[1, 100],
        done: Done::Ended,
        starts_slowly: false,
        decodes_log: false,
        leaves_out: SCRIPT,
    },
    Peer {
        name: "Python: psycopg, aio-pika",
        folder: "python",
        program: "{place}/venv/bin/python",
        arguments: &["-B", "{source}/with_aio_pika.py"],
        works_in: "{place}",
        rows_a_message: &[1, 100],
        done: Done::Ended,
        starts_slowly: false,
        decodes_log: false,
        leaves_out: SCRIPT,
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
        works_in: "{place}",
        rows_a_message: &[1, 100],
        done: Done::Ended,
        starts_slowly: false,
        decodes_log: false,
        leaves_out: SCRIPT,
    },
    Peer {
        name: "Go: pgx, amqp091-go",
        folder: "go",
        program: "{place}/peer",
        arguments: &[],
        works_in: "{place}",
        rows_a_message: &[1, 100],
        done: Done::Ended,
        starts_slowly: false,
        decodes_log: false,
        leaves_out: SCRIPT,
    },
    Peer {
        name: "Apache Camel",
        folder: "camel",
        program: "java",
        arguments: &["-cp", "{place}/classes:{place}/lib/*", "Peer"],
        works_in: "{place}",
        rows_a_message: &[1, 100],
        done: Done::Ended,
        starts_slowly: true,
        decodes_log: false,
        leaves_out: SCRIPT,
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
            its memory, which the clinic \
            must turn on and keep); cannot put several rows into a message",
    },
];
