//! Conditions, compiled.

use serde::Deserialize;

use super::attributes::AttributeMatcher;
use super::settings::{AttributeMatch, MatchSettings, MatchType, SeverityMatch};
use super::texts::Texts;
use crate::data::{LogRecord, Metric, Resource, Scope, Signal, Span};

/// Span kinds by their numbers, as the protocol calls them.
const SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
/// What `services` are compared with where a resource has no name of a service.
const NO_SERVICE: &str = "<nil-service-name>";

/// Why conditions cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MatchError {
    /// It is not said how texts are compared.
    #[error("`{field}` needs `match_type`: `strict` or `regexp`")]
    NoMatchType {
        /// The condition.
        field: &'static str,
    },
    /// A regular expression is wrong.
    #[error("`{field}`: {reason}")]
    Expression {
        /// The condition.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// An attribute has no name.
    #[error("`{field}`: `key` is empty")]
    EmptyKey {
        /// The condition.
        field: &'static str,
    },
    /// An expression is not text.
    #[error("`{field}`: with `match_type: regexp` the value of `{key}` must be text")]
    NotText {
        /// The condition.
        field: &'static str,
        /// The attribute.
        key: String,
    },
    /// There is no such kind of spans.
    #[error(
        "`span_kinds`: `{kind}` is none of `SPAN_KIND_INTERNAL`, `SPAN_KIND_SERVER`, \
         `SPAN_KIND_CLIENT`, `SPAN_KIND_PRODUCER`, `SPAN_KIND_CONSUMER`"
    )]
    SpanKind {
        /// What is written.
        kind: String,
    },
    /// A condition is for other signals.
    #[error("`{field}` is no condition for {}", signal.as_str())]
    NotForSignal {
        /// The condition.
        field: &'static str,
        /// What the stage is used for.
        signal: Signal,
    },
    /// There is no condition.
    #[error("no condition for {}: one of {expected} is needed", signal.as_str())]
    Nothing {
        /// What the stage is used for.
        signal: Signal,
        /// What could be there.
        expected: &'static str,
    },
}

impl MatchError {
    /// The same about conditions that are called otherwise in the file: pairs of the name here and
    /// the name there.
    #[must_use]
    pub fn with_names(mut self, names: &[(&'static str, &'static str)]) -> Self {
        if let Self::NoMatchType { field }
        | Self::Expression { field, .. }
        | Self::EmptyKey { field }
        | Self::NotText { field, .. } = &mut self
            && let Some((_, name)) = names.iter().find(|(known, _)| known == field)
        {
            *field = name;
        }
        self
    }
}

/// Conditions that a record must fulfil, all of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "MatchSettings")]
pub struct Matcher {
    services: Option<Texts>,
    span_names: Option<Texts>,
    /// By the kind's number.
    span_kinds: Option<[bool; SPAN_KINDS.len()]>,
    log_bodies: Option<Texts>,
    log_severity_texts: Option<Texts>,
    log_severity_number: Option<SeverityMatch>,
    metric_names: Option<Texts>,
    attributes: Vec<AttributeMatcher>,
    resources: Vec<AttributeMatcher>,
    /// Name and version.
    libraries: Vec<(Option<Texts>, Option<Texts>)>,
}

impl TryFrom<MatchSettings> for Matcher {
    type Error = MatchError;

    fn try_from(settings: MatchSettings) -> Result<Self, MatchError> {
        let match_type = settings.match_type;
        let texts = |field, texts: &[String]| Texts::try_new(field, match_type, texts);
        let mut libraries = Vec::new();
        for library in &settings.libraries {
            let name = texts("libraries", std::slice::from_ref(&library.name))?;
            let version = match &library.version {
                Some(version) => texts("libraries", std::slice::from_ref(version))?,
                None => None,
            };
            libraries.push((name, version));
        }
        Ok(Self {
            services: texts("services", &settings.services)?,
            span_names: texts("span_names", &settings.span_names)?,
            span_kinds: span_kinds(match_type, &settings.span_kinds)?,
            log_bodies: texts("log_bodies", &settings.log_bodies)?,
            log_severity_texts: texts("log_severity_texts", &settings.log_severity_texts)?,
            log_severity_number: settings.log_severity_number,
            metric_names: texts("metric_names", &settings.metric_names)?,
            attributes: attributes("attributes", match_type, &settings.attributes)?,
            resources: attributes("resources", match_type, &settings.resources)?,
            libraries,
        })
    }
}

impl Matcher {
    /// Checks that there are conditions, and only such as records of `signal` can be asked.
    ///
    /// # Errors
    ///
    /// Fails when there are none, or others.
    pub fn check(&self, signal: Signal) -> Result<(), MatchError> {
        use Signal::{Logs, Metrics, Traces};
        let fields: [(&'static str, bool, &[Signal]); 10] = [
            ("services", self.services.is_some(), &[Traces]),
            ("span_names", self.span_names.is_some(), &[Traces]),
            ("span_kinds", self.span_kinds.is_some(), &[Traces]),
            ("log_bodies", self.log_bodies.is_some(), &[Logs]),
            ("log_severity_texts", self.log_severity_texts.is_some(), &[Logs]),
            ("log_severity_number", self.log_severity_number.is_some(), &[Logs]),
            ("metric_names", self.metric_names.is_some(), &[Metrics]),
            ("attributes", !self.attributes.is_empty(), &[Logs, Traces]),
            ("resources", !self.resources.is_empty(), &[Logs, Traces, Metrics]),
            ("libraries", !self.libraries.is_empty(), &[Logs, Traces]),
        ];
        let mut is_empty = true;
        for (field, is_there, signals) in fields {
            if is_there && !signals.contains(&signal) {
                return Err(MatchError::NotForSignal { field, signal });
            }
            is_empty &= !is_there;
        }
        if !is_empty {
            return Ok(());
        }
        let expected = match signal {
            Logs => {
                "`log_bodies`, `log_severity_texts`, `log_severity_number`, `attributes`, \
                 `resources`, `libraries`"
            }
            Traces => {
                "`services`, `span_names`, `span_kinds`, `attributes`, `resources`, `libraries`"
            }
            Metrics => "`metric_names`, `resources`",
        };
        Err(MatchError::Nothing { signal, expected })
    }

    /// Whether the conditions on what records share hold.
    pub(super) fn is_group_match(&self, resource: Resource<'_>, scope: Scope<'_>) -> bool {
        let is_library = |(name, version): &(Option<Texts>, Option<Texts>)| {
            is_match(name.as_ref(), || scope.name())
                && is_match(version.as_ref(), || scope.version())
        };
        self.is_service_match(resource)
            && self.libraries.iter().all(is_library)
            && self.resources.iter().all(|wanted| wanted.is_match(resource.attributes()))
    }

    /// Whether the conditions on a log record alone hold.
    pub(super) fn is_log_match(&self, record: LogRecord<'_>) -> bool {
        if let Some(wanted) = self.log_severity_number {
            let number = record.severity_number();
            let is_match = if number == 0 { wanted.match_undefined } else { number >= wanted.min };
            if !is_match {
                return false;
            }
        }
        is_match(self.log_severity_texts.as_ref(), || record.severity_text())
            && self.log_bodies.as_ref().is_none_or(|texts| texts.is_match(&record.body().to_text()))
            && self.attributes.iter().all(|wanted| wanted.is_match(record.attributes()))
    }

    /// Whether the conditions on a span alone hold.
    pub(super) fn is_span_match(&self, span: Span<'_>) -> bool {
        let is_kind = |kinds: &[bool; SPAN_KINDS.len()]| {
            usize::try_from(span.kind()).ok().and_then(|kind| kinds.get(kind)) == Some(&true)
        };
        self.span_kinds.as_ref().is_none_or(is_kind)
            && is_match(self.span_names.as_ref(), || span.name())
            && self.attributes.iter().all(|wanted| wanted.is_match(span.attributes()))
    }

    /// Whether the conditions on a metric alone hold.
    pub(super) fn is_metric_match(&self, metric: Metric<'_>) -> bool {
        is_match(self.metric_names.as_ref(), || metric.name())
    }

    fn is_service_match(&self, resource: Resource<'_>) -> bool {
        let Some(services) = &self.services else { return true };
        match resource.attributes().get("service.name") {
            Some(name) => services.is_match(&name.to_text()),
            None => services.is_match(NO_SERVICE),
        }
    }
}

/// Whether there is no condition or it holds.
#[inline]
fn is_match<'a>(texts: Option<&Texts>, text: impl FnOnce() -> &'a str) -> bool {
    texts.is_none_or(|texts| texts.is_match(text()))
}

fn attributes(
    field: &'static str,
    match_type: Option<MatchType>,
    settings: &[AttributeMatch],
) -> Result<Vec<AttributeMatcher>, MatchError> {
    settings
        .iter()
        .map(|attribute| AttributeMatcher::try_new(field, match_type, attribute))
        .collect()
}

fn span_kinds(
    match_type: Option<MatchType>,
    kinds: &[String],
) -> Result<Option<[bool; SPAN_KINDS.len()]>, MatchError> {
    let known = SPAN_KINDS.get(1..).unwrap_or_default();
    let wrong = kinds.iter().find(|kind| !known.contains(&kind.as_str()));
    if match_type == Some(MatchType::Strict)
        && let Some(kind) = wrong
    {
        return Err(MatchError::SpanKind { kind: kind.clone() });
    }
    let texts = Texts::try_new("span_kinds", match_type, kinds)?;
    Ok(texts.map(|texts| SPAN_KINDS.map(|kind| texts.is_match(kind))))
}
