//! Extension `zpages`: what the agent is doing, for people and as JSON.

mod html;
mod view;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use http::header::ACCEPT;
use http::{HeaderMap, Response, StatusCode, Uri};
use serde::Deserialize;
use serde_json::Value;

use super::pages::{Access, PageServer, Pages};
use crate::component::{
    BuildError, Endpoint, Extension, ExtensionConfig, Host, Listeners, RunError,
};
use crate::config::{self, Refused};
use crate::net::{Body, html as html_response, json, text};
use view::View;

/// Name, path, and what it shows.
type Page = (&'static str, &'static str, fn(&View) -> Value);

/// The pages.
const PAGES: [Page; 5] = [
    ("service", "/debug/servicez", View::service),
    ("pipelines", "/debug/pipelinez", View::pipelines),
    ("extensions", "/debug/extensionz", View::extensions),
    ("ledger", "/debug/ledgerz", View::ledger),
    ("errors", "/debug/errorz", View::errors),
];

/// Settings of `zpages`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ZpagesConfig {
    /// Where to listen; default `localhost:55679`.
    pub endpoint: config::Endpoint,
    /// Go's own variables do not exist here.
    pub expvar: Refused,
}

impl Default for ZpagesConfig {
    fn default() -> Self {
        Self { endpoint: config::Endpoint::localhost(55679), expvar: Refused }
    }
}

impl ExtensionConfig for ZpagesConfig {
    const TYPE: &'static str = "zpages";
    const EXAMPLE: &'static str = "endpoint: localhost:55679\n";

    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint::tcp(self.endpoint.to_string(), false)]
    }

    fn build(&self, _host: &Host) -> Result<Arc<dyn Extension>, BuildError> {
        Ok(Arc::new(Zpages {
            host: self.endpoint.host().to_owned(),
            endpoints: self.endpoints(),
            server: PageServer::default(),
            view: OnceLock::new(),
        }))
    }
}

struct Zpages {
    host: String,
    endpoints: Vec<Endpoint>,
    server: PageServer,
    view: OnceLock<Arc<View>>,
}

#[async_trait]
impl Extension for Zpages {
    async fn start(&self, listeners: &Listeners, host: &Host) -> Result<(), RunError> {
        let view = self.view.get_or_init(|| Arc::new(View::new(host.clone())));
        for endpoint in &self.endpoints {
            let access = Access::SameSite(self.host.clone());
            let pages = Arc::clone(view) as Arc<dyn Pages>;
            self.server.start(listeners, endpoint, (access, None), pages)?;
        }
        Ok(())
    }

    async fn stop(&self) {
        self.server.stop().await;
    }
}

impl Pages for View {
    fn page(&self, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
        let path = if uri.path() == "/" { "/debug/servicez" } else { uri.path() };
        let Some((name, _, show)) = PAGES.iter().find(|(_, known, _)| *known == path) else {
            let known: Vec<_> = PAGES.iter().map(|(_, known, _)| *known).collect();
            let message = format!("there is no `{path}` here, but: {}\n", known.join(", "));
            return text(StatusCode::NOT_FOUND, message);
        };
        let document = show(self);
        if wants_json(uri, headers) {
            return json(StatusCode::OK, &document);
        }
        let links: Vec<_> = PAGES.iter().map(|(name, path, _)| (*name, *path)).collect();
        html_response(StatusCode::OK, html::page(name, &links, &document))
    }
}

fn wants_json(uri: &Uri, headers: &HeaderMap) -> bool {
    let asked = uri.query().unwrap_or_default().split('&').any(|pair| pair == "format=json");
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    asked || accept.starts_with("application/json")
}
