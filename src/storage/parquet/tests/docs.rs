//! The documentation lists the columns that there are.

use std::fmt::Write as _;

use crate::data::Signal;
use crate::storage::parquet::columns_of::{
    EVENT, EXEMPLAR, LINK, LOGS, METRICS, QUANTILE, SHARED, TRACES,
};
use crate::storage::parquet::schema::{Column, Kind, arrow_schema, columns, parquet_schema};

/// A table of columns as the documentation has it.
fn table(columns: &[Column]) -> String {
    let mut text = "| column | type | null | what |\n|---|---|---|---|\n".to_owned();
    for column in columns {
        let null = if column.is_optional { "yes" } else { "no" };
        let (name, kind, doc) = (&column.name, kind_text(&column.kind), &column.doc);
        writeln!(text, "| `{name}` | {kind} | {null} | {doc} |").unwrap();
    }
    text
}

/// A type as the documentation writes it.
fn kind_text(kind: &Kind) -> String {
    match kind {
        Kind::Time => "TIMESTAMP(MICROS, UTC)".to_owned(),
        Kind::Int32 => "INT32".to_owned(),
        Kind::Int64 => "INT64".to_owned(),
        Kind::Double => "DOUBLE".to_owned(),
        Kind::Bool => "BOOLEAN".to_owned(),
        Kind::Text => "STRING".to_owned(),
        Kind::Binary => "BINARY".to_owned(),
        Kind::Fixed(length) => format!("FIXED({length})"),
        Kind::Map => "MAP<STRING, STRING>".to_owned(),
        Kind::List(inner) => format!("LIST<{}>", kind_text(inner)),
        Kind::Rows(_) => "LIST<STRUCT>".to_owned(),
    }
}

#[test]
fn documentation_lists_the_columns() {
    let page = include_str!("../../../docs/parquet.md");
    let tables = [SHARED, LOGS, TRACES, EVENT, LINK, METRICS, QUANTILE, EXEMPLAR];
    let missing: Vec<String> =
        tables.into_iter().map(table).filter(|table| !page.contains(table)).collect();
    assert!(missing.is_empty(), "these tables should be there:\n\n{}", missing.join("\n"));
    let num_rows = page.lines().filter(|line| line.starts_with("| `") && line.ends_with(" |"));
    let num_columns: usize = tables.iter().map(|table| table.len()).sum();
    let is_column = |line: &&str| line.contains(" | no | ") || line.contains(" | yes | ");
    assert_eq!(num_rows.filter(is_column).count(), num_columns);
}

#[test]
fn columns_have_the_same_leaves_in_arrow_and_parquet() {
    for signal in Signal::ALL {
        let columns = columns(signal, &["http.route".to_owned()]);
        let parquet = parquet_schema(&columns).unwrap();
        let leaves = crate::storage::parquet::schema::leaves(&columns);
        let paths: Vec<_> =
            parquet.columns().iter().map(|leaf| leaf.path().parts().to_vec()).collect();
        assert_eq!(leaves.iter().map(|leaf| leaf.path.clone()).collect::<Vec<_>>(), paths);
        assert_eq!(arrow_schema(&columns).fields().len(), columns.len());
        assert!(paths.contains(&vec!["http_route".to_owned()]));
    }
}
