//! Converters of times and lengths of time.

use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Answer, Args, Function, Kind, Param, Prepared, impure, needed, optional, pure};
use crate::ottl::error::EvalError;
use crate::ottl::go::{duration, layout, strptime, time};
use crate::ottl::value::{Moment, Value};

const TIME: &[Param] = &[needed("time", Kind::Time)];
const DURATION: &[Param] = &[needed("duration", Kind::Duration)];

pub(super) const FUNCTIONS: &[Function] = &[
    impure("Now", &[], now),
    impure(
        "Time",
        &[
            needed("time", Kind::Str),
            needed("format", Kind::Prepared(read_layouts)),
            optional("location", Kind::Prepared(location)),
            optional("locale", Kind::Prepared(locale)),
        ],
        parse,
    ),
    pure(
        "FormatTime",
        &[needed("time", Kind::Time), needed("format", Kind::Prepared(written_layout))],
        format,
    ),
    pure(
        "TruncateTime",
        &[needed("time", Kind::Time), needed("duration", Kind::Duration)],
        truncate,
    ),
    pure("Unix", &[needed("seconds", Kind::Int), optional("nanoseconds", Kind::Int)], unix),
    pure("UnixNano", TIME, unix_nano),
    pure("UnixMicro", TIME, unix_micro),
    pure("UnixMilli", TIME, unix_milli),
    pure("UnixSeconds", TIME, unix_seconds),
    pure("Duration", &[needed("duration", Kind::Str)], parse_duration),
    pure("Nanosecond", TIME, nanosecond),
    pure("Second", TIME, second),
    pure("Minute", TIME, minute),
    pure("Hour", TIME, hour),
    pure("Day", TIME, day),
    pure("Weekday", TIME, weekday),
    pure("Month", TIME, month),
    pure("Year", TIME, year),
    pure("Nanoseconds", DURATION, nanoseconds),
    pure("Microseconds", DURATION, microseconds),
    pure("Milliseconds", DURATION, milliseconds),
    pure("Seconds", DURATION, seconds),
    pure("Minutes", DURATION, minutes),
    pure("Hours", DURATION, hours),
];

fn read_layouts(format: &str) -> Result<Prepared, String> {
    let layouts = strptime::to_read_layouts(format).map_err(|refusal| refusal.to_string())?;
    Ok(Arc::new(layouts))
}

fn written_layout(format: &str) -> Result<Prepared, String> {
    Ok(Arc::new(strptime::to_layout(format).map_err(|refusal| refusal.to_string())?))
}

fn location(name: &str) -> Result<Prepared, String> {
    Ok(Arc::new(time::zone(Some(name)).map_err(|refusal| refusal.to_string())?))
}

/// Names of months and days are read in English only.
fn locale(name: &str) -> Result<Prepared, String> {
    let language = name.split(['-', '_']).next().unwrap_or_default();
    if language.is_empty() || language.eq_ignore_ascii_case("en") {
        return Ok(Arc::new(()));
    }
    Err(format!("times are read in English only, not in `{name}`"))
}

fn moment((unix_nanos, offset_seconds): time::Instant) -> Value<'static> {
    Value::Time(Moment { unix_nanos, offset_seconds })
}

fn now_nanos(args: &Args<'_>) -> i64 {
    i64::try_from(args.scene().now.as_unix_nanos()).unwrap_or(i64::MAX)
}

#[expect(clippy::needless_pass_by_value, reason = "as every converter")]
fn now(args: Args<'_>) -> Answer<'_> {
    Ok(moment((now_nanos(&args), 0)))
}

fn parse(mut args: Args<'_>) -> Answer<'_> {
    let text = args.str(0);
    if text.is_empty() {
        return Err(EvalError::new("there is no time in an empty text"));
    }
    let layouts = args.prepared::<Vec<String>>(1)?;
    let zone = args.prepared::<TimeZone>(2)?;
    let now = now_nanos(&args);
    Ok(moment(time::parse_any(&text, &layouts, &zone, (now, 0))?))
}

/// A time that must be there.
fn taken(args: &mut Args<'_>) -> Result<Moment, EvalError> {
    args.time(0).ok_or_else(|| EvalError::new("there is no time"))
}

fn format(mut args: Args<'_>) -> Answer<'_> {
    let time = taken(&mut args)?;
    let written = args.prepared::<String>(1)?;
    Ok(Value::from(layout::format(time.unix_nanos, time.offset_seconds, &written)?))
}

fn truncate(mut args: Args<'_>) -> Answer<'_> {
    let time = taken(&mut args)?;
    let step = args.duration(1).unwrap_or_default();
    Ok(moment((time::truncate(time.unix_nanos, step), time.offset_seconds)))
}

fn unix(mut args: Args<'_>) -> Answer<'_> {
    let seconds = args.int(0).unwrap_or_default();
    let nanos = seconds.checked_mul(1_000_000_000);
    let nanos = nanos.and_then(|nanos| nanos.checked_add(args.int(1).unwrap_or_default()));
    let out_of_range =
        || EvalError::new(format!("{seconds} s is not within the years 1678 to 2261"));
    Ok(moment((nanos.ok_or_else(out_of_range)?, 0)))
}

fn unix_nano(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(taken(&mut args)?.unix_nanos))
}

fn unix_micro(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(taken(&mut args)?.unix_nanos.div_euclid(1_000)))
}

fn unix_milli(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(taken(&mut args)?.unix_nanos.div_euclid(1_000_000)))
}

fn unix_seconds(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(taken(&mut args)?.unix_nanos.div_euclid(1_000_000_000)))
}

/// The civil time, for its parts.
fn civil(args: &mut Args<'_>) -> Result<DateTime, EvalError> {
    let time = taken(args)?;
    Ok(layout::civil(time.unix_nanos, time.offset_seconds)?)
}

fn nanosecond(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(civil(&mut args)?.subsec_nanosecond().into()))
}

fn second(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(civil(&mut args)?.second().into()))
}

fn minute(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(civil(&mut args)?.minute().into()))
}

fn hour(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(civil(&mut args)?.hour().into()))
}

fn day(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(civil(&mut args)?.day().into()))
}

/// Sunday is 0.
fn weekday(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(civil(&mut args)?.weekday().to_sunday_zero_offset().into()))
}

fn month(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(civil(&mut args)?.month().into()))
}

fn year(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(civil(&mut args)?.year().into()))
}

fn parse_duration(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Duration(duration::parse_duration(&args.str(0))?))
}

fn nanoseconds(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(args.duration(0).unwrap_or_default()))
}

fn microseconds(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(args.duration(0).unwrap_or_default() / 1_000))
}

fn milliseconds(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(args.duration(0).unwrap_or_default() / 1_000_000))
}

fn seconds(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Double(in_units(args.duration(0), 1_000_000_000)))
}

fn minutes(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Double(in_units(args.duration(0), 60_000_000_000)))
}

fn hours(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Double(in_units(args.duration(0), 3_600_000_000_000)))
}

/// Whole units and the rest apart, as Go adds them.
#[expect(clippy::cast_precision_loss, reason = "what a double can hold of it")]
fn in_units(nanos: Option<i64>, unit: i64) -> f64 {
    let nanos = nanos.unwrap_or_default();
    (nanos / unit) as f64 + (nanos % unit) as f64 / unit as f64
}
