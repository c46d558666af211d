//! Binding of listeners, with errors that name the address and what holds it.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// It is not written as an address.
    #[error("`{address}` is not an address to listen on, expected `host:port`")]
    Malformed {
        /// The address in the file.
        address: String,
    },
    /// The host is not known.
    #[error("cannot listen on `{address}`: unknown host `{host}`")]
    UnknownHost {
        /// The address in the file.
        address: String,
        /// The host in it.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Somebody else listens there.
    #[error("cannot listen on `{address}`: address already in use{}", by(holder.as_ref()))]
    InUse {
        /// The address in the file.
        address: String,
        /// Who, if that can be told.
        holder: Option<Holder>,
    },
    /// The system refuses.
    #[error("cannot listen on `{address}`")]
    Refused {
        /// The address in the file.
        address: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The process that holds an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// The name of its program.
    pub program: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process {} ({})", self.pid, self.program)
    }
}

/// A TCP listener that is bound.
#[derive(Debug)]
pub struct Bound {
    /// The socket, non-blocking.
    pub listener: TcpListener,
    /// Whether other machines can reach it; without authentication that deserves a warning.
    pub is_exposed: bool,
}

/// Listens on `address`, `host:port`; port 0 means a free one, an empty host all interfaces.
///
/// Of the addresses that a name stands for the first IPv4 one is taken.
///
/// # Errors
///
/// Fails when the address is malformed, unknown, in use, or not allowed.
pub fn bind_tcp(address: &str) -> Result<Bound, BindError> {
    let wanted = resolve(address)?;
    let listener = match listen(wanted) {
        Ok(listener) => listener,
        // Machines without IPv6 still have all their IPv4 interfaces.
        Err(error)
            if wanted.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            let fallback = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), wanted.port());
            listen(fallback).map_err(|error| refusal(address, wanted, error))?
        }
        Err(error) => return Err(refusal(address, wanted, error)),
    };
    Ok(Bound { listener, is_exposed: !wanted.ip().is_loopback() })
}

/// Listens on the Unix domain socket `path`; a socket that nobody listens on any more is replaced.
///
/// # Errors
///
/// Fails when somebody listens there, or the path cannot be used.
pub fn bind_unix(path: &Path) -> Result<UnixListener, BindError> {
    let address = path.display().to_string();
    let refused = |source| BindError::Refused { address: path.display().to_string(), source };
    if path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket()) {
        if UnixStream::connect(path).is_ok() {
            return Err(BindError::InUse { address, holder: None });
        }
        fs::remove_file(path).map_err(refused)?;
    }
    let listener = match UnixListener::bind(path) {
        Ok(listener) => listener,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            return Err(BindError::InUse { address, holder: None });
        }
        Err(error) => return Err(refused(error)),
    };
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

fn by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| format!(" by {holder}"))
}

fn resolve(address: &str) -> Result<SocketAddr, BindError> {
    let malformed = || BindError::Malformed { address: address.to_owned() };
    let (host, port) = address.rsplit_once(':').ok_or_else(malformed)?;
    let port: u16 = port.parse().map_err(|_| malformed())?;
    if host.is_empty() {
        return Ok(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
    }
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let unknown = |source| BindError::UnknownHost {
        address: address.to_owned(),
        host: host.to_owned(),
        source,
    };
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(unknown)?.collect();
    let first = found.iter().find(|found| found.is_ipv4()).or_else(|| found.first());
    first.copied().ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn refusal(address: &str, wanted: SocketAddr, source: io::Error) -> BindError {
    if source.kind() == io::ErrorKind::AddrInUse {
        return BindError::InUse { address: address.to_owned(), holder: holder(wanted.port()) };
    }
    BindError::Refused { address: address.to_owned(), source }
}

/// The process that listens on `port`, where the system tells (Linux, processes of this user).
fn holder(port: u16) -> Option<Holder> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_sockets(&table, port))
        .collect();
    if sockets.is_empty() {
        return None;
    }
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let handles = fs::read_dir(process.path().join("fd")).ok()?;
        let is_holder = handles
            .flatten()
            .filter_map(|handle| fs::read_link(handle.path()).ok())
            .any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()));
        if !is_holder {
            return None;
        }
        let program = fs::read_to_string(process.path().join("comm")).ok()?;
        Some(Holder { pid, program: program.trim().to_owned() })
    })
}

/// What handles of the sockets that listen on `port` point to, from a table as in `/proc/net/tcp`
/// (proc(5)).
fn listening_sockets(table: &str, port: u16) -> Vec<String> {
    const LISTENING: &str = "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let local = fields.nth(1)?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?;
            let found = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
            (state == LISTENING && found == port).then(|| format!("socket:[{inode}]"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_the_loopback_address() {
        let bound = bind_tcp("localhost:0").unwrap();
        assert!(bound.listener.local_addr().unwrap().ip().is_loopback());
        assert!(!bound.is_exposed);
    }

    #[test]
    fn empty_host_is_exposed() {
        assert!(bind_tcp(":0").unwrap().is_exposed);
        assert!(bind_tcp("0.0.0.0:0").unwrap().is_exposed);
    }

    #[test]
    fn taken_port_is_named_with_its_holder() {
        let first = bind_tcp("127.0.0.1:0").unwrap();
        let address = first.listener.local_addr().unwrap().to_string();
        let error = bind_tcp(&address).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(&address) && message.contains("already in use"), "{message}");
        let BindError::InUse { holder: Some(holder), .. } = error else {
            panic!("no holder in {error:?}");
        };
        assert_eq!(holder.pid, std::process::id());
    }

    #[test]
    fn malformed_and_unknown_addresses_are_named() {
        for address in ["4317", "localhost", "localhost:port", "localhost:70000"] {
            let message = bind_tcp(address).unwrap_err().to_string();
            assert!(message.contains(address) && message.contains("host:port"), "{message}");
        }
        let message = bind_tcp("no-such-host.invalid:0").unwrap_err().to_string();
        assert!(message.contains("unknown host `no-such-host.invalid`"), "{message}");
    }

    #[test]
    fn dead_unix_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otlp.sock");
        drop(bind_unix(&path).unwrap());
        let _live = bind_unix(&path).unwrap();
        assert!(matches!(bind_unix(&path), Err(BindError::InUse { .. })));
        let absent = folder.path().join("absent/otlp.sock");
        assert!(matches!(bind_unix(&absent), Err(BindError::Refused { .. })));
    }

    #[test]
    fn listening_sockets_are_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:10DD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1\n   \
            1: 0100007F:10DD 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4243 1\n";
        assert_eq!(listening_sockets(table, 4317), ["socket:[4242]"]);
        assert!(listening_sockets(table, 4318).is_empty());
    }
}
