//! The component types that a file may name: one line each.

use crate::component::Registry;
use crate::{connectors, exporters, extensions, processors, receivers};

/// All component types.
#[must_use]
pub fn builtin() -> Registry {
    Registry::default()
        .receiver::<receivers::demo::DemoConfig>()
        .receiver::<receivers::otlp::Config>()
        .exporter::<exporters::debug::DebugConfig>()
        .exporter::<exporters::logindex::LogIndexConfig>()
        .exporter::<exporters::nop::NopConfig>()
        .exporter::<exporters::otlp::OtlpConfig>()
        .exporter::<exporters::otlphttp::OtlpHttpConfig>()
        .exporter::<exporters::parquet::ParquetConfig>()
        .exporter::<exporters::prometheusremotewrite::RemoteWriteConfig>()
        .processor::<processors::attributes::AttributesConfig>()
        .processor::<processors::batch::BatchConfig>()
        .processor::<processors::deltatocumulative::DeltaToCumulativeConfig>()
        .processor::<processors::filter::FilterConfig>()
        .processor::<processors::memory_limiter::MemoryLimiterConfig>()
        .processor::<processors::probabilistic_sampler::SamplerConfig>()
        .processor::<processors::redaction::RedactionConfig>()
        .processor::<processors::resource::ResourceConfig>()
        .processor::<processors::transform::TransformConfig>()
        .connector::<connectors::count::CountConfig>()
        .connector::<connectors::forward::ForwardConfig>()
        .connector::<connectors::routing::RoutingConfig>()
        .extension::<extensions::basicauth::BasicAuthConfig>()
        .extension::<extensions::bearertokenauth::BearerTokenAuthConfig>()
        .extension::<extensions::journal::FileStorageConfig>()
        .extension::<extensions::health_check::HealthCheckConfig>()
        .extension::<extensions::journal::JournalConfig>()
        .extension::<extensions::pprof::PprofConfig>()
        .extension::<extensions::zpages::ZpagesConfig>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Node, render};

    #[test]
    fn every_example_is_read() {
        let registry = builtin();
        let mut examples = Vec::new();
        for (name, registered) in &registry.receivers {
            let node = Node::parse(name, registered.example).unwrap();
            examples.push((name, registered.load(&node, name).map(drop)));
        }
        for (name, registered) in &registry.exporters {
            let mut node = Node::parse(name, registered.example).unwrap();
            let _ = node.take_off(registered.driver_keys);
            examples.push((name, registered.load(&node, name).map(drop)));
        }
        for (name, registered) in &registry.processors {
            let node = Node::parse(name, registered.example).unwrap();
            examples.push((name, registered.load(&node, name).map(drop)));
        }
        for (name, registered) in &registry.connectors {
            let node = Node::parse(name, registered.example).unwrap();
            examples.push((name, registered.load(&node, name).map(drop)));
        }
        for (name, registered) in &registry.extensions {
            let node = Node::parse(name, registered.example).unwrap();
            examples.push((name, registered.load(&node, name).map(drop)));
        }
        for (name, read) in examples {
            assert!(read.is_ok(), "{name}: {}", render(&read.unwrap_err()));
        }
    }
}
