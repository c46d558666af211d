//! Formats of times in letters, such as `%Y-%m-%d`, as layouts of Go.

use super::{Answer, Refusal};

/// Letters and what they stand for in a layout.
const DIRECTIVES: [(char, &str); 40] = [
    ('Y', "2006"),
    ('y', "06"),
    ('m', "01"),
    ('o', "_1"),
    ('q', "1"),
    ('b', "Jan"),
    ('h', "Jan"),
    ('B', "January"),
    ('d', "02"),
    ('e', "_2"),
    ('g', "2"),
    ('a', "Mon"),
    ('A', "Monday"),
    ('H', "15"),
    ('l', "3"),
    ('I', "03"),
    ('p', "PM"),
    ('P', "pm"),
    ('M', "04"),
    ('S', "05"),
    ('L', "999"),
    ('f', "999999"),
    ('s', "999999999"),
    ('Z', "MST"),
    ('z', "Z0700"),
    ('w', "-070000"),
    ('i', "-07"),
    ('j', "-07:00"),
    ('k', "-07:00:00"),
    ('D', "01/02/2006"),
    ('x', "01/02/2006"),
    ('F', "2006-01-02"),
    ('T', "15:04:05"),
    ('X', "15:04:05"),
    ('r', "03:04:05 pm"),
    ('R', "15:04"),
    ('n', "\n"),
    ('t', "\t"),
    ('%', "%"),
    ('c', "Mon Jan 02 15:04:05 2006"),
];

/// Other layouts of letters that are read too: without leading zeros, and offsets in all forms.
const READ_TOO: [(char, &[&str]); 16] = [
    ('m', &["1"]),
    ('o', &["1"]),
    ('q', &["1"]),
    ('d', &["2"]),
    ('e', &["2"]),
    ('g', &["2"]),
    ('I', &["3"]),
    ('M', &["4"]),
    ('S', &["5"]),
    ('D', &["1/2/2006", "1/2/06"]),
    ('x', &["1/2/2006", "1/2/06"]),
    ('F', &["2006-1-2"]),
    ('T', &["15:4:5"]),
    ('X', &["15:4:5"]),
    ('r', &["3:4:5 pm"]),
    ('z', &["Z0700", "Z07:00", "Z07"]),
];

/// No format has more layouts than these.
const MAX_LAYOUTS: usize = 16;

/// The layouts by which times of a format are read, in the order in which they are tried.
///
/// # Errors
///
/// As [`to_layout`].
pub fn to_read_layouts(format: &str) -> Answer<Vec<String>> {
    to_layout(format)?;
    let mut layouts = vec![String::new()];
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        let directive = if letter == '%' { letters.next() } else { None };
        let Some(directive) = directive else {
            layouts.iter_mut().for_each(|layout| layout.push(letter));
            continue;
        };
        let texts =
            READ_TOO.iter().find(|(letter, _)| *letter == directive).map(|(_, texts)| *texts);
        let plain = DIRECTIVES.iter().find(|(letter, _)| *letter == directive);
        let plain = plain.map_or("", |(_, text)| *text);
        let texts: &[&str] = match (texts, directive) {
            (Some(texts), _) => texts,
            (None, 'R') => &["15:4"],
            (None, 'c') => &["Mon Jan 2 15:4:5 2006"],
            _ => &[plain],
        };
        layouts = texts
            .iter()
            .flat_map(|text| layouts.iter().map(move |layout| format!("{layout}{text}")))
            .take(MAX_LAYOUTS)
            .collect();
    }
    Ok(layouts)
}

/// The layout of a format, by which times are written.
///
/// # Errors
///
/// Fails for an empty format, a letter without meaning, digits, and fractions of a second that do
/// not follow a point or comma.
pub fn to_layout(format: &str) -> Answer<String> {
    if format.is_empty() {
        return Err(Refusal::new("the format of a time must not be empty"));
    }
    let refuse =
        |reason: String| Refusal::new(format!("`{format}` is not a format of times: {reason}"));
    if format.contains(|letter: char| letter.is_ascii_digit()) {
        return Err(refuse("it has digits".to_owned()));
    }
    let mut layout = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            layout.push(letter);
            continue;
        }
        let Some(directive) = letters.next() else {
            layout.push('%');
            break;
        };
        let found = DIRECTIVES.iter().find(|(letter, _)| *letter == directive);
        let Some((_, text)) = found else {
            return Err(refuse(format!("there is no `%{directive}`")));
        };
        let is_fraction = matches!(directive, 'L' | 'f' | 's');
        if is_fraction && !layout.is_empty() && !layout.ends_with(['.', ',']) {
            return Err(refuse(format!("`%{directive}` must follow a point or a comma")));
        }
        layout.push_str(text);
    }
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_become_layouts() {
        // The table in the Collector's documentation of Time.
        let cases = [
            ("%Y-%m-%dT%H:%M:%S", "2006-01-02T15:04:05"),
            ("%A %h %e %Y", "Monday Jan _2 2006"),
            ("%H:%M:%S,%L", "15:04:05,999"),
            ("%F %T.%f %z %Z", "2006-01-02 15:04:05.999999 Z0700 MST"),
            ("100%%".get(3..).unwrap(), "%"),
        ];
        for (format, layout) in cases {
            assert_eq!(to_layout(format).as_deref(), Ok(layout));
        }
        for wrong in ["", "%E", "%Y 2", "%S%L", "%S %f", "%N"] {
            assert!(to_layout(wrong).is_err(), "{wrong}");
        }
    }
}
