//! What is stored of a request beside its message: where it came in and who sent it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::codec::inflate::{Encoding, inflate};
use crate::component::Cause;
use crate::data::{Context, Time};

/// What is known of a request, as JSON in its entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The receiver that took it in.
    pub(super) receiver: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, Vec<String>>,
    /// How the message is compressed, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
}

/// Inflates the message of an entry that was stored as it came; `origin` is the entry's.
///
/// # Errors
///
/// Fails when it is not what the entry says.
pub fn plain_body(origin: &[u8], body: Bytes) -> Result<Bytes, Cause> {
    let origin: Origin = serde_json::from_slice(origin)?;
    origin.plain(body)
}

impl Origin {
    pub(super) fn new(receiver: &str, context: &Context, encoding: Option<&str>) -> Self {
        let Context { tenant, peer, identity, metadata, .. } = context;
        Self {
            receiver: receiver.to_owned(),
            tenant: tenant.as_deref().map(str::to_owned),
            peer: *peer,
            identity: identity.as_deref().map(str::to_owned),
            metadata: metadata.clone(),
            encoding: encoding.map(str::to_owned),
        }
    }

    /// The message of its entry, inflated.
    pub(super) fn plain(&self, body: Bytes) -> Result<Bytes, Cause> {
        let Some(name) = &self.encoding else { return Ok(body) };
        let encoding = Encoding::from_name(name).ok_or_else(|| {
            format!("its message is compressed as `{name}`, which this version does not know")
        })?;
        // Whoever took it in saw to its size.
        let all = &mut |_| Ok::<_, Infallible>(());
        Ok(inflate(encoding, &body, usize::MAX, all)?)
    }

    /// Whose requests are known again: what comes to another receiver, goes another way.
    pub(super) fn owner(&self) -> Vec<u8> {
        let tenant = self.tenant.as_deref().unwrap_or_default();
        [self.receiver.as_bytes(), &[0], tenant.as_bytes()].concat()
    }

    /// The context of what `arrived` then and is done with on these routes.
    pub(super) fn context(self, arrived: Time, done: Vec<Arc<str>>) -> Context {
        let Self { tenant, peer, identity, metadata, .. } = self;
        let (tenant, identity) = (tenant.map(Into::into), identity.map(Into::into));
        Context { tenant, peer, identity, metadata, arrived, done: done.into() }
    }
}
