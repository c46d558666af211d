//! Spans: about 589 bytes each with their share of the envelope, up to six in a trace.

use rand::Rng;

use super::draft::Draft;
use super::fill::Fill;
use super::template::Drafting;
use super::words::{METHODS, ROUTES};
use crate::data::Value;

/// The field of a span that holds its attributes, and of an event.
const ATTRIBUTES: u32 = 9;
const EVENT_ATTRIBUTES: u32 = 3;
const SPANS_PER_TRACE: usize = 6;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const STATUS_ERROR: u64 = 2;
const SAMPLED: u32 = 1;

/// Writes `share` spans.
pub(super) fn write(drafting: &mut Drafting<'_>, share: usize, group: &mut Draft) {
    for index in 0..share {
        let is_root = index.is_multiple_of(SPANS_PER_TRACE);
        group.message(2, |span| write_span(drafting, is_root, span));
        drafting.next += 1;
    }
}

fn write_span(drafting: &mut Drafting<'_>, is_root: bool, span: &mut Draft) {
    let (method, route) = (drafting.one_of(&METHODS), drafting.one_of(&ROUTES));
    span.id(1, if is_root { Fill::NewTrace } else { Fill::Trace });
    span.id(2, Fill::Span);
    if !is_root {
        span.id(4, Fill::Root);
    }
    let kind = if is_root { SERVER } else { CLIENT };
    span.writer().str_field(5, &format!("{method} {route}"));
    span.writer().varint_field(6, kind);
    span.fixed64(7, Fill::Time { before_micros: drafting.before_micros() });
    span.fixed64(8, Fill::Later { max_micros: 400_000 });
    write_attributes(drafting, (method, route), span);
    drafting.write_id(ATTRIBUTES, span);
    let num_events = drafting.random.random_range(0..3);
    for _ in 0..num_events {
        write_event(span);
    }
    if drafting.random.random_bool(0.05) {
        span.message(15, |status| {
            status.writer().str_field(2, "upstream answered with an error");
            status.writer().varint_field(3, STATUS_ERROR);
        });
    }
    span.writer().fixed32_field(16, SAMPLED);
}

fn write_attributes(drafting: &mut Drafting<'_>, (method, route): (&str, &str), span: &mut Draft) {
    span.constant(ATTRIBUTES, "http.request.method", Value::Str(method));
    span.constant(ATTRIBUTES, "http.route", Value::Str(route));
    span.int(ATTRIBUTES, "http.response.status_code", Fill::Status);
    span.text(ATTRIBUTES, "url.path", "/api/v1/~~~~~~~~/items/######");
    span.constant(ATTRIBUTES, "server.address", Value::Str("shop.example.com"));
    span.constant(ATTRIBUTES, "server.port", Value::Int(8443));
    let agent = Value::Str("shop-app/7.18.2 okhttp/4.12.0 Linux");
    span.constant(ATTRIBUTES, "user_agent.original", agent);
    span.text(ATTRIBUTES, "client.address", "10.##.1##.2##");
    span.text(ATTRIBUTES, "request.id", "~~~~~~~~-~~~~-4~~~-a~~~-~~~~~~~~~~~~");
    span.int(ATTRIBUTES, "http.response.body.size", Fill::Varint(3));
    span.double(ATTRIBUTES, "queue.wait_ms", Fill::Double { max_thousandths: 90_000 });
    let is_hit = drafting.random.random_bool(0.7);
    span.constant(ATTRIBUTES, "cache.hit", Value::Bool(is_hit));
}

fn write_event(span: &mut Draft) {
    span.message(11, |event| {
        event.fixed64(1, Fill::Between);
        event.writer().str_field(2, "message");
        event.int(EVENT_ATTRIBUTES, "message.id", Fill::Varint(2));
        event.constant(EVENT_ATTRIBUTES, "message.type", Value::Str("SENT"));
    });
}
