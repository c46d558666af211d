//! The HTTP surface: search over the log indexes, and the agent's own metrics.
//!
//! | path | what | where |
//! |---|---|---|
//! | `GET /api/v1/logs/search` | finds log records | `service::api` |
//! | `GET /metrics` | the agent's own metrics, Prometheus text | `service::telemetry::metrics` |
//! | `GET /debug/ledger` | the accounts of records | both |

mod own;
mod params;
mod record;
mod search;
mod server;
mod times;

pub use server::{ServeError, Servers, Sources, serve};

#[cfg(test)]
mod tests;
