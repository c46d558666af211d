//! Log records: about 444 bytes each with their share of the envelope.

use rand::Rng;

use super::draft::Draft;
use super::fill::Fill;
use super::template::Drafting;
use super::words::{METHODS, ROUTES};
use crate::data::Value;

/// The field of a log record that holds its attributes.
const ATTRIBUTES: u32 = 6;

/// What is logged: severity number, its name, the text.
const MESSAGES: [(u64, &str, &str); 16] = [
    (
        9,
        "INFO",
        "request completed: user ###### fetched page ## of 48 in ### ms, ##### bytes sent, upstream pool eu-central-1a, cache tier warm, connection reused",
    ),
    (
        9,
        "INFO",
        "order ~~~~~~~~-~~~~ placed by customer ####### with # items, total ###.## EUR, payment method card ending in ####, confirmation mail queued",
    ),
    (
        9,
        "INFO",
        "consumer group accounting committed offset ######### on topic orders partition ##, lag is ### messages after a batch of ### records",
    ),
    (
        9,
        "INFO",
        "quote computed: weight ##.# kg over #### km gives ##.## EUR, carrier standard, valid for 30 minutes, quote reference ~~~~~~~~~~~~",
    ),
    (
        9,
        "INFO",
        "session ~~~~~~~~~~~~~~~~ renewed for user ######, expires in #### seconds, client 10.##.1##.2## behind proxy 10.0.##.1##, two factors checked",
    ),
    (
        9,
        "INFO",
        "recommendation list of ## products ranked in ##.### ms by model v#.## for user ######, features read from cache, fallback not needed",
    ),
    (
        9,
        "INFO",
        "conversion from USD to EUR at rate 0.#### applied to amount ####.##, rates table of revision ####### loaded from the primary source",
    ),
    (
        9,
        "INFO",
        "shipment ~~~~~~~~~~ handed over to carrier, tracking number ############, estimated delivery in # days, warehouse slot ##-##",
    ),
    (
        5,
        "DEBUG",
        "cache lookup for key product:~~~~~~~~ took ### us, entry age ### s, ### entries in shard ##, memory used by the shard ####### bytes",
    ),
    (
        5,
        "DEBUG",
        "connection pool state: ## idle, ## busy, ## waiting, oldest connection opened #### s ago, checkout of a connection took ### us on average",
    ),
    (
        5,
        "DEBUG",
        "rule engine evaluated ## rules for transaction ~~~~~~~~~~~~ with score 0.####, threshold 0.8500, no manual review is necessary",
    ),
    (
        5,
        "DEBUG",
        "GC pause of #.### ms, heap ### MiB before and ### MiB after, ### objects promoted, next collection expected in ### s",
    ),
    (
        13,
        "WARN",
        "upstream inventory answered slowly: attempt # took #### ms over a limit of 1000 ms, request ~~~~~~~~~~~~ is tried again after ### ms",
    ),
    (
        13,
        "WARN",
        "retrying charge ~~~~~~~~~~ after error code ####: gateway busy, attempt # of 5, backoff ### ms, idempotency key kept for the next attempt",
    ),
    (
        17,
        "ERROR",
        "payment of order ~~~~~~~~-~~~~ failed: card declined by issuer with code ##, customer ####### was told to choose another method of payment",
    ),
    (
        17,
        "ERROR",
        "dial tcp 10.0.##.1##:5432: connect: connection refused while saving order ~~~~~~~~, transaction rolled back after ### ms and # retries",
    ),
];

/// Writes `share` records.
pub(super) fn write(drafting: &mut Drafting<'_>, share: usize, group: &mut Draft) {
    for _ in 0..share {
        let is_traced = drafting.next.is_multiple_of(2);
        group.message(2, |record| write_record(drafting, is_traced, record));
        drafting.next += 1;
    }
}

fn write_record(drafting: &mut Drafting<'_>, is_traced: bool, record: &mut Draft) {
    let (severity, name, text) = drafting.one_of(&MESSAGES);
    let before_micros = drafting.before_micros();
    record.fixed64(
        1,
        if is_traced { Fill::TimeInSpan { before_micros } } else { Fill::Time { before_micros } },
    );
    record.writer().varint_field(2, severity);
    record.writer().str_field(3, name);
    record.message(5, |body| body.pattern(1, text));
    record.text(ATTRIBUTES, "request.id", "~~~~~~~~-~~~~-4~~~-a~~~-~~~~~~~~~~~~");
    record.constant(ATTRIBUTES, "http.request.method", Value::Str(drafting.one_of(&METHODS)));
    record.constant(ATTRIBUTES, "http.route", Value::Str(drafting.one_of(&ROUTES)));
    record.text(ATTRIBUTES, "url.path", "/api/v1/~~~~~~~~/items/######");
    record.int(ATTRIBUTES, "http.response.status_code", Fill::Status);
    record.double(ATTRIBUTES, "duration_ms", Fill::Double { max_thousandths: 2_500_000 });
    record.int(ATTRIBUTES, "user.id", Fill::Varint(3));
    let is_hit = drafting.random.random_bool(0.7);
    record.constant(ATTRIBUTES, "cache.hit", Value::Bool(is_hit));
    drafting.write_id(ATTRIBUTES, record);
    if is_traced {
        record.writer().fixed32_field(8, 1);
        record.id(9, Fill::Trace);
        record.id(10, Fill::Root);
    }
    record.fixed64(11, Fill::Later { max_micros: 20_000 });
}
