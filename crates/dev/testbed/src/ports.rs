//! Free loopback ports below the ephemeral range, never handed out twice while their taker lives.

use parking_lot::Mutex;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use tokio::net::TcpSocket;

// A port inside Linux's ephemeral range (32768 up) can be taken by any client, and a client that
// polls such a port can even connect to itself.
const FIRST_PORT: u16 = 10_001;
const LAST_PORT: u16 = 32_767;

// An abstract socket a port, held until this process ends: the kernel drops it with the process, so
// other test processes of any user keep away meanwhile, and nothing stale is left on the disk.
static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A TCP port on 127.0.0.1 that nobody listens on, between 10001 and 32767. It is reserved against
/// all other users of this function on the machine until this process ends.
///
/// # Panics
/// When every port of the range is taken.
pub fn free_port() -> u16 {
    reserve(bind).1
}

/// A listener on a port as from [`free_port`], for servers that live inside the test process.
pub(crate) fn listener() -> (TcpListener, u16) {
    reserve(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
}

/// A socket that is bound and does not listen. A program that another thread starts just now has
/// every socket of this process until it is executed, which may take seconds on a busy machine:
/// one that listened would keep the port from its taker for as long, and this one does not.
fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into())?;
    Ok(socket)
}

fn reserve<T>(take: impl Fn(u16) -> io::Result<T>) -> (T, u16) {
    let span = LAST_PORT - FIRST_PORT + 1;
    let random = RandomState::new().build_hasher().finish();
    let start = u16::try_from(random % u64::from(span)).expect("the remainder is below a u16");
    for step in 0..span {
        let port = FIRST_PORT + (start + step) % span;
        if let Some(taken) = try_reserve(port, &take) {
            return (taken, port);
        }
    }
    panic!("every loopback port from {FIRST_PORT} to {LAST_PORT} is taken");
}

fn try_reserve<T>(port: u16, take: impl Fn(u16) -> io::Result<T>) -> Option<T> {
    let name = SocketAddr::from_abstract_name(format!("testbed-port-{port}")).ok()?;
    let lock = UnixListener::bind_addr(&name).ok()?;
    let taken = take(port).ok()?;
    RESERVED.lock().push(lock);
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ports_are_distinct_free_and_below_the_ephemeral_range() {
        let ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 50);
        for port in ports {
            assert!((FIRST_PORT..=LAST_PORT).contains(&port));
            assert!(
                try_reserve(port, bind).is_none(),
                "port {port} could be reserved twice"
            );
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn a_socket_that_is_bound_meets_who_listens_and_keeps_nobody_from_listening() {
        let (listener, port) = listener();
        assert!(bind(port).is_err(), "somebody listens");
        drop(listener);
        let copied = bind(free_port()).unwrap();
        TcpListener::bind(copied.local_addr().unwrap()).unwrap();
    }
}
