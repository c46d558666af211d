//! Converters that read formats.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;

use super::trees::tree;
use super::{Answer, Args, Function, Kind, Param, Prepared, needed, optional, pure};
use crate::ottl::error::EvalError;
use crate::ottl::go::csv::Quotes;
use crate::ottl::go::grok::Grok;
use crate::ottl::go::{
    Refusal, Tree, cef, clf, csv, elf, json, leef, pairs, re2, severity, url, xml,
};
use crate::ottl::value::{Map, Value};

const TARGET: &[Param] = &[needed("target", Kind::Str)];
const MODES: Kind = Kind::Word(&["strict", "lazyQuotes", "ignoreQuotes"]);

pub(super) const FUNCTIONS: &[Function] = &[
    pure(
        "ExtractPatterns",
        &[needed("target", Kind::Str), needed("pattern", Kind::Prepared(named_groups))],
        extract_patterns,
    ),
    pure(
        "ExtractGrokPatterns",
        &[
            needed("target", Kind::Str),
            needed("pattern", Kind::Prepared(grok)),
            optional("namedCapturesOnly", Kind::Bool),
            optional("patternDefinitions", Kind::List),
        ],
        extract_grok,
    ),
    pure(
        "ParseCSV",
        &[
            needed("target", Kind::Str),
            needed("headers", Kind::Str),
            optional("delimiter", Kind::Str),
            optional("headerDelimiter", Kind::Str),
            optional("mode", MODES),
        ],
        parse_csv,
    ),
    pure("ParseJSON", TARGET, parse_json),
    pure(
        "ParseKeyValue",
        &[
            needed("target", Kind::Str),
            optional("delimiter", Kind::Str),
            optional("pair_delimiter", Kind::Str),
        ],
        parse_key_value,
    ),
    pure(
        "ParseSeverity",
        &[needed("target", Kind::Any), needed("severityMapping", Kind::Map)],
        parse_severity,
    ),
    pure("ParseSimplifiedXML", TARGET, parse_simplified_xml),
    pure("ParseXML", TARGET, parse_xml),
    pure("URL", &[needed("url_string", Kind::Str)], parse_url),
    pure("ParseCEF", TARGET, parse_cef),
    pure(
        "ParseCLF",
        &[needed("target", Kind::Str), optional("format", Kind::Word(&["clf", "combined"]))],
        parse_clf,
    ),
    pure("ParseELF", TARGET, parse_elf),
    pure("ParseLEEF", TARGET, parse_leef),
];

/// A regular expression with a named group at least.
fn named_groups(pattern: &str) -> Result<Prepared, String> {
    let regex = re2::compile(pattern).map_err(|refusal| refusal.to_string())?;
    if regex.capture_names().flatten().next().is_none() {
        return Err("the regular expression has no named group: write `(?P<name>…)`".to_owned());
    }
    Ok(Arc::new(regex))
}

fn extract_patterns(mut args: Args<'_>) -> Answer<'_> {
    let text = args.str(0);
    let regex = args.prepared::<Regex>(1)?;
    let mut map = Vec::new();
    if let Some(captures) = regex.captures(&text) {
        for name in regex.capture_names().flatten() {
            let value = captures.name(name).map_or("", |group| group.as_str());
            map.push((Cow::Owned(name.to_owned()), Value::from(value.to_owned())));
        }
    }
    Ok(Value::Map(Map::Owned(map)))
}

/// A grok expression, compiled when the rest of its arguments is known.
struct LazyGrok {
    pattern: String,
    made: Mutex<Option<(Options, Arc<Grok>)>>,
}

#[derive(PartialEq)]
struct Options {
    is_named_only: bool,
    definitions: Vec<String>,
}

fn grok(pattern: &str) -> Result<Prepared, String> {
    Ok(Arc::new(LazyGrok { pattern: pattern.to_owned(), made: Mutex::default() }))
}

impl LazyGrok {
    fn with(&self, options: Options) -> Result<Arc<Grok>, Refusal> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, grok)) = made.as_ref().filter(|(own, _)| *own == options) {
            return Ok(Arc::clone(grok));
        }
        let definitions: Vec<&str> = options.definitions.iter().map(String::as_str).collect();
        let grok = Arc::new(Grok::compile(&self.pattern, options.is_named_only, &definitions)?);
        *made = Some((options, Arc::clone(&grok)));
        Ok(grok)
    }
}

fn extract_grok(mut args: Args<'_>) -> Answer<'_> {
    let text = args.str(0);
    let is_named_only = args.bool(2).unwrap_or_default();
    let mut definitions = Vec::new();
    for definition in args.list(3).iter() {
        match definition {
            Value::Str(text) => definitions.push(text.into_owned()),
            other => return Err(EvalError::expected("definitions as strings", &other)),
        }
    }
    let grok = args.prepared::<LazyGrok>(1)?.with(Options { is_named_only, definitions })?;
    Ok(grok.extract(&text)?.into())
}

fn parse_csv(mut args: Args<'_>) -> Answer<'_> {
    let (target, headers) = (args.str(0), args.str(1));
    let delimiter = args.text(2).unwrap_or(Cow::Borrowed(","));
    let header_delimiter = args.text(3).unwrap_or_else(|| delimiter.clone());
    let quotes = match &*args.str(4) {
        "lazyQuotes" => Quotes::Lazy,
        "ignoreQuotes" => Quotes::Ignored,
        _ => Quotes::Strict,
    };
    Ok(csv::parse_csv(&target, &headers, (&delimiter, &header_delimiter), quotes)?.into())
}

fn parse_json(mut args: Args<'_>) -> Answer<'_> {
    Ok(json::parse_json(&args.str(0))?.into())
}

fn parse_key_value(mut args: Args<'_>) -> Answer<'_> {
    let target = args.str(0);
    let values = args.text(1).unwrap_or(Cow::Borrowed("="));
    let separator = args.text(2).unwrap_or(Cow::Borrowed(" "));
    Ok(pairs::parse_key_value(&target, &values, &separator)?.into())
}

fn parse_severity(mut args: Args<'_>) -> Answer<'_> {
    let target = tree(&args.take(0));
    let mapping = match tree(&Value::Map(args.map(1))) {
        Tree::Map(mapping) => mapping,
        _ => Vec::new(),
    };
    Ok(Value::from(severity::parse_severity(&target, &mapping)?))
}

fn parse_simplified_xml(mut args: Args<'_>) -> Answer<'_> {
    Ok(xml::parse_simplified_xml(&args.str(0))?.into())
}

fn parse_xml(mut args: Args<'_>) -> Answer<'_> {
    Ok(xml::parse_xml(&args.str(0))?.into())
}

fn parse_url(mut args: Args<'_>) -> Answer<'_> {
    Ok(url::parse_url(&args.str(0))?.into())
}

fn parse_cef(mut args: Args<'_>) -> Answer<'_> {
    Ok(cef::parse_cef(&args.str(0))?.into())
}

fn parse_clf(mut args: Args<'_>) -> Answer<'_> {
    let target = args.str(0);
    let format = match &*args.str(1) {
        "combined" => clf::Format::Combined,
        _ => clf::Format::Common,
    };
    Ok(clf::parse_clf(&target, format)?.into())
}

fn parse_elf(mut args: Args<'_>) -> Answer<'_> {
    Ok(elf::parse_elf(&args.str(0))?.into())
}

fn parse_leef(mut args: Args<'_>) -> Answer<'_> {
    Ok(leef::parse_leef(&args.str(0))?.into())
}
