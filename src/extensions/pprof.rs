//! Extension `pprof`: accepted, so that Collector files run; profiles are not made.
//!
//! The crates that take CPU profiles in this format run code in signal handlers that can deadlock
//! with an allocator; until there is one to rely on, every path answers 501 and says what to use.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, Response, StatusCode, Uri};
use serde::Deserialize;

use super::pages::{Access, PageServer, Pages};
use crate::component::{
    BuildError, Endpoint, Extension, ExtensionConfig, Host, Listeners, RunError,
};
use crate::config::{self, Refused};
use crate::net::{Body, text};

/// What every path answers.
const ANSWER: &str = "profiles are not made by the agent itself: use `perf record -g -p <pid>` on \
                      its process\n";

/// Settings of `pprof`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PprofConfig {
    /// Where to listen; default `localhost:1777`.
    pub endpoint: config::Endpoint,
    /// Taken for the sake of Collector files: it is about Go's runtime.
    pub block_profile_fraction: i64,
    /// As `block_profile_fraction`.
    pub mutex_profile_fraction: i64,
    /// Profiles in files are not supported.
    pub save_to_file: Refused,
}

impl Default for PprofConfig {
    fn default() -> Self {
        Self {
            endpoint: config::Endpoint::localhost(1777),
            block_profile_fraction: 0,
            mutex_profile_fraction: 0,
            save_to_file: Refused,
        }
    }
}

impl ExtensionConfig for PprofConfig {
    const TYPE: &'static str = "pprof";
    const EXAMPLE: &'static str = "endpoint: localhost:1777\n";

    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint::tcp(self.endpoint.to_string(), false)]
    }

    fn build(&self, _host: &Host) -> Result<Arc<dyn Extension>, BuildError> {
        Ok(Arc::new(Pprof {
            host: self.endpoint.host().to_owned(),
            endpoints: self.endpoints(),
            server: PageServer::default(),
        }))
    }
}

struct Pprof {
    host: String,
    endpoints: Vec<Endpoint>,
    server: PageServer,
}

#[async_trait]
impl Extension for Pprof {
    async fn start(&self, listeners: &Listeners, _host: &Host) -> Result<(), RunError> {
        for endpoint in &self.endpoints {
            let access = Access::SameSite(self.host.clone());
            self.server.start(listeners, endpoint, (access, None), Arc::new(NoProfiles))?;
        }
        Ok(())
    }

    async fn stop(&self) {
        self.server.stop().await;
    }
}

struct NoProfiles;

impl Pages for NoProfiles {
    fn page(&self, _uri: &Uri, _headers: &HeaderMap) -> Response<Body> {
        text(StatusCode::NOT_IMPLEMENTED, ANSWER)
    }
}
