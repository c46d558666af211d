//! What a receiver is given: listeners that belong to the engine, and the way in.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Answer, Budget, Charge};
use crate::data::{Batch, Packed, Signal, Time};
use crate::telemetry::Clock;

/// How a listener is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP; the address is `host:port`.
    Tcp,
    /// A Unix domain socket; the address is a path.
    Unix,
}

/// An address to listen on, as the file says it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// How it is reached.
    pub transport: Transport,
    /// `host:port` or a path.
    pub address: String,
    /// Whether clients are authenticated; a wide bind without that warns.
    pub is_authenticated: bool,
    /// Which of the component's endpoints it is; empty where there is only one.
    pub name: &'static str,
}

impl Endpoint {
    /// A TCP endpoint, `host:port`.
    #[must_use]
    pub fn tcp(address: impl Into<String>, is_authenticated: bool) -> Self {
        Self { transport: Transport::Tcp, address: address.into(), is_authenticated, name: "" }
    }

    /// The same as one of several endpoints of its component.
    #[must_use]
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// Whether the system chooses the port.
    fn is_any_port(&self) -> bool {
        self.transport == Transport::Tcp && self.address.ends_with(":0")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.address)
    }
}

/// A listening socket, non-blocking.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix domain socket.
    Unix(UnixListener),
}

impl Listener {
    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
        }
    }
}

/// The engine's listeners, keyed by the address in the file.
///
/// A receiver that is built anew gets the listener of the old one, so no connection is refused.
/// Where the file leaves the port to the system, the component and the endpoint's name belong to
/// the key: each such endpoint has a port of its own.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    component: Arc<str>,
    bound: Arc<Mutex<HashMap<Key, Listener>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    transport: Transport,
    address: String,
    /// Component and name of the endpoint, where the port is 0.
    owner: Option<(Arc<str>, &'static str)>,
}

impl Key {
    fn new(component: &Arc<str>, endpoint: &Endpoint) -> Self {
        let owner = endpoint.is_any_port().then(|| (Arc::clone(component), endpoint.name));
        Self { transport: endpoint.transport, address: endpoint.address.clone(), owner }
    }
}

impl Listeners {
    /// The same listeners as the component at `path` (`receivers::otlp`) sees them.
    #[must_use]
    pub fn of(&self, path: &str) -> Self {
        Self { component: path.into(), bound: Arc::clone(&self.bound) }
    }

    /// Keeps a bound listener under its endpoint.
    pub fn insert(&self, endpoint: &Endpoint, listener: Listener) {
        self.lock().insert(Key::new(&self.component, endpoint), listener);
    }

    /// Whether there is a listener for `endpoint`.
    #[must_use]
    pub fn contains(&self, endpoint: &Endpoint) -> bool {
        self.lock().contains_key(&Key::new(&self.component, endpoint))
    }

    /// A handle to the listener that the engine bound for `endpoint`.
    ///
    /// # Errors
    ///
    /// Fails when the component did not announce the endpoint in its config's `endpoints`, or the
    /// handle cannot be duplicated.
    pub fn listener(&self, endpoint: &Endpoint) -> io::Result<Listener> {
        match self.lock().get(&Key::new(&self.component, endpoint)) {
            Some(listener) => listener.try_clone(),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("nothing was bound for `{endpoint}`"),
            )),
        }
    }

    /// The TCP address that was bound for `endpoint`; tells the port where the file says 0.
    ///
    /// The whole agent's view ([`Listeners::of`] was not called) finds the endpoint of whichever
    /// component has one there, as long as only one has.
    #[must_use]
    pub fn local_addr(&self, endpoint: &Endpoint) -> Option<SocketAddr> {
        let key = Key::new(&self.component, endpoint);
        let bound = self.lock();
        let mut same_address = bound
            .iter()
            .filter(|(other, _)| other.transport == key.transport && other.address == key.address);
        let found = match (bound.get(&key), same_address.next(), same_address.next()) {
            (Some(found), ..) => found,
            (None, Some((_, only)), None) if self.component.is_empty() => only,
            _ => return None,
        };
        match found {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }

    /// Closes every listener that is not in `wanted`, given with the component's path.
    pub fn retain(&self, wanted: &[(&str, Endpoint)]) {
        let wanted: HashSet<Key> = wanted
            .iter()
            .map(|(component, endpoint)| Key::new(&Arc::from(*component), endpoint))
            .collect();
        self.lock().retain(|key, _| wanted.contains(key));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Listener>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The door is closed: too much memory is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memory limit is reached, try again in {} s", retry_after.as_secs())]
pub struct Pressure {
    /// When to try again, at the earliest.
    pub retry_after: Duration,
}

/// What stands behind an [`Inlet`]: the pipelines of one receiver.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Whether a pipeline takes `signal` from this receiver.
    fn accepts(&self, signal: Signal) -> bool;

    /// Takes a batch, which came as `packed`, and says what became of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the answer, not the batch if it was taken already.
    async fn deliver(&self, batch: Batch, packed: Option<Packed>) -> Answer;

    /// Counts records that were refused before they became a batch.
    fn count_refused(&self, signal: Signal, num_records: usize);
}

/// A receiver's way into its pipelines.
#[derive(Clone)]
pub struct Inlet {
    intake: Arc<dyn Intake>,
    budget: Budget,
    clock: Clock,
    listeners: Listeners,
}

impl Inlet {
    /// The account that request bodies are charged to.
    const ACCOUNT: &'static str = "requests";

    /// A way into `intake`.
    #[must_use]
    pub fn new(
        intake: Arc<dyn Intake>,
        budget: Budget,
        clock: Clock,
        listeners: Listeners,
    ) -> Self {
        Self { intake, budget, clock, listeners }
    }

    /// Whether a pipeline takes `signal` from this receiver.
    #[must_use]
    pub fn accepts(&self, signal: Signal) -> bool {
        self.intake.accepts(signal)
    }

    /// The arrival time to give to a batch's context.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The engine's listeners, with those of this receiver's `endpoints`.
    #[must_use]
    pub const fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// Charges `size_bytes` of a request body; grows with [`Charge::try_grow`] while it is read
    /// and is tied to the bytes by [`Charge::attach`].
    ///
    /// # Errors
    ///
    /// Fails when the door is closed.
    pub fn admit(&self, size_bytes: usize) -> Result<Charge, Pressure> {
        self.budget.admit(Self::ACCOUNT, size_bytes)
    }

    /// Hands a batch to all pipelines of this receiver and says what became of it. The records
    /// are counted as accepted or refused.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the answer, not the batch if it was taken already.
    pub async fn deliver(&self, batch: Batch) -> Answer {
        self.deliver_packed(batch, None).await
    }

    /// The same with a batch whose bytes came as `packed`: a journal may keep those.
    ///
    /// # Cancel safety
    ///
    /// As [`Self::deliver`].
    pub async fn deliver_packed(&self, batch: Batch, packed: Option<Packed>) -> Answer {
        if batch.num_records() == 0 {
            return Answer::DELIVERED;
        }
        self.intake.deliver(batch, packed).await
    }

    /// Counts records that were refused before they became a batch.
    pub fn count_refused(&self, signal: Signal, num_records: usize) {
        self.intake.count_refused(signal, num_records);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_that_leave_the_port_to_the_system_have_ports_of_their_own() {
        let listeners = Listeners::default();
        let bind = || Listener::Tcp(TcpListener::bind("127.0.0.1:0").unwrap());
        let endpoint = |name| Endpoint::tcp("127.0.0.1:0", false).named(name);
        let (first, second) = (listeners.of("receivers::otlp"), listeners.of("receivers::otlp/2"));
        first.insert(&endpoint("grpc"), bind());
        assert_eq!(listeners.local_addr(&endpoint("")), first.local_addr(&endpoint("grpc")));
        first.insert(&endpoint("http"), bind());
        second.insert(&endpoint("grpc"), bind());
        let bound = [
            first.local_addr(&endpoint("grpc")).unwrap(),
            first.local_addr(&endpoint("http")).unwrap(),
            second.local_addr(&endpoint("grpc")).unwrap(),
        ];
        assert_eq!(bound.iter().collect::<HashSet<_>>().len(), 3);
        assert_eq!(second.local_addr(&endpoint("http")), None);
        assert_eq!(listeners.local_addr(&endpoint("grpc")), None);
        listeners.retain(&[("receivers::otlp", endpoint("http"))]);
        assert!(first.contains(&endpoint("http")) && !first.contains(&endpoint("grpc")));
    }

    #[test]
    fn fixed_address_is_found_whoever_asks() {
        let listeners = Listeners::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::tcp("localhost:4317", false);
        listeners.of("receivers::otlp").insert(&endpoint, Listener::Tcp(listener));
        assert!(listeners.of("receivers::otlp/new").listener(&endpoint.named("grpc")).is_ok());
    }
}
