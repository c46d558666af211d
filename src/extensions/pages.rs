//! The small servers of extensions: pages that are answered at once, without a body to read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::component::{Endpoint, Listener, Listeners, RunError};
use crate::net::{Body, ServerOptions, ServerTlsConfig, Socket, check_same_site, serve, text};

/// These servers are for people and probes.
const MAX_CONNECTIONS: usize = 64;
/// How long answers may go on after the server was told to stop.
const DRAIN: Duration = Duration::from_millis(500);

/// Who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody, under any name: for probes.
    Anyone,
    /// Whoever calls the server by an address, `localhost` or this name, and is no page of another
    /// site.
    SameSite(String),
}

/// Answers requests.
pub(super) trait Pages: Send + Sync + 'static {
    /// The page of a GET or HEAD request.
    fn page(&self, uri: &Uri, headers: &HeaderMap) -> Response<Body>;
}

/// A server that runs between start and stop of its extension.
#[derive(Debug, Default)]
pub(super) struct PageServer {
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl PageServer {
    /// Serves `pages` on the listener that the engine bound for `endpoint`.
    pub(super) fn start(
        &self,
        listeners: &Listeners,
        endpoint: &Endpoint,
        (access, tls): (Access, Option<Arc<ServerTlsConfig>>),
        pages: Arc<dyn Pages>,
    ) -> Result<(), RunError> {
        let failed = |source| RunError::new(format!("cannot serve on `{endpoint}`"), source);
        let socket = match listeners.listener(endpoint).map_err(failed)? {
            Listener::Tcp(listener) => Socket::try_from(listener),
            Listener::Unix(listener) => Socket::try_from(listener),
        };
        let options = ServerOptions {
            tls,
            max_connections: MAX_CONNECTIONS,
            drain: DRAIN,
            ..ServerOptions::default()
        };
        let access = Arc::new(access);
        let handler = move |request: Request<Incoming>, _| {
            let response = answer(&request, &access, pages.as_ref());
            async move { response }
        };
        let serving = serve(socket.map_err(failed)?, options, handler, self.stop.clone());
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokio::spawn(serving));
        Ok(())
    }

    /// Stops and waits until that is done.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // A server that panicked has stopped, too.
            let _ = task.await;
        }
    }
}

fn answer(request: &Request<Incoming>, access: &Access, pages: &dyn Pages) -> Response<Body> {
    let mut response = allowed_answer(request, access, pages);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn allowed_answer(
    request: &Request<Incoming>,
    access: &Access,
    pages: &dyn Pages,
) -> Response<Body> {
    if let Access::SameSite(host) = access {
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        let hosts = std::slice::from_ref(host);
        if let Err(error) = check_same_site(request.headers(), authority, hosts) {
            return text(StatusCode::FORBIDDEN, error.to_string());
        }
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
        response.headers_mut().insert(http::header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    pages.page(request.uri(), request.headers())
}
