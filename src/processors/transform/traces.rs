//! The editor that names spans as the semantic conventions do.
//!
//! Names: <https://opentelemetry.io/docs/specs/semconv/http/http-spans/#name>,
//! <https://opentelemetry.io/docs/specs/semconv/rpc/rpc-spans/#span-name>,
//! <https://opentelemetry.io/docs/specs/semconv/db/database-spans/#name>,
//! <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/#span-name>. Older names of
//! attributes are taken where the Collector takes them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::data::wire::{self, Writer};
use crate::data::{Attributes, Value};
use crate::ottl::{
    Context, EditArgs, EvalError, Function, Functions, Kind, Prepared, Scene, editor, needed,
    optional,
};

/// What statements about spans can call.
pub(super) const FUNCTIONS: Functions = Functions::with(&[&[editor(
    "set_semconv_span_name",
    &[
        needed("semconvVersion", Kind::Prepared(version)),
        optional("originalSpanNameAttribute", Kind::Prepared(attribute)),
    ],
    set_semconv_span_name,
)] as &[Function]]);

/// The versions of the conventions by which spans can be named: the Collector's.
const VERSIONS: [[u64; 3]; 2] = [[1, 37, 0], [1, 43, 0]];
/// Numbers of a span's fields.
const NAME: u32 = 5;
const KIND: u32 = 6;
const ATTRIBUTES: u32 = 9;
/// Kinds of spans.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const PRODUCER: u64 = 4;
const CONSUMER: u64 = 5;

fn version(text: &str) -> Result<Prepared, String> {
    let numbers: Vec<Option<u64>> =
        text.trim_start_matches('v').split('.').map(|part| part.parse().ok()).collect();
    let number = |index: usize| numbers.get(index).copied().unwrap_or(Some(0));
    let [Some(major), Some(minor), Some(patch)] = [number(0), number(1), number(2)] else {
        return Err(format!("`{text}` is no version, such as 1.37.0"));
    };
    let [least, greatest] = VERSIONS;
    if numbers.len() > 3 || !(least..=greatest).contains(&[major, minor, patch]) {
        return Err("the version of the semantic conventions is 1.37.0 to 1.43.0".to_owned());
    }
    Ok(Arc::new(()))
}

fn attribute(text: &str) -> Result<Prepared, String> {
    match text {
        "" => Err("the attribute for the name before has no name".to_owned()),
        _ => Ok(Arc::new(text.to_owned())),
    }
}

fn set_semconv_span_name(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    args.prepared::<()>(0, scene)?;
    let kept = match args.is_given(1) {
        true => Some(args.prepared::<String>(1, scene)?),
        false => None,
    };
    let span = scene.slot(Context::Span).bytes();
    let old = wire::payload(span, NAME).unwrap_or_default();
    let Some(new) = Named(Attributes::of_message(span, ATTRIBUTES)).name(kind(span)) else {
        return Ok(());
    };
    if new.as_bytes() == old {
        return Ok(());
    }
    let (mut name, mut before) = (Writer::default(), Writer::default());
    name.str_field(NAME, &new);
    Value::Str(&String::from_utf8_lossy(old)).write(&mut before);
    let slot = scene.slot_mut(Context::Span);
    slot.set_field(NAME, name.as_slice());
    if let Some(key) = kept {
        slot.set_attribute(ATTRIBUTES, &key, before.as_slice(), &mut name);
    }
    Ok(())
}

fn kind(span: &[u8]) -> u64 {
    wire::number(span, KIND).unwrap_or_default()
}

/// What a span is named by.
struct Named<'a>(Attributes<'a>);

impl<'a> Named<'a> {
    /// The name of a span of a kind, if the conventions say anything about it. What is empty does not count.
    fn name(&self, kind: u64) -> Option<String> {
        let names: &[fn(&Self) -> Option<String>] = match kind {
            SERVER => &[|span| span.http("http.route"), Self::rpc, Self::messaging],
            CLIENT => {
                &[|span| span.http("url.template"), Self::rpc, Self::database, Self::messaging]
            }
            PRODUCER | CONSUMER => &[Self::messaging],
            _ => &[],
        };
        names.iter().find_map(|name| name(self).filter(|name| !name.is_empty()))
    }

    /// The text of the first of these attributes that is there.
    fn first(&self, keys: &[&str]) -> Option<Cow<'a, str>> {
        keys.iter().find_map(|key| self.0.get(key)).map(|value| value.to_text())
    }

    fn is_true(&self, key: &str) -> bool {
        matches!(self.0.get(key), Some(Value::Bool(true)))
    }

    fn http(&self, subject: &str) -> Option<String> {
        let method = self.first(&["http.request.method", "http.method"])?;
        Some(match self.first(&[subject]) {
            Some(subject) => format!("{method} {subject}"),
            None => method.into_owned(),
        })
    }

    fn rpc(&self) -> Option<String> {
        let system = self.first(&["rpc.system.name", "rpc.system"])?;
        let method = self.first(&["rpc.method", "rpc.grpc.method"]);
        let service = self.first(&["rpc.service", "rpc.grpc.service"]);
        Some(match (service, method) {
            (Some(service), Some(method)) => format!("{service}/{method}"),
            (None, Some(method)) => method.into_owned(),
            (Some(service), None) => format!("{service}/*"),
            (None, None) => system.into_owned(),
        })
    }

    fn database(&self) -> Option<String> {
        let system = self.first(&["db.system.name", "db.system"])?;
        if let Some(summary) = self.first(&["db.query.summary"]) {
            return Some(summary.into_owned());
        }
        let operation = self.first(&["db.operation.name", "db.operation"]);
        Some(of_two(operation, self.database_target()).unwrap_or_else(|| system.into_owned()))
    }

    fn database_target(&self) -> Option<String> {
        let namespace =
            self.first(&["db.namespace", "db.name"]).filter(|namespace| !namespace.is_empty());
        let object = self.first(&["db.collection.name", "db.stored_procedure.name"]);
        match (namespace, object) {
            (Some(namespace), Some(object)) => Some(format!("{namespace}.{object}")),
            (Some(one), None) | (None, Some(one)) => Some(one.into_owned()),
            (None, None) => self.server(),
        }
    }

    fn messaging(&self) -> Option<String> {
        let system = self.first(&["messaging.system"])?;
        let operation = self.first(&["messaging.operation.name", "messaging.operation"]);
        let destination = match () {
            () if self.is_true("messaging.destination.temporary") => Some("(temporary)".to_owned()),
            () if self.is_true("messaging.destination.anonymous") => Some("(anonymous)".to_owned()),
            () => self
                .first(&[
                    "messaging.destination.template",
                    "messaging.destination.name",
                    "messaging.destination",
                ])
                .map_or_else(|| self.server(), |name| Some(name.into_owned())),
        };
        Some(of_two(operation, destination).unwrap_or_else(|| system.into_owned()))
    }

    fn server(&self) -> Option<String> {
        let address = self.first(&["server.address"])?;
        Some(match self.first(&["server.port"]) {
            Some(port) => format!("{address}:{port}"),
            None => address.into_owned(),
        })
    }
}

/// What is done, to what; an empty text is none.
fn of_two(operation: Option<Cow<'_, str>>, target: Option<String>) -> Option<String> {
    let operation = operation.filter(|operation| !operation.is_empty());
    match (operation, target.filter(|target| !target.is_empty())) {
        (Some(operation), Some(target)) => Some(format!("{operation} {target}")),
        (Some(operation), None) => Some(operation.into_owned()),
        (None, target) => target,
    }
}
