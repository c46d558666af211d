//! An HTTP server that keeps what is posted to it, and remote-write requests.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use catchment::net::{self, ServerOptions, Socket};
use http::{Request, Response, StatusCode, request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use prost::Message;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::SOON;

type Taken = Arc<Mutex<Vec<(request::Parts, Bytes)>>>;

/// Answers every request with 200 and keeps it.
pub(super) struct Server {
    address: String,
    taken: Taken,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (taken, stop) = (Taken::default(), CancellationToken::new());
        let keeper = Arc::clone(&taken);
        let handler = move |request, _| take(Arc::clone(&keeper), request);
        let socket = Socket::try_from(listener).unwrap();
        let server = net::serve(socket, ServerOptions::default(), handler, stop.clone());
        Self { address, taken, stop, task: tokio::spawn(server) }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Stops, and gives what came: heads and bodies.
    pub(super) async fn stop(self) -> Vec<(request::Parts, Bytes)> {
        self.stop.cancel();
        timeout(SOON, self.task).await.unwrap().unwrap();
        std::mem::take(&mut *self.taken.lock().unwrap())
    }
}

async fn take(taken: Taken, request: Request<Incoming>) -> Response<net::Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    taken.lock().unwrap().push((head, body));
    net::text(StatusCode::OK, "")
}

/// A series of a remote-write request (prometheus/prompb, `types.proto`).
#[derive(Clone, PartialEq, Message)]
pub(super) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

/// The series that were written.
pub(super) fn series(taken: &[(request::Parts, Bytes)]) -> Vec<TimeSeries> {
    let series = taken.iter().flat_map(|(_, body)| {
        let body = snap::raw::Decoder::new().decompress_vec(body).unwrap();
        WriteRequest::decode(&body[..]).unwrap().timeseries
    });
    series.collect()
}

/// The highest value of a series with these labels.
pub(super) fn highest(all: &[TimeSeries], labels: &[(&str, &str)]) -> f64 {
    let has = |series: &TimeSeries, (name, value): &(&str, &str)| {
        series.labels.iter().any(|label| label.name == *name && label.value == *value)
    };
    let series = all.iter().filter(|series| labels.iter().all(|label| has(series, label)));
    let samples = series.flat_map(|series| &series.samples).map(|sample| sample.value);
    samples.fold(0.0, f64::max)
}
