//! Metric names: what the OpenTelemetry–Prometheus compatibility specification makes of a metric's
//! name and unit.

/// What decides the suffixes of a metric's name, beside its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// A gauge: unit `1` makes `ratio`.
    Gauge,
    /// A monotonic sum: `total` comes last.
    Counter,
    /// A sum that can fall, a histogram, a summary.
    Other,
}

/// How metric names are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRules {
    /// Put before every name, with an underscore between; empty for none.
    pub namespace: String,
    /// Whether unit and type are appended (`UnderscoreEscapingWithSuffixes`).
    pub has_suffixes: bool,
}

impl Default for NameRules {
    fn default() -> Self {
        Self { namespace: String::new(), has_suffixes: true }
    }
}

impl NameRules {
    /// The Prometheus name of a metric; `None` when nothing of the name is left.
    ///
    /// Units are named, never scaled: milliseconds stay milliseconds.
    #[must_use]
    pub fn metric_name(&self, name: &str, unit: &str, kind: NameKind) -> Option<String> {
        let made = if self.has_suffixes {
            self.with_suffixes(name, unit, kind)
        } else {
            self.without_suffixes(name)
        };
        if made.bytes().all(|byte| byte == b'_') {
            return None;
        }
        if made.starts_with(|first: char| first.is_ascii_digit()) {
            return Some(format!("_{made}"));
        }
        Some(made)
    }

    fn with_suffixes(&self, name: &str, unit: &str, kind: NameKind) -> String {
        let mut tokens: Vec<&str> = name.split(|c: char| !is_name_char(c)).collect();
        tokens.retain(|token| !token.is_empty());
        let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
        let main = unit_token(main, main_unit);
        let per = unit_token(per, per_unit);
        if !main.is_empty() && !tokens.contains(&main.as_str()) {
            tokens.push(&main);
        }
        if !per.is_empty() && !tokens.contains(&per.as_str()) {
            tokens.push("per");
            tokens.push(&per);
        }
        if kind == NameKind::Counter {
            tokens.retain(|token| *token != "total");
            tokens.push("total");
        }
        if kind == NameKind::Gauge && unit == "1" {
            tokens.retain(|token| *token != "ratio");
            tokens.push("ratio");
        }
        if !self.namespace.is_empty() {
            tokens.insert(0, &self.namespace);
        }
        tokens.join("_")
    }

    fn without_suffixes(&self, name: &str) -> String {
        let mut made = joined(name, |c| is_name_char(c) || c == '_');
        if !self.namespace.is_empty() {
            let namespace = joined(&self.namespace, |c| is_name_char(c) || c == '_');
            made = format!("{namespace}_{made}");
        }
        made
    }
}

/// The unit as metadata has it: the words of the name, empty when there are none.
#[must_use]
pub(super) fn unit_words(unit: &str) -> String {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let main = unit_token(main, main_unit);
    let per = unit_token(per, per_unit);
    match (main.is_empty(), per.is_empty()) {
        (_, true) => main,
        (true, false) => format!("per_{per}"),
        (false, false) => format!("{main}_per_{per}"),
    }
}

const fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

/// The runs of kept characters, with one underscore between.
fn joined(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut runs: Vec<&str> = text.split(|c: char| !is_kept(c)).collect();
    runs.retain(|run| !run.is_empty());
    runs.join("_")
}

/// One side of a unit as a token; empty when it is blank or an annotation in braces.
fn unit_token(unit: &str, table: fn(&str) -> Option<&'static str>) -> String {
    let unit = unit.trim();
    if unit.is_empty() || unit.contains(['{', '}']) {
        return String::new();
    }
    if let Some(word) = table(unit) {
        return word.to_owned();
    }
    let mut token = String::with_capacity(unit.len());
    for c in unit.chars() {
        if is_name_char(c) {
            token.push(c);
        } else if !token.is_empty() && !token.ends_with('_') {
            token.push('_');
        }
    }
    token
}

fn main_unit(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        _ => return None,
    })
}

fn per_unit(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, unit: &str, kind: NameKind) -> String {
        NameRules::default().metric_name(name, unit, kind).unwrap_or_default()
    }

    #[test]
    fn names_are_those_of_the_compatibility_specification() {
        let cases = [
            ("http.server.duration", "s", NameKind::Other, "http_server_duration_seconds"),
            ("system.network.io", "By", NameKind::Counter, "system_network_io_bytes_total"),
            ("requests", "{request}", NameKind::Counter, "requests_total"),
            ("mem.utilization", "1", NameKind::Gauge, "mem_utilization_ratio"),
            ("astro.light.speed", "m/s", NameKind::Gauge, "astro_light_speed_meters_per_second"),
            ("2xx.count", "1", NameKind::Counter, "_2xx_count_total"),
            ("system.cpu.utilization", "1", NameKind::Counter, "system_cpu_utilization_total"),
            ("__a__b__", "", NameKind::Other, "a_b"),
            ("a:b.c", "", NameKind::Other, "a:b_c"),
            ("total.requests", "", NameKind::Counter, "requests_total"),
            ("latency.seconds", "s", NameKind::Other, "latency_seconds"),
            ("rate", "{packet}/s", NameKind::Gauge, "rate_per_second"),
            ("rate", "By/{packet}", NameKind::Gauge, "rate_bytes"),
            ("odd", "foo bar/baz", NameKind::Gauge, "odd_foo_bar_per_baz"),
            ("größe", "", NameKind::Gauge, "gr_e"),
            ("x", " ms ", NameKind::Gauge, "x_milliseconds"),
            ("x", "%", NameKind::Gauge, "x_percent"),
        ];
        for (metric, unit, kind, wanted) in cases {
            assert_eq!(name(metric, unit, kind), wanted, "{metric} {unit}");
        }
    }

    #[test]
    fn nothing_is_left_of_a_name_without_legal_characters() {
        assert_eq!(NameRules::default().metric_name("", "", NameKind::Gauge), None);
        assert_eq!(NameRules::default().metric_name("...", "", NameKind::Gauge), None);
    }

    #[test]
    fn namespace_comes_first() {
        let rules = NameRules { namespace: "shop".into(), has_suffixes: true };
        let made = rules.metric_name("2.orders", "", NameKind::Counter);
        assert_eq!(made.as_deref(), Some("shop_2_orders_total"));
    }

    #[test]
    fn without_suffixes_underscores_stay() {
        let rules = NameRules { namespace: String::new(), has_suffixes: false };
        let name = |text: &str| rules.metric_name(text, "s", NameKind::Counter).unwrap();
        assert_eq!(name("http.server__duration"), "http_server__duration");
        assert_eq!(name("2.x"), "_2_x");
        let rules = NameRules { namespace: "n.s".into(), has_suffixes: false };
        assert_eq!(rules.metric_name("a", "", NameKind::Gauge).as_deref(), Some("n_s_a"));
    }

    #[test]
    fn unit_of_metadata_is_in_words() {
        assert_eq!(unit_words("By/s"), "bytes_per_second");
        assert_eq!(unit_words("{x}/s"), "per_second");
        assert_eq!(unit_words("1"), "");
    }
}
