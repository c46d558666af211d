//! Numbers of cards and bank accounts.

use std::ops::Range;

use smallvec::SmallVec;

use super::haystack::{Haystack, digit, is_word};

/// The digits of a number.
type Digits = SmallVec<[u8; 20]>;

/// The longest number of a card (ISO/IEC 7812).
const MAX_CARD: usize = 19;
/// Of these lengths numbers of cards are that stand as one.
const CARD_LENGTHS: std::ops::RangeInclusive<usize> = 13..=MAX_CARD;
/// How numbers of cards are written in groups, the longer before their beginnings.
const CARD_GROUPS: [&[usize]; 4] = [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];

/// The number of a card, in one or in groups that spaces or dashes separate.
pub(super) fn credit_card(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let separator = text.at(run.end);
    if CARD_LENGTHS.contains(&run.len()) {
        let digits = text.slice(run.start, run.end).iter().copied().map(digit).collect();
        return is_card_at(text, &run, &digits).then_some(run);
    }
    if run.len() != 4 || !matches!(separator, b' ' | b'-') {
        return None;
    }
    CARD_GROUPS.iter().find_map(|groups| {
        let mut digits = Digits::new();
        let mut end = run.start;
        for (index, length) in groups.iter().enumerate() {
            if index > 0 {
                end = (text.at(end) == separator).then_some(end + 1)?;
            }
            let group_end = text.run(end, length + 1, |byte| byte.is_ascii_digit());
            if group_end - end != *length {
                return None;
            }
            digits.extend(text.slice(end, group_end).iter().copied().map(digit));
            end = group_end;
        }
        let range = run.start..end;
        is_card_at(text, &range, &digits).then_some(range)
    })
}

fn is_card_at(text: Haystack<'_>, range: &Range<usize>, digits: &Digits) -> bool {
    // Not a negative number, nor one in a name such as `blk_-1608999687919862906`.
    let is_negative =
        text.before(range.start, 1) == b'-' && !text.before(range.start, 2).is_ascii_alphanumeric();
    !is_negative
        && text.is_number_start(range.start)
        && text.is_number_end(range.end)
        && is_of_network(digits)
        && has_luhn_digit(digits)
}

/// Whether a network gives out numbers with this beginning and length.
fn is_of_network(digits: &Digits) -> bool {
    let length = digits.len();
    let prefix = digits.iter().take(4).fold(0u16, |sum, digit| sum * 10 + u16::from(*digit));
    match prefix {
        // Visa.
        4000..=4999 => matches!(length, 13 | 16 | 19),
        // Mastercard.
        5100..=5599 | 2221..=2720 => length == 16,
        // American Express.
        3400..=3499 | 3700..=3799 => length == 15,
        // Diners Club.
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => (14..=MAX_CARD).contains(&length),
        // Discover, JCB, UnionPay.
        6011 | 6440..=6599 | 3528..=3589 | 6200..=6299 => (16..=MAX_CARD).contains(&length),
        // Maestro.
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => true,
        _ => false,
    }
}

/// Whether the last digit is that of Luhn's formula (ISO/IEC 7812-1, annex B).
fn has_luhn_digit(digits: &Digits) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let doubled = u32::from(*digit) << (index % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// An IBAN, in one or in groups of four; the trigger is its check digits.
pub(super) fn iban(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let country = [text.before(run.start, 2), text.before(run.start, 1)];
    if run.len() < 2 || !country.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    let start = text.start_of(run.start, &country)?;
    let length = iban_length(country)?;
    if is_word(text.before(start, 1)) {
        return None;
    }
    let mut letters = SmallVec::<[u8; 36]>::new();
    let mut end = start;
    while letters.len() < length {
        let is_between = !letters.is_empty() && letters.len().is_multiple_of(4);
        if is_between && text.at(end) == b' ' {
            end += 1;
        }
        let letter = text.at(end);
        if !letter.is_ascii_uppercase() && !letter.is_ascii_digit() {
            return None;
        }
        letters.push(letter);
        end += 1;
    }
    (!is_word(text.at(end)) && has_check_digits(&letters)).then_some(start..end)
}

/// Whether the number modulo 97 is 1 when its first four letters stand last and letters are numbers
/// from 10 on (ISO 13616-1, ISO/IEC 7064).
fn has_check_digits(letters: &[u8]) -> bool {
    let Some((first, rest)) = letters.split_at_checked(4) else { return false };
    let remainder = rest.iter().chain(first).fold(0u32, |remainder, letter| match letter {
        b'0'..=b'9' => (remainder * 10 + u32::from(digit(*letter))) % 97,
        _ => (remainder * 100 + u32::from(letter.wrapping_sub(b'A')) + 10) % 97,
    });
    remainder == 1
}

/// How long the IBANs of a country are (SWIFT's IBAN registry).
const fn iban_length(country: [u8; 2]) -> Option<usize> {
    Some(match &country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FK" | b"FO" | b"GL" | b"NL" | b"SD" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"MN" | b"XK" => 20,
        b"CH" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"CR" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"OM" | b"SO" | b"TL" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"LY" | b"PT" | b"ST" => 25,
        b"IS" | b"TR" => 26,
        b"BI" | b"DJ" | b"FR" | b"GR" | b"IT" | b"MC" | b"MR" | b"SM" => 27,
        b"AL" | b"AZ" | b"BY" | b"CY" | b"DO" | b"GT" | b"HN" | b"HU" | b"LB" | b"NI" | b"PL"
        | b"SV" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" | b"YE" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        b"RU" => 33,
        _ => return None,
    })
}
