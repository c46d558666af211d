//! The `otlp` receiver: OTLP over gRPC and over HTTP (OTLP specification).
//!
//! A request stays the bytes that came: it is inflated, written as protobuf if it is JSON, and
//! validated at the door; no structs are made of it. gRPC frames are read from HTTP/2 directly.

mod config;
mod cors;
mod frame;
mod gate;
mod grpc;
mod http;
mod limits;
mod response;
mod status;

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use config::{Config, HttpSettings, Protocols};
pub use limits::{InvalidUtf8, Limits};

use crate::component::{Endpoint, Inlet, Listener, Receiver, RunError};
use crate::net::{ServerOptions, Socket, serve};
use gate::{Gate, Rules};
use http::{Routes, Service};

/// Takes OTLP in.
struct Otlp {
    grpc: Option<GrpcPart>,
    http: Option<HttpPart>,
}

/// OTLP/gRPC, ready to run.
struct GrpcPart {
    endpoint: Endpoint,
    options: ServerOptions,
    rules: Rules,
}

/// OTLP/HTTP, ready to run.
struct HttpPart {
    endpoint: Endpoint,
    options: ServerOptions,
    rules: Rules,
    routes: Routes,
}

#[async_trait]
impl Receiver for Otlp {
    async fn run(self: Box<Self>, inlet: Inlet, stop: CancellationToken) -> Result<(), RunError> {
        let grpc = match self.grpc {
            None => None,
            Some(part) => Some(part.serve(&inlet, stop.clone())?),
        };
        let http = match self.http {
            None => None,
            Some(part) => Some(part.serve(&inlet, stop)?),
        };
        join(maybe(grpc), maybe(http)).await;
        Ok(())
    }
}

impl GrpcPart {
    fn serve(
        self,
        inlet: &Inlet,
        stop: CancellationToken,
    ) -> Result<impl Future<Output = ()> + Send + use<>, RunError> {
        let socket = socket(&self.endpoint, inlet)?;
        let gate = Arc::new(Gate::new(inlet.clone(), self.rules));
        info!(endpoint = %self.endpoint, "taking in OTLP over gRPC");
        let handler = move |request, peer| grpc::handle(Arc::clone(&gate), request, peer);
        Ok(serve(socket, self.options, handler, stop))
    }
}

impl HttpPart {
    fn serve(
        self,
        inlet: &Inlet,
        stop: CancellationToken,
    ) -> Result<impl Future<Output = ()> + Send + use<>, RunError> {
        let socket = socket(&self.endpoint, inlet)?;
        let gate = Arc::new(Gate::new(inlet.clone(), self.rules));
        let service = Arc::new(Service::new(gate, self.routes));
        info!(endpoint = %self.endpoint, "taking in OTLP over HTTP");
        let handler = move |request, peer| Arc::clone(&service).handle(request, peer);
        Ok(serve(socket, self.options, handler, stop))
    }
}

fn socket(endpoint: &Endpoint, inlet: &Inlet) -> Result<Socket, RunError> {
    let listener = inlet.listeners().listener(endpoint);
    let socket = listener.and_then(|listener| match listener {
        Listener::Tcp(listener) => Socket::try_from(listener),
        Listener::Unix(listener) => Socket::try_from(listener),
    });
    socket.map_err(|error| RunError::new(format!("cannot listen on `{endpoint}`"), error))
}

async fn maybe(server: Option<impl Future<Output = ()>>) {
    if let Some(server) = server {
        server.await;
    }
}
