//! What is stored of a request beside its message: where it came in and who sent it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

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
}

impl Origin {
    pub(super) fn new(receiver: &str, context: &Context) -> Self {
        let Context { tenant, peer, identity, metadata, .. } = context;
        Self {
            receiver: receiver.to_owned(),
            tenant: tenant.as_deref().map(str::to_owned),
            peer: *peer,
            identity: identity.as_deref().map(str::to_owned),
            metadata: metadata.clone(),
        }
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
