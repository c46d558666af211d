//! Asks a running agent.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use tokio::time::timeout;

use super::arguments::Search;
use super::failure::{Failure, refused};
use crate::config::ClientTls;
use crate::net::{BodyLimits, ClientTlsConfig, Connector, read_body};

const AGENT: &str = concat!("catchment-search/", env!("CARGO_PKG_VERSION"));

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A search may take 30 s, and may wait for two others.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// The agent sends something every 15 s.
const SILENCE: Duration = Duration::from_secs(60);

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 30;

/// A running agent.
pub(super) struct Agent {
    connector: Connector,
    url: Uri,
    headers: HeaderMap,
}

impl Agent {
    /// The agent that the arguments name.
    pub(super) fn try_new(arguments: &Search) -> anyhow::Result<Self> {
        let given = arguments.url.trim_end_matches('/');
        let full = match given.contains("://") {
            true => given.to_owned(),
            false => format!("http://{given}"),
        };
        let url: Uri = full.parse().with_context(|| format!("`{given}` is not a URL"))?;
        let Some(authority) = url.authority().filter(|_| url.query().is_none()) else {
            bail!("`{given}` is not a URL such as `http://localhost:3100`");
        };
        if authority.as_str().contains('@') {
            bail!("a URL cannot have credentials; use `--header authorization=…`");
        }
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(HOST, authority.as_str().parse().context("the URL cannot be a header")?);
        headers.extend(arguments.headers.iter().cloned());
        let tls = match url.scheme() == Some(&Scheme::HTTPS) {
            true => {
                let ca_file = arguments.tls_ca.clone();
                let settings = ClientTls { ca_file, ..ClientTls::default() };
                Some(Arc::new(ClientTlsConfig::try_new(&settings, &["http/1.1"])?))
            }
            false => None,
        };
        Ok(Self { connector: Connector::new(tls, CONNECT_TIMEOUT), url, headers })
    }

    /// Asks for `/api/v1/logs/{what}?{parameters}`; `query` is the one that stands in them.
    pub(super) async fn answer(
        &self,
        what: &str,
        parameters: &str,
        query: &str,
    ) -> Result<Bytes, Failure> {
        let exchange = async {
            let body = self.get(what, parameters, query).await?;
            whole(body).await
        };
        match timeout(ANSWER_TIMEOUT, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Lost(anyhow!(
                "`{self}` did not answer in {} s",
                ANSWER_TIMEOUT.as_secs()
            ))),
        }
    }

    /// Opens the tail of what comes in.
    pub(super) async fn tail(&self, parameters: &str, query: &str) -> Result<Tail, Failure> {
        let body = self.get("tail", parameters, query).await?;
        Ok(Tail { body, pending: Vec::new() })
    }

    /// The body of the answer, if that is one of success.
    async fn get(&self, what: &str, parameters: &str, query: &str) -> Result<Incoming, Failure> {
        let base = self.url.path().trim_end_matches('/');
        let target = format!("{base}/api/v1/logs/{what}?{parameters}");
        let mut request = Request::get(target)
            .body(Empty::<Bytes>::new())
            .context("the URL is too long or has characters that it cannot")?;
        *request.headers_mut() = self.headers.clone();
        let lost = |error: anyhow::Error| Failure::Lost(error.context(self.is_it_there()));
        let stream = self.connector.clone().connect(self.url.clone()).await;
        let stream = stream.map_err(|error| lost(error.into()))?;
        let (mut sender, driver) =
            http1::handshake(stream).await.map_err(|error| lost(error.into()))?;
        // It ends with the connection; what goes wrong shows in the answer.
        tokio::spawn(driver);
        let (head, body) = match timeout(ANSWER_TIMEOUT, sender.send_request(request)).await {
            Ok(response) => response.map_err(|error| lost(error.into()))?.into_parts(),
            Err(_) => return Err(lost(anyhow!("no answer in {} s", ANSWER_TIMEOUT.as_secs()))),
        };
        if head.status != StatusCode::OK {
            let body = whole(body).await?;
            return Err(refused(&self.to_string(), query, head.status, &body));
        }
        Ok(body)
    }

    fn is_it_there(&self) -> String {
        format!(
            "no agent answers at `{self}`; is it running with `service::api` there? `--url` names \
             another, `--dir` reads the files of a stopped one"
        )
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.url.to_string().trim_end_matches('/'))
    }
}

async fn whole(body: Incoming) -> Result<Bytes, Failure> {
    let limits = BodyLimits { max_bytes: MAX_ANSWER_BYTES, ..BodyLimits::default() };
    let read = read_body(body, &limits, |_| Ok::<_, Infallible>(())).await;
    read.map_err(|error| Failure::Lost(error.into()))
}

/// The tail of what comes in.
pub(super) struct Tail {
    body: Incoming,
    /// The line that is not whole yet.
    pending: Vec<u8>,
}

impl Tail {
    /// The lines that came next, without empty ones; nothing when the agent ended it.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Failure> {
        let lost = |error: anyhow::Error| Failure::Lost(error);
        loop {
            let frame = match timeout(SILENCE, self.body.frame()).await {
                Err(_) => return Err(lost(anyhow!("the agent is silent"))),
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => frame.map_err(|error| lost(error.into()))?,
            };
            let Ok(data) = frame.into_data() else { continue };
            self.pending.extend_from_slice(&data);
            if self.pending.len() > MAX_ANSWER_BYTES {
                return Err(anyhow!("a line is longer than {MAX_ANSWER_BYTES} bytes").into());
            }
            let Some(end) = data.iter().rposition(|byte| *byte == b'\n') else { continue };
            let whole = self.pending.len() - data.len() + end + 1;
            let rest = self.pending.split_off(whole);
            let lines = std::mem::replace(&mut self.pending, rest);
            let lines = String::from_utf8(lines).context("the agent sent what is not UTF-8")?;
            if !lines.trim().is_empty() {
                return Ok(Some(lines));
            }
        }
    }
}
