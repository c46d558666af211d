//! Which records a stage is for: conditions of `include` and `exclude`, as the Collector's
//! processors share them.

mod attributes;
mod matcher;
mod selection;
mod settings;
mod texts;

pub use matcher::{MatchError, Matcher};
pub use selection::{Selection, Selector};
pub use settings::{
    AttributeMatch, LibraryMatch, MatchSettings, MatchType, RegexpSettings, SeverityMatch,
};
