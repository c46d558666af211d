//! The exporter's settings, and building it from them.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::super::client_settings::{
    CompressionParams, HttpClientSettings, authenticator, header_map,
};
use super::exporter::{Encoding, HttpExporter};
use crate::codec::compress::Compression;
use crate::component::{BuildContext, BuildError, DriverSettings, Exporter, ExporterConfig};
use crate::config::{HttpUrl, Refused};
use crate::data::Signal;

/// Settings of `otlphttp`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpHttpConfig {
    /// Where to, without the path of the signal, which is put behind it.
    pub endpoint: Option<HttpUrl>,
    /// Where to for traces, with the path.
    pub traces_endpoint: Option<HttpUrl>,
    /// Where to for metrics, with the path.
    pub metrics_endpoint: Option<HttpUrl>,
    /// Where to for logs, with the path.
    pub logs_endpoint: Option<HttpUrl>,
    /// Profiles are not supported.
    pub profiles_endpoint: Refused,
    /// How bodies are encoded; default `proto`.
    pub encoding: Encoding,
    /// How bodies are compressed; default gzip.
    pub compression: Compression,
    /// How hard.
    pub compression_params: CompressionParams,
    /// The HTTP client; its keys stand beside the others.
    pub client: HttpClientSettings,
}

impl ExporterConfig for OtlpHttpConfig {
    const TYPE: &'static str = "otlphttp";
    const ALIASES: &'static [&'static str] = &["otlp_http"];
    const EXAMPLE: &'static str = "endpoint: http://localhost:4318\n";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const IS_SPOOLED: bool = true;
    const SPLIT: &'static [(&'static str, &'static [&'static str])] =
        &[("client", HttpClientSettings::KEYS)];

    fn driver_defaults() -> DriverSettings {
        DriverSettings { timeout: Duration::from_secs(30), ..DriverSettings::default() }
    }

    fn build(&self, context: &BuildContext) -> Result<Arc<dyn Exporter>, BuildError> {
        let level = self.compression_params.level(self.compression)?;
        let user = header_map(&self.client.headers)?;
        Ok(Arc::new(HttpExporter {
            client: self.client.client()?,
            uri: self.url(context.signal)?.uri().clone(),
            headers: HttpExporter::headers(user, self.encoding, self.compression),
            auth: authenticator(self.client.auth.as_ref(), context)?,
            compression: (self.compression, level),
            encoding: self.encoding,
            clock: context.host.clock.clone(),
        }))
    }
}

impl OtlpHttpConfig {
    fn url(&self, signal: Signal) -> Result<HttpUrl, BuildError> {
        let own = match signal {
            Signal::Logs => &self.logs_endpoint,
            Signal::Traces => &self.traces_endpoint,
            Signal::Metrics => &self.metrics_endpoint,
        };
        if let Some(url) = own {
            return Ok(url.clone());
        }
        let signal = signal.as_str();
        let Some(base) = &self.endpoint else {
            let message = format!("neither `endpoint` nor `{signal}_endpoint` is set");
            return Err(BuildError::setting(message));
        };
        base.join(&format!("v1/{signal}")).map_err(|error| BuildError::Cause {
            what: "cannot use `endpoint`",
            source: error.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_the_signal_is_put_behind_the_endpoint_only() {
        let config = OtlpHttpConfig {
            endpoint: Some("https://host/otlp/".parse().unwrap()),
            logs_endpoint: Some("http://other/own".parse().unwrap()),
            ..OtlpHttpConfig::default()
        };
        let url = |signal| config.url(signal).unwrap().to_string();
        assert_eq!(url(Signal::Traces), "https://host/otlp/v1/traces");
        assert_eq!(url(Signal::Logs), "http://other/own");
        let error = OtlpHttpConfig::default().url(Signal::Metrics).unwrap_err();
        assert_eq!(error.to_string(), "neither `endpoint` nor `metrics_endpoint` is set");
    }
}
