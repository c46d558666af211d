//! HTTP servers.

use serde::Deserialize;

/// Which pages in browsers may send.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Origins, with `*` for any text.
    pub allowed_origins: Vec<String>,
    /// Headers besides the usual ones; `*`: any.
    pub allowed_headers: Vec<String>,
    /// Headers of responses that pages may read.
    pub exposed_headers: Vec<String>,
    /// Seconds for which browsers may remember the answer; 0: their default.
    pub max_age: u64,
}
