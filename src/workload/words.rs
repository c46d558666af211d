//! The words that made-up telemetry is made of.

use rand::rngs::SmallRng;

use super::draft::{Draft, settled};
use crate::data::Value;

/// A service and what it is written in.
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) language: &'static str,
    pub(super) library: &'static str,
    pub(super) version: &'static str,
}

const fn service(
    name: &'static str,
    language: &'static str,
    library: &'static str,
    version: &'static str,
) -> Service {
    Service { name, language, library, version }
}

/// The services of a shop.
pub(super) const SERVICES: [Service; 12] = [
    service("checkout", "go", "go.opentelemetry.io/contrib/otelgrpc", "0.63.0"),
    service("cart", "dotnet", "OpenTelemetry.Instrumentation.AspNetCore", "1.12.0"),
    service("payment", "nodejs", "@opentelemetry/instrumentation-grpc", "0.203.0"),
    service("frontend", "nodejs", "@opentelemetry/instrumentation-http", "0.203.0"),
    service("shipping", "rust", "opentelemetry-instrumentation-actix", "0.22.1"),
    service("recommendation", "python", "opentelemetry.instrumentation.flask", "0.57b0"),
    service("product-catalog", "go", "go.opentelemetry.io/contrib/otelhttp", "0.63.0"),
    service("email", "ruby", "OpenTelemetry::Instrumentation::Sinatra", "0.25.4"),
    service("currency", "cpp", "currency.instrumentation", "1.4.0"),
    service("fraud-detection", "java", "io.opentelemetry.kafka-clients-2.6", "2.18.1"),
    service("accounting", "dotnet", "Accounting.Consumer", "2.1.0"),
    service("quote", "php", "io.opentelemetry.contrib.php.slim", "1.2.0"),
];

/// HTTP methods, as often as they come.
pub(super) const METHODS: [&str; 8] = ["GET", "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE"];

/// Routes.
pub(super) const ROUTES: [&str; 10] = [
    "/api/products/{id}",
    "/api/cart",
    "/api/cart/{user}/items",
    "/api/checkout",
    "/api/recommendations",
    "/api/currency/convert",
    "/api/orders/{id}/status",
    "/api/shipping/quote",
    "/healthz",
    "/api/data/search",
];

/// Writes a resource: what stays the same over a run.
pub(super) fn write_resource(resource: &mut Draft, service: &Service, random: &mut SmallRng) {
    let pod = settled(&format!("{}-~~~~~~~~~-~~~~~", service.name), random);
    let instance = settled("~~~~~~~~-~~~~-4~~~-a~~~-~~~~~~~~~~~~", random);
    let node = settled("ip-10-0-##-1##.eu-central-1.compute.internal", random);
    let attributes = [
        ("service.name", service.name),
        ("service.namespace", "shop"),
        ("service.version", "2.14.3"),
        ("service.instance.id", &instance),
        ("deployment.environment.name", "production"),
        ("k8s.cluster.name", "shop-eu-1"),
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.name", &pod),
        ("k8s.node.name", &node),
        ("telemetry.sdk.language", service.language),
    ];
    for (key, value) in attributes {
        resource.constant(1, key, Value::Str(value));
    }
}

/// Writes the scope of a service's records.
pub(super) fn write_scope(scope: &mut Draft, service: &Service) {
    scope.writer().str_field(1, service.library);
    scope.writer().str_field(2, service.version);
}
