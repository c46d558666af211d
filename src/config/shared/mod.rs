//! Blocks that many components share.

mod auth;
mod driver;
mod grpc;
mod http;
mod tls;

pub use auth::AuthRef;
pub use driver::{Queue, QueueBatch, Retry, Sizer};
pub use grpc::{Enforcement, GrpcServer, GrpcTransport, Keepalive, ServerKeepalive};
pub use http::Cors;
pub use tls::{ClientTls, ServerTls};
