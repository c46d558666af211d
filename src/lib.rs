//! Catchment, an observability pipeline agent.
//!
//! Layers, imports point down only: `cli`, `app` over `components`, `api`, `testing` over
//! `receivers`, `processors`, `connectors`, `exporters`, `extensions`, `topology`, `query` over
//! `actions`, `codec`, `component`, `matching`, `net`, `ottl`, `sampling`, `series`, `storage`,
//! `workload` over `config`, `telemetry` over `data`.

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::float_cmp,
        clippy::string_slice,
        clippy::too_many_lines,
        reason = "tests state exact values"
    )
)]

pub mod actions;
pub mod api;
pub mod app;
pub mod cli;
pub mod codec;
pub mod component;
pub mod components;
pub mod config;
pub mod connectors;
pub mod data;
pub mod exporters;
pub mod extensions;
pub mod matching;
pub mod net;
pub mod ottl;
pub mod processors;
pub mod query;
pub mod receivers;
pub mod sampling;
pub mod series;
pub mod storage;
pub mod telemetry;
pub mod testing;
pub mod topology;
pub mod workload;
