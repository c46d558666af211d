//! The HTTP surface: search over the log indexes, and the agent's own metrics.
//!
//! | path | what | where |
//! |---|---|---|
//! | `GET /api/v1/logs/search` | finds log records | `service::api` |
//! | `GET /api/v1/logs/histogram` | counts records over time | `service::api` |
//! | `GET /api/v1/logs/fields` | names of fields | `service::api` |
//! | `GET /api/v1/logs/fields/{name}/values` | values of a field | `service::api` |
//! | `GET /api/v1/logs/tail` | streams new records | `service::api` |
//! | `GET /api/v1/openapi.json` | describes these | `service::api` |
//! | `GET /metrics` | the agent's own metrics, Prometheus text | `service::telemetry::metrics` |
//! | `POST /-/reload` | reads the configuration again | `service::api` |
//! | `GET /debug/ledger` | the accounts of records | both |

mod own;
mod params;
mod record;
mod records;
mod reload;
mod search;
mod server;
mod tail;
mod times;

pub use params::ApiError;
pub use records::{FindError, find};
pub use reload::{AskReload, Reloaded};
pub use server::{ServeError, Servers, Sources, serve};
pub use times::{EXPECTED as EXPECTED_TIME, parse as parse_time, show as show_time};

#[cfg(test)]
mod tests;
