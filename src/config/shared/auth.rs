//! The `auth:` block.

use serde::Deserialize;

use super::super::ComponentId;

/// Which extension authenticates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthRef {
    /// The id of an extension that is listed in `service::extensions`.
    pub authenticator: ComponentId,
}
