//! The query language, and searches over everything that can be searched.

mod lexer;
mod parser;
mod search;

pub use parser::{MAX_CONDITIONS, MAX_QUERY_BYTES, QueryError, parse};
pub use search::{search, visit};

#[cfg(test)]
mod tests;
