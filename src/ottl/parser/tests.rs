use proptest::prelude::*;

use super::*;
use crate::config::{Node, TextProblems, from_node, render};

/// The tree without places.
fn reprinted(text: &str) -> String {
    parse_statement(text).map(|statement| statement.to_string()).unwrap()
}

#[test]
fn statements_are_read() {
    for text in [
        r#"set(log.attributes["a"], "b")"#,
        r#"set(attributes["a"]["b"][0], 1) where true"#,
        r#"replace_pattern(body, "k=(\\w+)", "$1", function=SHA256, replacement_format="h=%s")"#,
        r#"set(x, {"a": [1, -2.5, nil], "b": {}}) where not (a == 1 or b != 0x00ff) and IsMatch(c, "d")"#,
        r#"set(x, (a + 1) * 2 - 3 / ParseJSON(body)["n"]["m"])"#,
        r#"keep_keys(attributes, ["a", "b"]) where kind == SPAN_KIND_SERVER and d >= 1.0e300"#,
    ] {
        assert_eq!(reprinted(text), text);
    }
}

#[test]
fn not_binds_more_than_and_more_than_or() {
    let left = parse_condition("not a == 1 and b == 2 or c == 3").unwrap();
    let right = parse_condition("((not (a == 1)) and (b == 2)) or (c == 3)").unwrap();
    assert_eq!(left.to_string(), right.to_string());
    assert_eq!(parse_value("1 - 2 - 3").unwrap().to_string(), "1 - 2 - 3");
    assert_eq!(parse_value("1 - (2 - 3)").unwrap().to_string(), "1 - (2 - 3)");
    assert_eq!(parse_value("1-2").unwrap().to_string(), "1 - 2");
}

#[test]
fn strings_have_the_escapes_of_go() {
    let value = |text: &str| parse_value(text).map(|value| value.kind);
    let text = |text: &str| Ok(ExprKind::Literal(Literal::Str(text.to_owned())));
    assert_eq!(value(r#""\t\"\\\x41\u00e9\U0001F600\101""#), text("\t\"\\Aé😀A"));
    assert_eq!(value(r#""\xff""#).unwrap_err().message, "the string is not valid UTF-8");
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        Just(Literal::Nil),
        any::<bool>().prop_map(Literal::Bool),
        any::<i64>().prop_map(Literal::Int),
        any::<f64>()
            .prop_filter("literals are finite", |n| n.is_finite())
            .prop_map(Literal::Double),
        any::<String>().prop_map(Literal::Str),
        prop::collection::vec(any::<u8>(), 1..20).prop_map(Literal::Bytes),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z][a-z0-9_]{0,6}"
        .prop_filter("keywords are no names", |name| !KEYWORDS.contains(&name.as_str()))
        .prop_map(|text| Name { text, span: 0..0 })
}

fn call(
    first: &'static str,
    inner: impl Strategy<Value = Expr> + Clone,
) -> impl Strategy<Value = Call> {
    let named = prop::collection::vec((name().prop_map(Some), inner.clone()), 0..2);
    let plain = prop::collection::vec((Just(None), inner.clone()), 0..3);
    (first, plain, named, prop::collection::vec(inner, 0..2)).prop_map(
        |(text, plain, named, keys)| {
            let arguments = plain.into_iter().chain(named);
            Call {
                name: Name { text, span: 0..0 },
                arguments: arguments.map(|(name, value)| Argument { name, value }).collect(),
                keys,
                span: 0..0,
            }
        },
    )
}

fn value() -> impl Strategy<Value = Expr> + Clone {
    let expr = |kind| Expr { kind, span: 0..0 };
    let leaf = prop_oneof![
        literal().prop_map(ExprKind::Literal),
        "[A-Z][A-Z0-9_]{0,5}".prop_map(ExprKind::Symbol),
        prop::collection::vec(name(), 1..4)
            .prop_map(|names| ExprKind::Path(Path { names, keys: Vec::new() })),
    ];
    leaf.prop_map(expr).prop_recursive(4, 24, 4, move |inner| {
        let op = prop::sample::select(vec![
            MathOp::Add,
            MathOp::Subtract,
            MathOp::Multiply,
            MathOp::Divide,
        ]);
        let kind = prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(ExprKind::List),
            prop::collection::vec((".{0,5}", inner.clone()), 0..3).prop_map(|entries| {
                let entry = |(text, value)| (Name { text, span: 0..0 }, value);
                ExprKind::Map(entries.into_iter().map(entry).collect())
            }),
            (prop::collection::vec(name(), 1..3), prop::collection::vec(inner.clone(), 0..3))
                .prop_map(|(names, keys)| ExprKind::Path(Path { names, keys })),
            call("[A-Z][A-Za-z0-9]{0,5}", inner.clone()).prop_map(ExprKind::Call),
            (op, inner.clone(), inner).prop_map(|(op, left, right)| ExprKind::Math(
                op,
                Box::new(left),
                Box::new(right)
            )),
        ];
        kind.prop_map(expr)
    })
}

fn condition() -> impl Strategy<Value = Expr> {
    let expr = |kind| Expr { kind, span: 0..0 };
    let op =
        prop::sample::select(vec![CompareOp::Equal, CompareOp::Less, CompareOp::GreaterOrEqual]);
    let leaf = (op, value(), value()).prop_map(move |(op, left, right)| {
        expr(ExprKind::Compare(op, Box::new(left), Box::new(right)))
    });
    leaf.prop_recursive(4, 12, 2, move |inner| {
        let pair = (inner.clone(), inner.clone());
        let kind = prop_oneof![
            inner.prop_map(|inner| ExprKind::Not(Box::new(inner))),
            pair.clone().prop_map(|(left, right)| ExprKind::And(Box::new(left), Box::new(right))),
            pair.prop_map(|(left, right)| ExprKind::Or(Box::new(left), Box::new(right))),
        ];
        kind.prop_map(expr)
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same(
        mut editor in call("[a-z]{1,3}x", value()),
        condition in prop::option::of(condition()),
    ) {
        editor.keys.clear();
        let text = Statement { editor, condition }.to_string();
        let read = parse_statement(&text);
        prop_assert!(read.is_ok(), "{text}: {read:?}");
        prop_assert_eq!(read.unwrap().to_string(), text);
    }

    #[test]
    fn any_text_is_read_or_refused_within_it(text in ".{0,60}") {
        for problem in [parse_statement(&text).err(), parse_condition(&text).err()].into_iter().flatten() {
            prop_assert!(problem.span.start <= problem.span.end && problem.span.end <= text.len());
        }
    }

    #[test]
    fn any_tokens_are_read_or_refused(words in prop::collection::vec(
        prop::sample::select(vec!["set", "(", ")", "[", "]", "a", ".", "\"s\"", "1", "-", "==", "and",
            "not", "where", "{", "}", ":", ",", "X", "=", "or", "0x00"]), 0..30)) {
        let text = words.join(" ");
        let _ = parse_statement(&text);
        let _ = parse_condition(&text);
    }
}

#[test]
fn deep_nesting_is_refused() {
    for open in ["(", "[", "not ", "F(", "a["] {
        let problem = parse_condition(&open.repeat(10_000)).unwrap_err();
        assert!(problem.message.starts_with("nested more"), "{open}: {}", problem.message);
    }
}

/// A list of statements in a file.
#[derive(Debug, serde::Deserialize)]
#[serde(try_from = "Vec<String>")]
struct Statements;

impl TryFrom<Vec<String>> for Statements {
    type Error = TextProblems;

    fn try_from(texts: Vec<String>) -> Result<Self, TextProblems> {
        let problems =
            texts.iter().filter_map(|text| Some(parse_statement(text).err()?.in_text(text)));
        Err(TextProblems(problems.collect()))
    }
}

/// What a user sees of these lines.
fn shown(lines: &str) -> String {
    let node = Node::parse("pipeline.yaml", lines).unwrap();
    render(&from_node::<Statements>(&node, "processors::transform::log_statements").unwrap_err())
}

#[test]
fn wrong_statements_are_explained() {
    insta::assert_snapshot!(shown(
        r#"
- set(attributes["a"], "b"
- set(attributes["a"] "b")
- set(attributes["a"], "b") were true
- set(attributes['a'], "b")
- set(attributes["a"], "b) where true
- set(attributes["a"], "b") where body = "x"
- set(attributes["a"], "b") where body == "x" && true
- set(attributes["a"], "b") where body == "x" || true
- set(attributes["a"], "b") where !true
- set(attributes["a"].b, "b")
- set(attributes.["a"], "b")
- attributes["a"] == "b"
- Concat(["a"], "")
- set(attributes["a"], concat(["a"], ""))
- set(attributes["a"], "\d+")
- set(attributes["a"], 99999999999999999999)
- set(attributes["a"], 12ab)
- set(attributes["a"], 0xabc)
- set(target=attributes["a"], "b")
- 'set(attributes["a"], {b: 1})'
- set(attributes["a"], -body)
- set(attributes["a"], "b") where
- set(attributes["a"], Filter([1], (x) => x > 1))
- ""
- set(attributes["a"], 1 +)
- set(attributes["a"], "b") where (body == "x"
- set(attributes["a"], "b") where body == "x" == true
"#
    ));
}

#[test]
fn carets_stand_under_the_words_in_any_kind_of_scalar() {
    insta::assert_snapshot!(shown(
        r#"
- 'set(attributes[''a''], "b")'
- "set(attributes[\"a\"], \"$$1\") where not"
- set(attributes["a"], "b")
  where body = 1
- |
  set(attributes["a"],
      "b") were true
- >-
  set(attributes["a"],

  "b" "c")
"#
    ));
}
