//! Did-you-mean: the name that a misspelt one was probably meant to be.

/// The candidate that is closest to `name`, if any is close.
///
/// Case, `-` against `_`, and camelCase do not count as differences.
#[must_use]
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = normalized(name);
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates.iter().copied() {
        let distance = strsim::osa_distance(&wanted, &normalized(candidate));
        if candidate != name && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    let (distance, nearest) = best?;
    let tolerated = (wanted.chars().count().max(3) / 3).min(4);
    let longer = candidates.into_iter().find(|candidate| is_part(&wanted, candidate));
    // `size` is rather `queue_size` than `sizer`.
    let is_misspelt = distance <= tolerated && (wanted.len() > 4 || longer.is_none());
    if is_misspelt { Some(nearest) } else { longer }
}

/// "did you mean `x`?", if a candidate is close to `name`.
#[must_use]
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    closest(name, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// The names in backticks, with commas.
pub(super) fn quoted_list<T: AsRef<str>>(names: &[T]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    quoted.join(", ")
}

/// Whether `part` is the first or last words of `whole`.
fn is_part(part: &str, whole: &str) -> bool {
    let rest = whole.strip_prefix(part).is_some_and(|rest| rest.starts_with('_'));
    part.len() > 2 && (rest || whole.strip_suffix(part).is_some_and(|rest| rest.ends_with('_')))
}

fn normalized(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut was_lower = false;
    for char in name.chars() {
        if char.is_uppercase() && was_lower {
            plain.push('_');
        }
        was_lower = char.is_lowercase();
        plain.extend(if char == '-' { '_' } else { char }.to_lowercase());
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_close_and_nothing_else() {
        let keys = ["endpoint", "max_recv_msg_size_mib", "tls"];
        assert_eq!(closest("endpont", keys), Some("endpoint"));
        assert_eq!(closest("Endpoint", keys), Some("endpoint"));
        assert_eq!(closest("maxRecvMsgSizeMib", keys), Some("max_recv_msg_size_mib"));
        assert_eq!(closest("max-recv-msg-size-mib", keys), Some("max_recv_msg_size_mib"));
        assert_eq!(closest("tsl", keys), Some("tls"));
        assert_eq!(closest("cert", ["cert_file", "cert_pem"]), Some("cert_file"));
        assert_eq!(closest("size", ["sizer", "queue_size"]), Some("queue_size"));
        assert_eq!(closest("compression", keys), None);
        assert_eq!(closest("x", ["y"]), Some("y"));
        assert_eq!(closest("", []), None);
    }
}
