//! Extension `health_check`: says whether the agent is ready.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::pages::{Access, PageServer, Pages};
use crate::component::{
    BuildError, Endpoint, Extension, ExtensionConfig, Host, Listeners, RunError,
};
use crate::config::{self, Optional, Refused, ServerTls};
use crate::data::Time;
use crate::net::{Alpn, Body, ServerTlsConfig, json, text, with_type};
use crate::telemetry::{Clock, Status};

/// Settings of `health_check`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheckConfig {
    /// Where to listen; default `localhost:13133`.
    pub endpoint: config::Endpoint,
    /// The path that is answered; default `/`, which stands for every path.
    pub path: String,
    /// TLS; off unless the block is there.
    pub tls: Optional<ServerTls>,
    /// What to answer in place of JSON.
    pub response_body: Option<ResponseBody>,
    /// The Collector's own check of exporters is not supported; it is off there, too.
    pub check_collector_pipeline: Refused,
}

/// Answers in the user's own words.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseBody {
    /// When the agent is ready.
    pub healthy: String,
    /// When it is not.
    pub unhealthy: String,
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        Self {
            endpoint: config::Endpoint::localhost(13133),
            path: "/".into(),
            tls: Optional::off(),
            response_body: None,
            check_collector_pipeline: Refused,
        }
    }
}

impl ExtensionConfig for HealthCheckConfig {
    const TYPE: &'static str = "health_check";
    const EXAMPLE: &'static str = "endpoint: localhost:13133\n";

    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint::tcp(self.endpoint.to_string(), false)]
    }

    fn build(&self, host: &Host) -> Result<Arc<dyn Extension>, BuildError> {
        let tls = self
            .tls
            .get()
            .map(|tls| ServerTlsConfig::try_new(tls, Alpn::Http))
            .transpose()
            .map_err(|error| BuildError::Cause {
            what: "cannot set up TLS",
            source: error.into(),
        })?;
        let endpoints = self.endpoints();
        let pages = Health {
            path: self.path.clone(),
            response_body: self.response_body.clone(),
            status: host.status.clone(),
            clock: host.clock.clone(),
            up_since: OnceLock::new(),
        };
        Ok(Arc::new(HealthCheck {
            endpoints,
            tls: tls.map(Arc::new),
            pages: Arc::new(pages),
            server: PageServer::default(),
        }))
    }
}

struct HealthCheck {
    endpoints: Vec<Endpoint>,
    tls: Option<Arc<ServerTlsConfig>>,
    pages: Arc<Health>,
    server: PageServer,
}

#[async_trait]
impl Extension for HealthCheck {
    async fn start(&self, listeners: &Listeners, _host: &Host) -> Result<(), RunError> {
        self.pages.up_since.get_or_init(|| self.pages.clock.now());
        for endpoint in &self.endpoints {
            let pages = Arc::clone(&self.pages) as Arc<dyn Pages>;
            self.server.start(listeners, endpoint, (Access::Anyone, self.tls.clone()), pages)?;
        }
        Ok(())
    }

    async fn stop(&self) {
        self.server.stop().await;
    }
}

struct Health {
    path: String,
    response_body: Option<ResponseBody>,
    status: Status,
    clock: Clock,
    up_since: OnceLock<Time>,
}

/// The answer, as the Collector writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: &'static str,
    up_since: String,
    uptime: String,
}

impl Pages for Health {
    fn page(&self, uri: &Uri, _headers: &HeaderMap) -> Response<Body> {
        if self.path != "/" && uri.path() != self.path {
            return text(StatusCode::NOT_FOUND, "not found\n");
        }
        let is_ready = self.status.is_ready();
        let code = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        if let Some(own) = &self.response_body {
            let body = if is_ready { &own.healthy } else { &own.unhealthy };
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            return with_type(code, plain, Body::from(body.clone()));
        }
        let now = self.clock.now();
        let up_since = self.up_since.get().copied().unwrap_or(now);
        let uptime = now.saturating_since(up_since);
        let answer = Answer {
            status: if is_ready { "Server available" } else { "Server not available" },
            up_since: rfc3339(up_since),
            uptime: format!("{uptime:?}"),
        };
        json(code, &answer)
    }
}

fn rfc3339(time: Time) -> String {
    let nanos = i128::from(time.as_unix_nanos());
    let date = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_default()
}
