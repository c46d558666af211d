//! Network plumbing that receivers, exporters, extensions and the API share: listeners, TLS, HTTP
//! servers and clients.

mod bind;
mod body;
mod client;
mod connect;
mod connection;
mod reply;
mod serve;
mod tls;
mod watch;

pub use bind::{BindError, Bound, Holder, bind_tcp, bind_unix};
pub use body::{BodyError, BodyLimits, Gather, Pieces, read as read_body};
pub use client::{Client, ClientError, ClientOptions};
pub use connect::{ConnectError, Connection, Connector};
pub use reply::{Body, CrossSite, check_same_site, html, json, text, with_type};
pub use serve::{Peer, Protocol, ServerOptions, Socket, serve};
pub use tls::{Alpn, ClientTlsConfig, ServerTlsConfig, TlsError};

#[cfg(test)]
mod tests;
