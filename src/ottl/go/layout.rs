//! Layouts of times as Go's `time` package has them: an example of the time of reference,
//! `Mon Jan 2 15:04:05 MST 2006`, `-0700`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::{Answer, Refusal};

/// What a part of a layout stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperNoon,
    LowerNoon,
    ZoneName,
    Offset(OffsetForm),
    /// So many digits after a point or comma.
    Fraction(char, usize),
    /// As many, without zeros at the end.
    ShortFraction(char, usize),
}

/// How an offset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetForm {
    /// Whether UTC is `Z`.
    pub(super) has_z: bool,
    pub(super) has_colons: bool,
    /// Hours; minutes; seconds.
    pub(super) num_fields: usize,
}

const fn offset(has_z: bool, has_colons: bool, num_fields: usize) -> Part {
    Part::Offset(OffsetForm { has_z, has_colons, num_fields })
}

/// In the order in which they are tried.
const PARTS: [(&str, Part); 33] = [
    ("January", Part::LongMonth),
    ("Jan", Part::Month),
    ("Monday", Part::LongWeekday),
    ("Mon", Part::Weekday),
    ("MST", Part::ZoneName),
    ("01", Part::ZeroMonth),
    ("002", Part::ZeroYearDay),
    ("02", Part::ZeroDay),
    ("03", Part::ZeroHour12),
    ("04", Part::ZeroMinute),
    ("05", Part::ZeroSecond),
    ("06", Part::Year),
    ("15", Part::Hour),
    ("1", Part::NumMonth),
    ("2006", Part::LongYear),
    ("2", Part::Day),
    ("__2", Part::UnderYearDay),
    ("_2", Part::UnderDay),
    ("3", Part::Hour12),
    ("4", Part::Minute),
    ("5", Part::Second),
    ("PM", Part::UpperNoon),
    ("pm", Part::LowerNoon),
    ("-070000", offset(false, false, 3)),
    ("-07:00:00", offset(false, true, 3)),
    ("-0700", offset(false, false, 2)),
    ("-07:00", offset(false, true, 2)),
    ("-07", offset(false, false, 1)),
    ("Z070000", offset(true, false, 3)),
    ("Z07:00:00", offset(true, true, 3)),
    ("Z0700", offset(true, false, 2)),
    ("Z07:00", offset(true, true, 2)),
    ("Z07", offset(true, false, 1)),
];

/// The first part of a layout: the text before it, the part and the layout after it.
pub(super) fn next_part(layout: &str) -> (&str, Option<Part>, &str) {
    for (at, _) in layout.char_indices() {
        let (before, rest) = layout.split_at_checked(at).unwrap_or((layout, ""));
        if let Some((part, after)) = part_at(rest) {
            return (before, Some(part), after);
        }
        // The year after an underscore is a year.
        if rest.starts_with("_2006") {
            let (before, _) = layout.split_at_checked(at + 1).unwrap_or((layout, ""));
            return (before, Some(Part::LongYear), rest.get(5..).unwrap_or_default());
        }
    }
    (layout, None, "")
}

fn part_at(rest: &str) -> Option<(Part, &str)> {
    for (text, part) in PARTS {
        let Some(after) = rest.strip_prefix(text) else { continue };
        let is_word = matches!(part, Part::Month | Part::Weekday);
        let is_in_word = is_word && after.starts_with(|c: char| c.is_ascii_lowercase());
        let is_year = part == Part::UnderDay && after.starts_with("006");
        if !is_in_word && !is_year {
            return Some((part, after));
        }
    }
    let separator = rest.chars().next().filter(|letter| matches!(letter, '.' | ','))?;
    let digits = rest.strip_prefix(separator)?;
    let digit = digits.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let after = digits.trim_start_matches(digit);
    let length = digits.len() - after.len();
    if after.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let part = if digit == '0' {
        Part::Fraction(separator, length)
    } else {
        Part::ShortFraction(separator, length)
    };
    Some((part, after))
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The first three letters.
pub(super) fn short(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

/// The civil time of a moment, `offset_seconds` east of UTC.
///
/// # Errors
///
/// Fails for an offset of more than a day.
pub fn civil(unix_nanos: i64, offset_seconds: i32) -> Answer<DateTime> {
    let offset = Offset::from_seconds(offset_seconds);
    let moment = Timestamp::from_nanosecond(unix_nanos.into());
    match (moment, offset) {
        (Ok(moment), Ok(offset)) => Ok(offset.to_datetime(moment)),
        _ => Err(Refusal::new(format!("there is no time {offset_seconds} s from UTC"))),
    }
}

/// Writes a moment as Go's `Time.Format(layout)`.
///
/// Of a zone only its offset is known: its name is written `UTC` for zero and else as Go does for
/// zones without a name, such as `-0700`.
///
/// # Errors
///
/// Fails for an offset of more than a day.
pub fn format(unix_nanos: i64, offset_seconds: i32, layout: &str) -> Answer<String> {
    let time = civil(unix_nanos, offset_seconds)?;
    let mut text = String::with_capacity(layout.len() + 8);
    let mut rest = layout;
    loop {
        let (before, part, after) = next_part(rest);
        text.push_str(before);
        let Some(part) = part else { return Ok(text) };
        text.push_str(&write(part, &time, offset_seconds));
        rest = after;
    }
}

fn write(part: Part, time: &DateTime, offset_seconds: i32) -> String {
    let month = usize::try_from(time.month()).unwrap_or(1) - 1;
    let weekday = usize::try_from(time.weekday().to_sunday_zero_offset()).unwrap_or_default();
    let name = |names: &[&'static str], index: usize| names.get(index).copied().unwrap_or_default();
    let hour12 = (time.hour() + 11) % 12 + 1;
    let is_afternoon = time.hour() >= 12;
    match part {
        Part::LongMonth => name(&MONTHS, month).to_owned(),
        Part::Month => short(name(&MONTHS, month)).to_owned(),
        Part::NumMonth => time.month().to_string(),
        Part::ZeroMonth => format!("{:02}", time.month()),
        Part::LongWeekday => name(&WEEKDAYS, weekday).to_owned(),
        Part::Weekday => short(name(&WEEKDAYS, weekday)).to_owned(),
        Part::Day => time.day().to_string(),
        Part::UnderDay => format!("{:2}", time.day()),
        Part::ZeroDay => format!("{:02}", time.day()),
        Part::UnderYearDay => format!("{:3}", time.day_of_year()),
        Part::ZeroYearDay => format!("{:03}", time.day_of_year()),
        Part::Hour => format!("{:02}", time.hour()),
        Part::Hour12 => hour12.to_string(),
        Part::ZeroHour12 => format!("{hour12:02}"),
        Part::Minute => time.minute().to_string(),
        Part::ZeroMinute => format!("{:02}", time.minute()),
        Part::Second => time.second().to_string(),
        Part::ZeroSecond => format!("{:02}", time.second()),
        Part::LongYear => format!("{:04}", time.year()),
        Part::Year => format!("{:02}", time.year() % 100),
        Part::UpperNoon => if is_afternoon { "PM" } else { "AM" }.to_owned(),
        Part::LowerNoon => if is_afternoon { "pm" } else { "am" }.to_owned(),
        Part::ZoneName => zone_name(offset_seconds),
        Part::Offset(form) => write_offset(form, offset_seconds),
        Part::Fraction(separator, length) => {
            let digits = format!("{:09}", time.subsec_nanosecond());
            format!("{separator}{}", digits.get(..length).unwrap_or(&digits))
        }
        Part::ShortFraction(separator, length) => {
            let digits = format!("{:09}", time.subsec_nanosecond());
            let digits = digits.get(..length).unwrap_or(&digits).trim_end_matches('0');
            if digits.is_empty() { String::new() } else { format!("{separator}{digits}") }
        }
    }
}

fn write_offset(form: OffsetForm, seconds: i32) -> String {
    if seconds == 0 && form.has_z {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let size = seconds.unsigned_abs();
    let fields = [size / 3600, size / 60 % 60, size % 60];
    let fields: Vec<String> =
        fields.iter().take(form.num_fields).map(|field| format!("{field:02}")).collect();
    format!("{sign}{}", fields.join(if form.has_colons { ":" } else { "" }))
}

fn zone_name(seconds: i32) -> String {
    if seconds == 0 {
        return "UTC".to_owned();
    }
    write_offset(OffsetForm { has_z: false, has_colons: false, num_fields: 2 }, seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Go 1.26 writes for three times, layout by layout.
    const WRITTEN: &[(&str, [&str; 3])] = &[
        (
            "2006-01-02T15:04:05.999999999Z07:00",
            [
                "2023-02-04T05:06:07.008901234Z",
                "1999-12-31T23:59:59.12-05:00",
                "2024-11-09T12:00:00-03:30",
            ],
        ),
        (
            "Mon Jan _2 15:04:05 2006",
            ["Sat Feb  4 05:06:07 2023", "Fri Dec 31 23:59:59 1999", "Sat Nov  9 12:00:00 2024"],
        ),
        (
            "Monday, 02-Jan-06 03:04:05 PM -0700",
            [
                "Saturday, 04-Feb-23 05:06:07 AM +0000",
                "Friday, 31-Dec-99 11:59:59 PM -0500",
                "Saturday, 09-Nov-24 12:00:00 PM -0330",
            ],
        ),
        ("_1/2/06 3:4:5pm", ["_2/4/23 5:6:7am", "_12/31/99 11:59:59pm", "_11/9/24 12:0:0pm"]),
        (
            "15:04:05.000 .999 ,999 .999999",
            ["05:06:07.008 .008 ,008 .008901", "23:59:59.120 .12 ,12 .12", "12:00:00.000   "],
        ),
        ("002 __2 20060102", ["035  35 20230204", "365 365 19991231", "314 314 20241109"]),
        (
            "Z0700 Z07:00 -07 -0700 -07:00 -070000 -07:00:00",
            [
                "Z Z +00 +0000 +00:00 +000000 +00:00:00",
                "-0500 -05:00 -05 -0500 -05:00 -050000 -05:00:00",
                "-0330 -03:30 -03 -0330 -03:30 -033015 -03:30:15",
            ],
        ),
        (
            "January Jan 1 01 2 02 _2 Janet Monetary",
            [
                "February Feb 2 02 4 04  4 Janet Monetary",
                "December Dec 12 12 31 31 31 Janet Monetary",
                "November Nov 11 11 9 09  9 Janet Monetary",
            ],
        ),
        ("05.999 999 9 .99", ["07.008 999 9 ", "59.12 999 9 .12", "00 999 9 "]),
        ("_2006 MST", ["_2023 UTC", "_1999 -0500", "_2024 -0330"]),
    ];

    #[test]
    fn writes_as_go() {
        let times = [
            (1_675_487_167_008_901_234, 0),
            (946_702_799_120_000_000, -18_000),
            (1_731_166_215_000_000_000, -12_615),
        ];
        for (layout, expected) in WRITTEN {
            for ((nanos, offset), expected) in times.iter().zip(expected) {
                assert_eq!(format(*nanos, *offset, layout).as_deref(), Ok(*expected), "{layout}");
            }
        }
    }
}
