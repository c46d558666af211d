//! The page on the language is made of what there is.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::*;

/// Editors and converters of the language's reference.
const REFERENCE: &str = "
append delete_index delete_key delete_matching_keys keep_matching_keys flatten keep_keys limit merge_maps
replace_all_matches replace_all_patterns replace_match replace_pattern set stringify_all truncate_all

IsBool IsDouble IsEmpty IsInt IsList IsMap IsMatch IsString IsRootSpan IsInCIDR IsValidLuhn
Bool Double Int String Hex ParseInt TraceID SpanID ProfileID
Concat ConvertCase Format HasPrefix HasSuffix Index Len Split Substring ToCamelCase ToLowerCase ToSnakeCase ToUpperCase
Trim TrimPrefix TrimSuffix ToKeyValueString
Base64Decode Base64Encode Decode
FNV MD5 Murmur3Hash Murmur3Hash128 SHA1 SHA256 SHA512 XXH3 XXH128 CommunityID
ExtractPatterns ExtractGrokPatterns ParseCSV ParseJSON ParseKeyValue ParseSeverity ParseSimplifiedXML ParseXML URL
UserAgent
ConvertAttributesToElementsXML ConvertTextToElementsXML GetXML InsertXML RemoveXML
Now Time FormatTime TruncateTime Unix UnixNano UnixMicro UnixMilli UnixSeconds Duration Nanosecond Nanoseconds Microseconds
Milliseconds Second Seconds Minute Minutes Hour Hours Day Weekday Month Year
Coalesce ContainsValue Keys Values SliceToMap Sort
All Any Filter Find MapEach MapKeys Reduce When
Log UUID UUIDv7
ParseCEF ParseCLF ParseELF ParseLEEF";

/// The page up to the tables.
const MARK: &str = "<!-- made by a test of what there is -->\n";

fn tables() -> String {
    let mut text = "## Functions\n\n| function | parameters | state |\n|---|---|---|\n".to_owned();
    for name in REFERENCE.split_whitespace() {
        let (parameters, state) = match Functions::default().find(name) {
            Some(function) => {
                let param = |param: &Param| {
                    let name = match param.is_optional {
                        true => format!("[{}]", param.name),
                        false => param.name.to_owned(),
                    };
                    format!("{name}: {}", param.kind.name())
                };
                let params: Vec<String> = function.params.iter().map(param).collect();
                (params.join(", "), "there".to_owned())
            }
            None => {
                let missing = MISSING.iter().find(|(missing, _)| *missing == name);
                let (_, instead) = missing.unwrap_or_else(|| panic!("`{name}` is nowhere"));
                (String::new(), format!("refused at start: {instead}"))
            }
        };
        writeln!(text, "| `{name}` | {parameters} | {state} |").unwrap();
    }
    text.push_str("\n## Paths\n\nBesides, every context has `cache`, a map for each of what statements are run on.\n\n");
    text.push_str("| path | holds | written |\n|---|---|---|\n");
    for path in PATHS {
        let (context, name, kind) = (path.context.name(), path.name, path.kind());
        let keys = if path.takes_keys() { ", keys" } else { "" };
        let written = if path.is_writable() { "yes" } else { "no" };
        writeln!(text, "| `{context}.{name}` | {kind}{keys} | {written} |").unwrap();
    }
    text
}

#[test]
fn page_lists_what_there_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/ottl.md");
    let page = fs::read_to_string(&path).unwrap();
    let (text, found) = page.split_once(MARK).expect("the page has the mark");
    let tables = tables();
    if std::env::var_os("CATCHMENT_UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{text}{MARK}\n{tables}")).unwrap();
        return;
    }
    assert_eq!(found.trim(), tables.trim(), "run this with CATCHMENT_UPDATE_DOCS=1");
}

#[test]
fn what_is_missing_is_not_there() {
    for (name, _) in MISSING {
        assert!(Functions::default().find(name).is_none(), "`{name}` is there and missing");
        assert!(REFERENCE.split_whitespace().any(|known| known == *name), "`{name}`");
    }
    for function in Functions::default().iter() {
        let is_known = REFERENCE.split_whitespace().any(|known| known == function.name);
        assert!(is_known, "`{}` is not in the reference", function.name);
    }
}
