//! The servers: which addresses, who may ask, which path is what.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::own;
use super::params::{ApiError, decoded};
use super::reload::{AskReload, reload};
use super::search::Searcher;
use crate::component::{AuthError, Budget, BuildError, Extensions, ServerAuth};
use crate::config::{Endpoint, Settings};
use crate::net::{self, BindError, Body, ServerOptions, Socket, check_same_site};
use crate::storage::logindex::LogIndex;
use crate::telemetry::{Ledger, Metrics};

/// Connections that each server has at one time.
const MAX_CONNECTIONS: usize = 256;

/// What the servers show.
#[derive(Clone, Default)]
pub struct Sources {
    /// The log indexes of all `logindex` exporters.
    pub indexes: Indexes,
    /// The agent's own metrics.
    pub metrics: Metrics,
    /// The accounts of records.
    pub ledger: Ledger,
    /// What searches are charged to.
    pub budget: Budget,
    /// The extensions that run, among which are authenticators.
    pub extensions: Extensions,
    /// Who reads the configuration again; nobody, where the agent cannot.
    pub reload: Option<AskReload>,
}

impl Sources {
    /// Takes the log indexes among the handles of exporters, which are asked for at each search.
    #[must_use]
    pub fn with_handles(
        mut self,
        handles: impl Fn() -> Vec<Arc<dyn Any + Send + Sync>> + Send + Sync + 'static,
    ) -> Self {
        let indexes =
            move || handles().into_iter().filter_map(|handle| handle.downcast().ok()).collect();
        self.indexes = Indexes(Arc::new(indexes));
        self
    }
}

/// Log indexes that come and go.
#[derive(Clone)]
pub struct Indexes(Arc<dyn Fn() -> Vec<Arc<LogIndex>> + Send + Sync>);

impl Default for Indexes {
    fn default() -> Self {
        Self(Arc::new(Vec::new))
    }
}

impl Indexes {
    /// Those that there are now.
    pub(super) fn now(&self) -> Vec<Arc<LogIndex>> {
        (self.0)()
    }
}

/// Why the HTTP surface cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("{key}: cannot listen on `{endpoint}`")]
    Bind {
        /// The key in the file.
        key: &'static str,
        /// The address.
        endpoint: String,
        /// What failed.
        source: BindError,
    },
    /// A listener cannot be used.
    #[error("{key}: cannot use the listener on `{endpoint}`")]
    Listener {
        /// The key in the file.
        key: &'static str,
        /// The address.
        endpoint: String,
        /// What failed.
        source: std::io::Error,
    },
    /// The authenticator is not there or is none.
    #[error("service::api::auth")]
    Auth(#[source] BuildError),
}

/// The servers that run.
pub struct Servers {
    api_addr: Option<SocketAddr>,
    metrics_addrs: Vec<SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Servers {
    /// Where search is served, if it is.
    #[must_use]
    pub const fn api_addr(&self) -> Option<SocketAddr> {
        self.api_addr
    }

    /// Where the agent's own metrics are served.
    #[must_use]
    pub fn metrics_addrs(&self) -> &[SocketAddr] {
        &self.metrics_addrs
    }

    /// Stops listening and waits for the requests under way.
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            // A panic of the task was told by the panic hook.
            let _ = task.await;
        }
    }
}

/// Serves what `settings` ask for: `service::api` and `service::telemetry::metrics`.
///
/// # Errors
///
/// Fails when an address cannot be listened on or the authenticator is not there.
pub async fn serve(settings: &Settings, sources: Sources) -> Result<Servers, ServeError> {
    let stop = CancellationToken::new();
    let mut servers =
        Servers { api_addr: None, metrics_addrs: Vec::new(), tasks: Vec::new(), stop };
    if let Some(api) = settings.api.get() {
        let auth = api.auth.as_ref();
        let auth = auth.map(|auth| sources.extensions.server_auth(&auth.authenticator));
        let auth = auth.transpose().map_err(ServeError::Auth)?;
        let surface = Surface {
            searcher: Some(Searcher::new(sources.indexes.clone(), sources.budget.clone())),
            metrics: sources.metrics.clone(),
            ledger: sources.ledger.clone(),
            hosts: vec![api.endpoint.host().to_owned()],
            auth,
            reload: sources.reload.clone(),
            stop: servers.stop.clone(),
        };
        servers.api_addr = Some(servers.listen("service::api", &api.endpoint, surface)?);
    }
    for endpoint in settings.telemetry.metrics.endpoints() {
        let surface = Surface {
            searcher: None,
            metrics: sources.metrics.clone(),
            ledger: sources.ledger.clone(),
            hosts: vec![endpoint.host().to_owned()],
            auth: None,
            reload: None,
            stop: servers.stop.clone(),
        };
        let addr = servers.listen("service::telemetry::metrics", &endpoint, surface)?;
        servers.metrics_addrs.push(addr);
    }
    Ok(servers)
}

impl Servers {
    fn listen(
        &mut self,
        key: &'static str,
        endpoint: &Endpoint,
        surface: Surface,
    ) -> Result<SocketAddr, ServeError> {
        let endpoint = endpoint.to_string();
        let bound = net::bind_tcp(&endpoint).map_err(|source| ServeError::Bind {
            key,
            endpoint: endpoint.clone(),
            source,
        })?;
        if bound.is_exposed && surface.auth.is_none() {
            warn!(key, endpoint, "other machines can reach this without authentication");
        }
        let unusable = |source| ServeError::Listener { key, endpoint: endpoint.clone(), source };
        let addr = bound.listener.local_addr().map_err(unusable)?;
        let socket = Socket::try_from(bound.listener).map_err(unusable)?;
        let options = ServerOptions { max_connections: MAX_CONNECTIONS, ..Default::default() };
        let surface = Arc::new(surface);
        let handler = move |request, _| {
            let surface = Arc::clone(&surface);
            async move { surface.answer(&request).await }
        };
        let serving = net::serve(socket, options, handler, self.stop.clone());
        self.tasks.push(tokio::spawn(serving));
        info!(key, %addr, "serving HTTP");
        Ok(addr)
    }
}

/// What one address serves.
struct Surface {
    /// Search, where it is served.
    searcher: Option<Searcher>,
    metrics: Metrics,
    ledger: Ledger,
    /// Names by which clients may call this server, besides addresses and `localhost`.
    hosts: Vec<String>,
    auth: Option<Arc<dyn ServerAuth>>,
    reload: Option<AskReload>,
    /// Ends what would go on without end.
    stop: CancellationToken,
}

impl Surface {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let mut response = match self.check(request) {
            Ok(()) => self.route(request).await,
            Err(refusal) => refusal,
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        response
    }

    /// Whether the client may ask at all.
    #[expect(clippy::result_large_err, reason = "the error is the answer")]
    fn check(&self, request: &Request<Incoming>) -> Result<(), Response<Body>> {
        let headers = request.headers();
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        check_same_site(headers, authority, &self.hosts)
            .map_err(|error| ApiError::new(StatusCode::FORBIDDEN, error.to_string()).respond())?;
        let Some(auth) = &self.auth else {
            return Ok(());
        };
        auth.authenticate(headers).map(|_| ()).map_err(|error| {
            let status = match error {
                AuthError::Forbidden => StatusCode::FORBIDDEN,
                _ => StatusCode::UNAUTHORIZED,
            };
            let mut refusal = ApiError::new(status, error.to_string()).respond();
            if status == StatusCode::UNAUTHORIZED {
                let challenge = HeaderValue::from_static(auth.challenge());
                refusal.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            refusal
        })
    }

    async fn route(&self, request: &Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        let Some(target) = self.target(path) else {
            let message = format!("there is no `{path}` here");
            return ApiError::new(StatusCode::NOT_FOUND, message).respond();
        };
        let method = target.method();
        if request.method() != method {
            let message = format!("`{path}` answers {method} only");
            let mut refusal = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message).respond();
            let method = HeaderValue::from_str(method.as_str());
            refusal.headers_mut().extend(method.map(|method| (ALLOW, method)));
            return refusal;
        }
        let query = request.uri().query();
        let answer = match target {
            Target::Records(searcher) => searcher.records(query).await,
            Target::Histogram(searcher) => searcher.histogram(query).await,
            Target::Fields(searcher) => searcher.fields(query).await,
            Target::Tail(searcher) => searcher.tail(query, &self.stop).await,
            // In a path a plus is a plus.
            Target::Values(searcher, name) => match decoded(&name.replace('+', "%2B")) {
                Ok(name) => searcher.values(name, query).await,
                Err(error) => Err(error),
            },
            Target::OpenApi => Ok(own::open_api()),
            Target::Metrics => Ok(own::metrics(&self.metrics)),
            Target::Ledger => Ok(own::ledger(&self.ledger)),
            Target::Reload(ask) => Ok(reload(ask).await),
        };
        answer.unwrap_or_else(|error| error.respond())
    }

    /// What a path stands for at this address.
    fn target<'a>(&'a self, path: &'a str) -> Option<Target<'a>> {
        match (path, &self.searcher) {
            ("/debug/ledger", _) => return Some(Target::Ledger),
            ("/metrics", None) => return Some(Target::Metrics),
            _ => {}
        }
        if path == "/-/reload" {
            return self.reload.as_ref().map(Target::Reload);
        }
        let searcher = self.searcher.as_ref()?;
        if path == "/api/v1/openapi.json" {
            return Some(Target::OpenApi);
        }
        match path.strip_prefix("/api/v1/logs/")? {
            "search" => Some(Target::Records(searcher)),
            "histogram" => Some(Target::Histogram(searcher)),
            "fields" => Some(Target::Fields(searcher)),
            "tail" => Some(Target::Tail(searcher)),
            rest => {
                let name = rest.strip_prefix("fields/")?.strip_suffix("/values")?;
                Some(Target::Values(searcher, name)).filter(|_| !name.is_empty())
            }
        }
    }
}

/// What can be asked for.
enum Target<'a> {
    Records(&'a Searcher),
    Histogram(&'a Searcher),
    Fields(&'a Searcher),
    Tail(&'a Searcher),
    Values(&'a Searcher, &'a str),
    OpenApi,
    Metrics,
    Ledger,
    Reload(&'a AskReload),
}

impl Target<'_> {
    const fn method(&self) -> Method {
        match self {
            Self::Reload(_) => Method::POST,
            _ => Method::GET,
        }
    }
}
