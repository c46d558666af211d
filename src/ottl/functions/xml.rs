//! Converters that change XML.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Answer, Args, Function, Kind, Prepared, needed, optional, pure};
use crate::ottl::error::EvalError;
use crate::ottl::go::xml::{self, XPath};
use crate::ottl::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    pure(
        "ConvertAttributesToElementsXML",
        &[needed("target", Kind::Str), optional("xpath", Kind::Prepared(attributes_path))],
        convert_attributes,
    ),
    pure(
        "ConvertTextToElementsXML",
        &[
            needed("target", Kind::Str),
            optional("xpath", Kind::Prepared(texts_path)),
            optional("elementName", Kind::Str),
        ],
        convert_text,
    ),
    pure("GetXML", &[needed("target", Kind::Str), needed("xpath", Kind::Prepared(path))], get),
    pure(
        "InsertXML",
        &[
            needed("target", Kind::Str),
            needed("xpath", Kind::Prepared(path)),
            needed("value", Kind::Str),
        ],
        insert,
    ),
    pure(
        "RemoveXML",
        &[needed("target", Kind::Str), needed("xpath", Kind::Prepared(path))],
        remove,
    ),
];

fn path(text: &str) -> Result<Prepared, String> {
    Ok(Arc::new(XPath::compile(text).map_err(|refusal| refusal.to_string())?))
}

/// All attributes if it is left out.
fn attributes_path(text: &str) -> Result<Prepared, String> {
    path(if text.is_empty() { "//@*" } else { text })
}

/// The whole document if it is left out.
fn texts_path(text: &str) -> Result<Prepared, String> {
    path(if text.is_empty() { "/" } else { text })
}

fn prepared(args: &mut Args<'_>) -> Result<Arc<XPath>, EvalError> {
    args.prepared(1)
}

fn convert_attributes(mut args: Args<'_>) -> Answer<'_> {
    let path = prepared(&mut args)?;
    Ok(Value::from(xml::convert_attributes(&args.str(0), &path)?))
}

fn convert_text(mut args: Args<'_>) -> Answer<'_> {
    let path = prepared(&mut args)?;
    let name = args.text(2).unwrap_or(Cow::Borrowed("value"));
    Ok(Value::from(xml::convert_text(&args.str(0), &path, &name)?))
}

fn get(mut args: Args<'_>) -> Answer<'_> {
    let path = prepared(&mut args)?;
    Ok(Value::from(xml::get_xml(&args.str(0), &path)?))
}

fn insert(mut args: Args<'_>) -> Answer<'_> {
    let path = prepared(&mut args)?;
    let value = args.str(2);
    Ok(Value::from(xml::insert_xml(&args.str(0), &path, &value)?))
}

fn remove(mut args: Args<'_>) -> Answer<'_> {
    let path = prepared(&mut args)?;
    Ok(Value::from(xml::remove_xml(&args.str(0), &path)?))
}
