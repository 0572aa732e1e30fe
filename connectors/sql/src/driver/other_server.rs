//! Recognises a server of another kind at a source's address: MariaDB and MySQL speak first, and
//! PostgreSQL waits to be spoken to, so that each makes the other's client wait.

use std::pin::pin;
use std::time::Duration;

use tokio::io::AsyncReadExt;
#[cfg(feature = "mysql")]
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Failure;

/// Time after which a connection that is still being made is doubted.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest time that looking at the server takes.
const LOOK: Duration = Duration::from_secs(2);

/// Address of a server.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub host: String,
    pub port: u16,
}

/// Kind of server that answers at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    #[cfg(feature = "postgres")]
    AsMySql,
    #[cfg(feature = "mysql")]
    AsPostgres,
}

/// Waits for a connection. Where it is not made, or not soon, looks whether a server of the other
/// kind answers there.
///
/// # Errors
/// As the connection fails; a server of the other kind is one that must be changed.
pub(super) async fn unless_other<T>(
    opening: impl Future<Output = Result<T, Failure>>,
    address: &Address,
    other: Answers,
) -> Result<T, Failure> {
    let mut opening = pin!(opening);
    let opened = match timeout(PATIENCE, &mut opening).await {
        Ok(opened) => opened,
        Err(_) if answers(address, other).await => return Err(wrong(address, other)),
        Err(_) => return opening.await,
    };
    match opened {
        Err(failure) if failure.may_pass() && answers(address, other).await => {
            Err(wrong(address, other))
        }
        opened => opened,
    }
}

/// True where a server of this kind answers. A socket's path is no address.
async fn answers(address: &Address, kind: Answers) -> bool {
    if address.host.starts_with('/') {
        return false;
    }
    let look = async {
        let mut server = TcpStream::connect((address.host.as_str(), address.port)).await?;
        match kind {
            #[cfg(feature = "postgres")]
            Answers::AsMySql => speaks_as_mysql(&mut server).await,
            #[cfg(feature = "mysql")]
            Answers::AsPostgres => answers_as_postgres(&mut server).await,
        }
    };
    matches!(timeout(LOOK, look).await, Ok(Ok(true)))
}

/// True for a server whose first words, unasked, are a packet of MariaDB or MySQL: its length in
/// three bytes, the number 0, and version 10 of the protocol, or an error.
#[cfg(feature = "postgres")]
async fn speaks_as_mysql(server: &mut TcpStream) -> std::io::Result<bool> {
    let mut first = [0; 5];
    server.read_exact(&mut first).await?;
    Ok(first[3] == 0 && matches!(first[4], 10 | 255))
}

/// True for a server that answers PostgreSQL's question for encryption, and nothing before it, by
/// one letter.
#[cfg(feature = "mysql")]
async fn answers_as_postgres(server: &mut TcpStream) -> std::io::Result<bool> {
    /// The message's length, and the number of this question.
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    server.write_all(&SSL_REQUEST).await?;
    let mut answer = [0; 8];
    let length = server.read(&mut answer).await?;
    Ok(matches!(&answer[..length], b"S" | b"N"))
}

fn wrong(address: &Address, other: Answers) -> Failure {
    let Address { host, port } = address;
    match other {
        #[cfg(feature = "postgres")]
        Answers::AsMySql => Failure::misconfigured(
            format!("the server at {host}:{port} is MariaDB or MySQL, not PostgreSQL"),
            "write the source's section as `mysql` (mariadb://… for `init --look`), or the port of \
             PostgreSQL, which is 5432 as a rule",
        ),
        #[cfg(feature = "mysql")]
        Answers::AsPostgres => Failure::misconfigured(
            format!("the server at {host}:{port} is PostgreSQL, not MariaDB or MySQL"),
            "write the source's section as `postgres` (postgres://… for `init --look`), or the \
             port of MariaDB or MySQL, which is 3306 as a rule",
        ),
    }
}
