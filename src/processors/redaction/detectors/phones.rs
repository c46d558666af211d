//! Telephone numbers.

use std::ops::Range;

use super::haystack::{Haystack, digit, is_word};

/// How many digits an international number has at the most (ITU-T E.164, 6.1).
const MAX_DIGITS: usize = 15;
/// Shorter ones are taken for something else.
const MIN_DIGITS: usize = 8;
/// A number of North America, with its country code.
const NORTH_AMERICAN_DIGITS: usize = 11;

/// A number with `+` and a country code; the trigger is the `+`.
pub(super) fn international(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let first = text.at(run.end);
    if !matches!(first, b'1'..=b'9') || is_word(text.before(run.start, 1)) {
        return None;
    }
    let max_digits = if first == b'1' { NORTH_AMERICAN_DIGITS } else { MAX_DIGITS };
    let mut prefix = 0u16;
    let (mut num_digits, mut end) = (0, run.end);
    loop {
        let byte = text.at(end);
        if byte.is_ascii_digit() {
            if num_digits < 3 {
                prefix = prefix * 10 + u16::from(digit(byte));
            }
            num_digits += 1;
            end += 1;
            continue;
        }
        let gap = text.run(end, 2, |byte| matches!(byte, b' ' | b'-' | b'.' | b'(' | b')'));
        let is_full = num_digits == max_digits;
        if is_full || gap == end || !text.at(gap).is_ascii_digit() {
            break;
        }
        end = gap;
    }
    let is_length = match first {
        b'1' => num_digits == NORTH_AMERICAN_DIGITS,
        _ => (MIN_DIGITS..=MAX_DIGITS).contains(&num_digits),
    };
    (is_length && has_country(prefix) && !is_word(text.at(end))).then_some(run.start..end)
}

/// Whether a number that begins with these three digits has an assigned country code (ITU's list
/// of E.164 country codes).
const fn has_country(prefix: u16) -> bool {
    matches!(
        prefix,
        100..=199 | 200..=209 | 211..=213 | 216 | 218 | 220..=258 | 260..=269 | 270..=279
            | 290 | 291 | 297..=299 | 300..=349 | 350..=359 | 360..=369 | 370..=378 | 380..=383
            | 385..=387 | 389 | 390..=419 | 420 | 421 | 423 | 430..=499 | 500..=509 | 510..=589
            | 590..=599 | 600..=669 | 670 | 672..=683 | 685..=692 | 700..=799 | 800 | 808
            | 810..=829 | 840..=849 | 850 | 852 | 853 | 855 | 856 | 860..=869 | 870 | 878
            | 880..=883 | 886 | 888 | 900..=959 | 960..=968 | 970..=977 | 979 | 980..=989
            | 992..=996 | 998
    )
}

/// A number of North America without a country code, `212-555-0187`, `212.555.0187` or
/// `(212) 555-0187`; the trigger is its area.
pub(super) fn north_american(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    if run.len() != 3 || !is_area(text, run.start) {
        return None;
    }
    let next = text.at(run.end);
    let (start, exchange, separator) = match next {
        b')' => {
            let start = text.start_of(run.start, b"(")?;
            let is_apart = matches!(text.at(run.end + 1), b' ' | b'-');
            (start, run.end + 1 + usize::from(is_apart), b'-')
        }
        b'-' | b'.' => (with_trunk(text, run.start, next), run.end + 1, next),
        _ => return None,
    };
    let previous = text.before(start, 1);
    if is_word(previous) || previous == next {
        return None;
    }
    let subscriber = text.run(exchange, 4, |byte| byte.is_ascii_digit());
    if subscriber != exchange + 3 || text.at(subscriber) != separator {
        return None;
    }
    let end = text.run(subscriber + 1, 5, |byte| byte.is_ascii_digit());
    let is_number = end == subscriber + 5 && matches!(text.at(exchange), b'2'..=b'9');
    let goes_on = text.at(end) == separator && text.at(end + 1).is_ascii_digit();
    (is_number && !is_word(text.at(end)) && !goes_on).then_some(start..end)
}

/// Whether there is an area of this number: not 0 or 1 at first, not as `911`.
fn is_area(text: Haystack<'_>, start: usize) -> bool {
    let is_service = text.at(start + 1) == b'1' && text.at(start + 2) == b'1';
    matches!(text.at(start), b'2'..=b'9') && !is_service
}

/// Where the number begins if a `1` stands before its area.
fn with_trunk(text: Haystack<'_>, start: usize, separator: u8) -> usize {
    text.start_of(start, &[b'1', separator]).unwrap_or(start)
}
