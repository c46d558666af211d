//! Times read by a layout as Go's `time.ParseInLocation` reads them, and what else is done with
//! times.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::layout::{MONTHS, OffsetForm, Part, WEEKDAYS, next_part, short};
use super::{Answer, Refusal};

/// Nanoseconds since the Unix epoch, and how many seconds east of UTC they are told.
pub type Instant = (i64, i32);

/// A zone by its IANA name; none, or an empty name, is that of the machine.
///
/// # Errors
///
/// Fails for a name that is not in the time zone database.
pub fn zone(name: Option<&str>) -> Answer<TimeZone> {
    match name.unwrap_or_default() {
        "" | "Local" => Ok(TimeZone::system()),
        "UTC" => Ok(TimeZone::UTC),
        name => {
            TimeZone::get(name).map_err(|_| Refusal::new(format!("there is no time zone `{name}`")))
        }
    }
}

/// Rounds down to a multiple of `step` nanoseconds since the year 1, as Go's `Time.Truncate`.
#[must_use]
pub fn truncate(unix_nanos: i64, step: i64) -> i64 {
    /// Seconds from the year 1 to the Unix epoch.
    const UNIX_EPOCH: i128 = 62_135_596_800;
    if step <= 0 {
        return unix_nanos;
    }
    let since = i128::from(unix_nanos) + UNIX_EPOCH * 1_000_000_000;
    let extra = since.rem_euclid(i128::from(step));
    i64::try_from(i128::from(unix_nanos) - extra).unwrap_or(i64::MIN)
}

/// Reads `text` by a layout.
///
/// What the layout does not have is taken as the Collector takes it: a date is that of `now`; a
/// year is that which brings the time nearest before a week after `now`. A zone's abbreviation is
/// looked up in `zone` and then in the time zone database.
///
/// # Errors
///
/// Fails for a text of another form, a value out of range, an abbreviation that is nowhere, and a
/// time outside of the years 1678 to 2261.
pub fn parse(text: &str, layout: &str, zone: &TimeZone, now: Instant) -> Answer<Instant> {
    let refuse = |reason: String| {
        Refusal::new(format!("`{text}` is not a time such as `{layout}`: {reason}"))
    };
    let fields = Fields::read(text, layout).map_err(refuse)?;
    let time = fields.civil().map_err(refuse)?;
    let has_date = fields.has_date;
    fields.zone.resolve(time, has_date, zone, now).map_err(refuse)
}

/// Reads `text` by the first of some layouts that fits, with spaces before numbers where there may
/// be some, as the Collector reads formats such as `%Y-%m-%d`.
///
/// # Errors
///
/// As [`parse`], for the first layout.
pub fn parse_any(text: &str, layouts: &[String], zone: &TimeZone, now: Instant) -> Answer<Instant> {
    let mut refusal = None;
    for layout in layouts {
        match parse(text, layout, zone, now).or_else(|refused| {
            let spaceless = without_padding(text);
            if spaceless == text { Err(refused) } else { parse(&spaceless, layout, zone, now) }
        }) {
            Ok(instant) => return Ok(instant),
            Err(refused) => refusal = refusal.or(Some(refused)),
        }
    }
    Err(refusal.unwrap_or_else(|| Refusal::new("there is no layout")))
}

/// The text without spaces that pad a number after `-`, `/`, `:` or another space.
fn without_padding(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        let is_padding = letter == ' ' && plain.ends_with(['-', '/', ':', ' ']);
        if !is_padding {
            plain.push(letter);
        }
    }
    plain
}

/// What a text says of its zone.
#[derive(Debug, Default)]
enum Zone {
    #[default]
    Unsaid,
    Offset(i32),
    Name(String),
}

impl Zone {
    fn resolve(
        self,
        time: DateTime,
        has_date: bool,
        default: &TimeZone,
        now: Instant,
    ) -> Result<Instant, String> {
        let is_undated = !has_date || time.year() < 1;
        let at = |time: DateTime| -> Result<Instant, String> {
            match &self {
                Self::Offset(seconds) => at_offset(time, *seconds),
                Self::Unsaid => in_zone(time, default),
                Self::Name(name) => named(time, name, default),
            }
        };
        if !is_undated {
            return at(time);
        }
        let today = super::layout::civil(now.0, now.1).map_err(|error| error.to_string())?;
        if !has_date {
            return at(DateTime::from_parts(today.date(), time.time()));
        }
        let dated = |year: i16| {
            let date = Date::new(year, time.month(), time.day())
                .or_else(|_| Date::new(year, time.month() + 1, 1));
            date.map(|date| DateTime::from_parts(date, time.time()))
                .map_err(|error| error.to_string())
        };
        let this_year = at(dated(today.year())?)?;
        if this_year.0 > now.0.saturating_add(7 * 86_400_000_000_000) {
            return at(dated(today.year() - 1)?);
        }
        Ok(this_year)
    }
}

fn seconds_as_utc(time: DateTime) -> i64 {
    jiff::tz::Offset::UTC.to_timestamp(time).map_or(i64::MIN, Timestamp::as_second)
}

fn at_offset(time: DateTime, offset_seconds: i32) -> Result<Instant, String> {
    let seconds = i128::from(seconds_as_utc(time)) - i128::from(offset_seconds);
    let nanos = seconds * 1_000_000_000 + i128::from(time.subsec_nanosecond());
    let nanos =
        i64::try_from(nanos).map_err(|_| "the year is not within 1678 to 2261".to_owned())?;
    Ok((nanos, offset_seconds))
}

fn offset_at(zone: &TimeZone, unix_seconds: i64) -> i32 {
    Timestamp::from_second(unix_seconds).map_or(0, |moment| zone.to_offset(moment).seconds())
}

/// In a gap and where clocks go back, the choice is Go's.
fn in_zone(time: DateTime, zone: &TimeZone) -> Result<Instant, String> {
    let as_utc = seconds_as_utc(time);
    let guess = offset_at(zone, as_utc);
    at_offset(time, offset_at(zone, as_utc.saturating_sub(guess.into())))
}

fn named(time: DateTime, name: &str, default: &TimeZone) -> Result<Instant, String> {
    if name == "UTC" {
        return at_offset(time, 0);
    }
    if let Some(offset) = offset_by_name(time, name, default) {
        return at_offset(time, offset);
    }
    let hours = name.strip_prefix("GMT").and_then(|hours| hours.parse::<i32>().ok());
    if let Some(hours) = hours.filter(|hours| *hours != 0) {
        return at_offset(time, hours.saturating_mul(3600));
    }
    let zone = TimeZone::get(name).map_err(|_| format!("there is no time zone `{name}`"))?;
    in_zone(time, &zone)
}

/// The offset that has this abbreviation in the zone, at the time or else nearest to it.
fn offset_by_name(time: DateTime, name: &str, zone: &TimeZone) -> Option<i32> {
    const MAX_TRANSITIONS: usize = 64;
    let as_utc = Timestamp::from_second(seconds_as_utc(time)).ok()?;
    let info = zone.to_offset_info(as_utc);
    if info.abbreviation() == name {
        return Some(info.offset().seconds());
    }
    let near = zone.preceding(as_utc).take(MAX_TRANSITIONS);
    let later = zone.following(as_utc).take(MAX_TRANSITIONS);
    near.chain(later)
        .find(|transition| transition.abbreviation() == name)
        .map(|transition| transition.offset().seconds())
}

/// The values of a text.
#[derive(Debug, Default)]
struct Fields {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    is_afternoon: Option<bool>,
    has_date: bool,
    zone: Zone,
}

impl Fields {
    fn read(text: &str, layout: &str) -> Result<Self, String> {
        let mut fields = Self::default();
        let (mut rest, mut layout) = (text, layout);
        loop {
            let (before, part, after) = next_part(layout);
            rest = skip(rest, before)?;
            let Some(part) = part else { break };
            layout = after;
            rest = fields
                .read_part(part, rest, layout)
                .ok_or_else(|| format!("`{rest}` does not start with {}", described(part)))?;
        }
        if rest.is_empty() { Ok(fields) } else { Err(format!("`{rest}` follows it")) }
    }

    /// Reads one value; what is left, or nothing if it is not there or out of range.
    fn read_part<'t>(&mut self, part: Part, rest: &'t str, layout: &str) -> Option<&'t str> {
        match part {
            Part::LongMonth | Part::Month => {
                let (index, after) = name(rest, &MONTHS, part == Part::Month)?;
                self.month = i8::try_from(index + 1).ok();
                self.has_date = true;
                Some(after)
            }
            Part::LongWeekday | Part::Weekday => {
                self.has_date = true;
                name(rest, &WEEKDAYS, part == Part::Weekday).map(|(_, after)| after)
            }
            Part::LongYear | Part::Year | Part::NumMonth | Part::ZeroMonth => self.date(part, rest),
            Part::Day | Part::UnderDay | Part::ZeroDay | Part::UnderYearDay | Part::ZeroYearDay => {
                self.day(part, rest)
            }
            Part::UpperNoon | Part::LowerNoon => {
                let (noon, after) = rest.split_at_checked(2)?;
                self.is_afternoon = Some(match (part, noon) {
                    (Part::UpperNoon, "PM") | (Part::LowerNoon, "pm") => true,
                    (Part::UpperNoon, "AM") | (Part::LowerNoon, "am") => false,
                    _ => return None,
                });
                Some(after)
            }
            Part::ZoneName => {
                let length = zone_name_length(rest)?;
                let (name, after) = rest.split_at_checked(length)?;
                if !matches!(self.zone, Zone::Offset(_)) {
                    self.zone = Zone::Name(name.to_owned());
                }
                Some(after)
            }
            Part::Offset(form) => {
                let (seconds, after) = offset(rest, form)?;
                self.zone = Zone::Offset(seconds);
                Some(after)
            }
            Part::Fraction(_, length) => self.fraction(rest, length),
            Part::ShortFraction(..) => Some(self.any_fraction(rest)),
            _ => self.clock(part, rest, layout),
        }
    }

    fn date<'t>(&mut self, part: Part, rest: &'t str) -> Option<&'t str> {
        self.has_date = true;
        match part {
            Part::LongYear => {
                let (year, after) = rest.split_at_checked(4)?;
                self.year = number_of(year)?;
                Some(after)
            }
            Part::Year => {
                let (year, after) = rest.split_at_checked(2)?;
                let year: i16 = number_of(year)?;
                self.year = year + if year >= 69 { 1900 } else { 2000 };
                Some(after)
            }
            _ => {
                let (month, after) = digits(rest, part == Part::ZeroMonth)?;
                self.month = Some(month).filter(|month| (1..=12).contains(month));
                self.month.map(|_| after)
            }
        }
    }

    fn day<'t>(&mut self, part: Part, rest: &'t str) -> Option<&'t str> {
        self.has_date = true;
        if matches!(part, Part::UnderYearDay | Part::ZeroYearDay) {
            let padding = if part == Part::UnderYearDay { 2 } else { 0 };
            let num_spaces = rest.bytes().take(padding).take_while(|byte| *byte == b' ').count();
            let rest = rest.get(num_spaces..)?;
            let length = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
            let (day, after) = rest.split_at_checked(length)?;
            self.year_day = Some(day.parse().ok()?);
            return (part == Part::UnderYearDay || length == 3).then_some(after);
        }
        let rest = match part {
            Part::UnderDay => rest.strip_prefix(' ').unwrap_or(rest),
            _ => rest,
        };
        let (day, after) = digits(rest, part == Part::ZeroDay)?;
        self.day = Some(day);
        Some(after)
    }

    fn clock<'t>(&mut self, part: Part, rest: &'t str, layout: &str) -> Option<&'t str> {
        let is_fixed = matches!(part, Part::ZeroHour12 | Part::ZeroMinute | Part::ZeroSecond);
        let (value, after) = digits(rest, is_fixed)?;
        match part {
            Part::Hour => self.hour = Some(value).filter(|hour| *hour < 24)?,
            Part::Hour12 | Part::ZeroHour12 => {
                self.hour = Some(value).filter(|hour| *hour <= 12)?
            }
            Part::Minute | Part::ZeroMinute => {
                self.minute = Some(value).filter(|value| *value < 60)?
            }
            _ => {
                self.second = Some(value).filter(|value| *value < 60)?;
                let (before, next, _) = next_part(layout);
                let is_next = before.is_empty()
                    && matches!(next, Some(Part::Fraction(..) | Part::ShortFraction(..)));
                if !is_next {
                    return Some(self.any_fraction(after));
                }
            }
        }
        Some(after)
    }

    /// A point or comma with any number of digits, if it is there.
    fn any_fraction<'t>(&mut self, rest: &'t str) -> &'t str {
        let Some(digits) = rest.strip_prefix(['.', ',']) else { return rest };
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 { rest } else { self.fraction(rest, length).unwrap_or(rest) }
    }

    fn fraction<'t>(&mut self, rest: &'t str, length: usize) -> Option<&'t str> {
        let (digits, after) = rest.strip_prefix(['.', ','])?.split_at_checked(length)?;
        let nanos: String = digits.chars().chain(std::iter::repeat('0')).take(9).collect();
        self.nanos = number_of(&nanos)?;
        digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(after)
    }

    fn civil(&self) -> Result<DateTime, String> {
        let mut hour = self.hour;
        match self.is_afternoon {
            Some(true) if hour < 12 => hour += 12,
            Some(false) if hour == 12 => hour = 0,
            _ => {}
        }
        let date = match self.year_day {
            Some(year_day) => self.by_year_day(year_day)?,
            None => Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1))
                .map_err(|_| "there is no such day".to_owned())?,
        };
        jiff::civil::Time::new(hour, self.minute, self.second, self.nanos)
            .map(|time| DateTime::from_parts(date, time))
            .map_err(|_| "there is no such time of day".to_owned())
    }

    fn by_year_day(&self, year_day: i16) -> Result<Date, String> {
        let first = Date::new(self.year, 1, 1).map_err(|_| "there is no such year".to_owned())?;
        let date = first.with().day_of_year(year_day).build();
        let date = date.map_err(|_| format!("the year has no day {year_day}"))?;
        let is_other = self.month.is_some_and(|month| month != date.month())
            || self.day.is_some_and(|day| day != date.day());
        if is_other { Err(format!("day {year_day} of the year is another date")) } else { Ok(date) }
    }
}

fn described(part: Part) -> &'static str {
    match part {
        Part::LongMonth | Part::Month => "the name of a month",
        Part::NumMonth | Part::ZeroMonth => "a month of 1 to 12",
        Part::LongWeekday | Part::Weekday => "the name of a day",
        Part::Day | Part::UnderDay | Part::ZeroDay => "a day of a month",
        Part::UnderYearDay | Part::ZeroYearDay => "a day of a year",
        Part::Hour => "an hour of 0 to 23",
        Part::Hour12 | Part::ZeroHour12 => "an hour of 0 to 12",
        Part::Minute | Part::ZeroMinute => "minutes of 0 to 59",
        Part::Second | Part::ZeroSecond => "seconds of 0 to 59",
        Part::LongYear => "a year of four digits",
        Part::Year => "a year of two digits",
        Part::UpperNoon => "AM or PM",
        Part::LowerNoon => "am or pm",
        Part::ZoneName => "the abbreviation of a time zone",
        Part::Offset(_) => "an offset from UTC",
        Part::Fraction(..) | Part::ShortFraction(..) => "a fraction of a second",
    }
}

/// What follows `expected`, in which a space stands for any number of them.
fn skip<'t>(text: &'t str, expected: &str) -> Result<&'t str, String> {
    let (mut rest, mut expected) = (text, expected);
    while let Some(letter) = expected.chars().next() {
        if letter == ' ' {
            if !rest.is_empty() && !rest.starts_with(' ') {
                return Err(format!("`{rest}` does not start with a space"));
            }
            expected = expected.trim_start_matches(' ');
            rest = rest.trim_start_matches(' ');
            continue;
        }
        rest = rest
            .strip_prefix(letter)
            .ok_or_else(|| format!("`{rest}` does not start with `{expected}`"))?;
        expected = expected.strip_prefix(letter).unwrap_or_default();
    }
    Ok(rest)
}

fn number_of<N: std::str::FromStr>(digits: &str) -> Option<N> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// One or two digits; two if they are fixed.
fn digits(text: &str, is_fixed: bool) -> Option<(i8, &str)> {
    let length = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(length)?;
    if is_fixed && length < 2 {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

/// The name at the start, in any case, and what follows.
fn name<'t>(text: &'t str, names: &[&str], is_short: bool) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = if is_short { short(name) } else { name };
        let (start, rest) = text.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some((index, rest))
    })
}

fn offset(text: &str, form: OffsetForm) -> Option<(i32, &str)> {
    if let Some(rest) = text.strip_prefix('Z').filter(|_| form.has_z) {
        return Some((0, rest));
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut rest = text.get(1..)?;
    let mut seconds = 0;
    for (index, scale) in [3600, 60, 1].into_iter().take(form.num_fields).enumerate() {
        if index > 0 && form.has_colons {
            rest = rest.strip_prefix(':')?;
        }
        let (field, after) = digits(rest, true)?;
        let largest = if index == 0 { 24 } else { 60 };
        seconds += i32::from(Some(field).filter(|field| *field <= largest)?) * scale;
        rest = after;
    }
    Some((sign * seconds, rest))
}

/// How long the abbreviation of a zone at the start is, by Go's rules for what looks like one.
fn zone_name_length(text: &str) -> Option<usize> {
    if text.starts_with("UTC") {
        return Some(3);
    }
    if text.starts_with("ChST") || text.starts_with("MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix("GMT") {
        return Some(3 + signed_hours(rest));
    }
    if text.starts_with(['+', '-']) {
        return Some(signed_hours(text)).filter(|length| *length > 0);
    }
    let length = text.bytes().take(6).take_while(u8::is_ascii_uppercase).count();
    let ends =
        |letters: &[u8]| text.as_bytes().get(length - 1).is_some_and(|b| letters.contains(b));
    match length {
        5 if ends(b"T") => Some(5),
        4 if ends(b"T") || text.starts_with("WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

/// How long a sign with hours of at most 23 at the start is; 0 if there is none.
fn signed_hours(text: &str) -> usize {
    let Some(digits) = text.strip_prefix(['+', '-']) else { return 0 };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let hours = digits.get(..length).and_then(|hours| hours.parse::<u32>().ok());
    if hours.is_some_and(|hours| hours <= 23) { 1 + length } else { 0 }
}

#[cfg(test)]
mod tests;
