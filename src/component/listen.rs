//! What a receiver is given: listeners that belong to the engine, and the way in.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Answer, Budget, Charge};
use crate::data::{Batch, Signal, Time};
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
}

impl Endpoint {
    /// A TCP endpoint, `host:port`.
    #[must_use]
    pub fn tcp(address: impl Into<String>, is_authenticated: bool) -> Self {
        Self { transport: Transport::Tcp, address: address.into(), is_authenticated }
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
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    bound: Arc<Mutex<HashMap<(Transport, String), Listener>>>,
}

impl Listeners {
    /// Keeps a bound listener under its endpoint.
    pub fn insert(&self, endpoint: &Endpoint, listener: Listener) {
        let key = (endpoint.transport, endpoint.address.clone());
        self.bound.lock().unwrap_or_else(PoisonError::into_inner).insert(key, listener);
    }

    /// Whether there is a listener for `endpoint`.
    #[must_use]
    pub fn contains(&self, endpoint: &Endpoint) -> bool {
        let key = (endpoint.transport, endpoint.address.clone());
        self.bound.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&key)
    }

    /// A handle to the listener that the engine bound for `endpoint`.
    ///
    /// # Errors
    ///
    /// Fails when the component did not announce the endpoint in its config's `endpoints`, or the
    /// handle cannot be duplicated.
    pub fn listener(&self, endpoint: &Endpoint) -> io::Result<Listener> {
        let key = (endpoint.transport, endpoint.address.clone());
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        match bound.get(&key) {
            Some(listener) => listener.try_clone(),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("nothing was bound for `{endpoint}`"),
            )),
        }
    }

    /// The TCP address that was bound for `endpoint`; tells the port where the file says 0.
    #[must_use]
    pub fn local_addr(&self, endpoint: &Endpoint) -> Option<SocketAddr> {
        let key = (endpoint.transport, endpoint.address.clone());
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        match bound.get(&key) {
            Some(Listener::Tcp(listener)) => listener.local_addr().ok(),
            _ => None,
        }
    }

    /// Closes every listener that is not in `wanted`.
    pub fn retain(&self, wanted: &[Endpoint]) {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| {
            wanted.iter().any(|endpoint| {
                key.0 == endpoint.transport && key.1.as_str() == endpoint.address.as_str()
            })
        });
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

    /// Takes a batch and says what became of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the answer, not the batch if it was taken already.
    async fn deliver(&self, batch: Batch) -> Answer;

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
        if batch.num_records() == 0 {
            return Answer::DELIVERED;
        }
        self.intake.deliver(batch).await
    }

    /// Counts records that were refused before they became a batch.
    pub fn count_refused(&self, signal: Signal, num_records: usize) {
        self.intake.count_refused(signal, num_records);
    }
}
