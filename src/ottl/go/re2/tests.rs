use super::*;

/// What Go 1.26's `regexp.ReplaceAllString` makes: expression, template, text, result.
const REPLACED: &[(&str, &str, &str, &str)] = &[
    ("(a)(b)", "$2$1", "abab", "baba"),
    ("(?P<x>a)", "${x}1$x-$x1", "aba", "a1a-ba1a-"),
    ("a", "$$", "a", "$"),
    ("a", "$", "a", "$"),
    ("(a)", "${1", "a", "${1"),
    ("(a)", "$1x ${1}x $9", "a", " ax "),
    ("a*", "x", "baac", "xbxcx"),
    (r"\Qa.b\E+", "x", "a.bbb", "x"),
    ("(?i)A", "$0$0", "a", "aa"),
    ("a", "$-", "a", "$-"),
    ("a", "${-}", "a", "${-}"),
    (r"\z", "!", "a", "a!"),
    (r"[[:word:]]\pL\p{Greek}", "!", "aa\u{3b1}", "!"),
    ("(?<n>a)", "[$n]", "a", "[a]"),
    (r#"\/\-\_\""#, "", "/-_\"", ""),
    (r"\d", "x", "\u{663}3", "\u{663}x"),
    (r"\w\b", "x", "\u{e9} a", "\u{e9} x"),
    (r"\s", "_", "a\u{a0} \u{b}", "a\u{a0}_\u{b}"),
    ("(?i)k", "x", "\u{212a}", "x"),
    (r"[^\D]", "x", "1a", "xa"),
    (r"\a\f\v\123\x41\x{263a}", "y", "\u{7}\u{c}\u{b}SA\u{263a}", "y"),
    ("^a$", "x", "a\na\n", "a\na\n"),
    ("(?m)^a$", "x", "a\na\r\n", "x\na\r\n"),
    ("(?s).", "x", "\n", "x"),
    ("(?U)a+", "x", "aaa", "xxx"),
    (r"\pN", "x", "1\u{2167}", "xx"),
    ("[[:^alpha:]]", "x", "a1", "ax"),
    ("{", "x", "{", "x"),
    ("a{,2}", "x", "a{,2}", "x"),
    ("]", "x", "]", "x"),
    ("[]a]", "x", "]a", "xx"),
    (r"\ ", "", " ", ""),
    ("[a&&b]", "x", "a&b", "xxx"),
    ("[a~~b]", "x", "~", "x"),
    ("[[a]]", "x", "[]a]", "xx"),
];

#[test]
fn replaces_as_go() {
    for (pattern, template, text, expected) in REPLACED {
        let regex = compile(pattern).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(replace_all(&regex, text, template), *expected, "{pattern} on {text}");
    }
}

#[test]
fn refuses_what_go_refuses() {
    let wrong = [
        r"\C",
        "(?=a)",
        "(?!a)",
        "(?<=a)",
        "(?<!a)",
        "(?>a)",
        "a{1001}",
        r"\8",
        r"\1",
        r"[a-\d]",
        "a**",
        "x{2,1}",
        "(?x)a",
        "[a",
        r"\p{Nope}",
        "\\\u{e9}",
        "[a--b]",
        "*a",
        "(*a)",
        "a|*",
        "(a",
        "a)",
        r"a\",
        "(?P<n",
        r"\Z",
        "(?P=n)",
        "(?i",
        r"\x{110000}",
        "[z-a]",
        "(?#c)",
    ];
    for pattern in wrong {
        assert!(compile(pattern).is_err(), "{pattern}");
    }
    let message = compile("a(?=b)").unwrap_err().to_string();
    assert_eq!(
        message,
        "`a(?=b)` is not a regular expression: `(?=` looks ahead, which RE2 does not have"
    );
    let message = compile(r"(a)\1").unwrap_err().to_string();
    assert!(message.contains("refers back to a group"), "{message}");
}

#[test]
fn matches_as_go() {
    let cases = [
        (r"\B", "ab", true),
        (r"a\Q.\Eb", "a.b", true),
        (r"a\Q.\Eb", "axb", false),
        (r"\Q(", "(", true),
        (r"[\Q]\E]", "]", false),
        ("[a-c-e]", "-", true),
        ("[-a]", "-", true),
        (r"[\]]", "]", true),
        (r"[\x41-\x43]", "B", true),
        (r"^\w+$", "\u{e9}", false),
        (r"(?i)^\w$", "\u{17f}", true),
        ("a{2,3}?", "aa", true),
        ("x{2}{", "xx{", true),
    ];
    for (pattern, text, matches) in cases {
        match compile(pattern) {
            Ok(regex) => assert_eq!(regex.is_match(text), matches, "{pattern} on {text}"),
            Err(error) => assert!(pattern.contains("[\\Q"), "{error}"),
        }
    }
}
