//! The `otlp` receiver from outside: an engine is started from a file and spoken to over TCP.
//!
//! Every test ends with [`otlp::agent::Agent::stop`], which asserts that the ledger balances and
//! that no memory is charged any more.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::too_many_lines,
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    reason = "tests"
)]

mod otlp {
    mod agent;
    mod attacks;
    mod client;
    mod compression;
    mod connections;
    mod downstream;
    mod exporting;
    mod frames;
    mod grpc;
    mod http;
    mod journal;
    mod json;
    mod limits;
    mod pressure;
    mod records;
    mod reload;
    mod rpc;
    mod security;
}
