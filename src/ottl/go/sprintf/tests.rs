use super::*;

fn ints(numbers: &[i64]) -> Vec<Tree> {
    numbers.iter().copied().map(Tree::Int).collect()
}

fn strs(texts: &[&str]) -> Vec<Tree> {
    texts.iter().copied().map(Tree::str).collect()
}

// All expected texts of this file are what Go 1.26's fmt.Sprintf prints, and for floats also
// those of the table in `VERBS`.

#[test]
fn integers_are_written_as_by_go() {
    let verbs = "%d %5d|%-5d|%05d|%+d|%x|%X|%#x|%o|%O|%#o|%b|%c|%q|%U|%#U";
    let values = ints(&[42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 65, 65, 9731, 9731]);
    let expected =
        "42    42|42   |00042|+42|2a|2A|0x2a|52|0o52|052|101010|A|'A'|U+2603|U+2603 '\u{2603}'";
    assert_eq!(sprintf(verbs, &values), expected);
    let verbs = "%v %d %x %X %#x % d|%+05d|%-05d|%.5d|%8.5d|%08.5d|%.0d";
    let values = ints(&[-42, -42, -42, -42, -42, 42, 42, 42, 42, 42, 42, 0]);
    let expected = "-42 -42 -2a -2A -0x2a  42|+0042|42   |00042|   00042|   00042|";
    assert_eq!(sprintf(verbs, &values), expected);
    let verbs = "%.2d|%+.2d|%3c|%-3c|%03c|%+q|%#q|%q|%c|%c";
    let values = ints(&[5, 5, 65, 65, 65, 0x1f600, 65, 10, 0x1f600, -1]);
    let expected = "05|+05|  A|A  |00A|'\\U0001f600'|'A'|'\\n'|\u{1f600}|\u{fffd}";
    assert_eq!(sprintf(verbs, &values), expected);
    assert_eq!(
        sprintf("%U|%#X|%+x|% x", &ints(&[-1, 255, 10, 10])),
        "U+FFFFFFFFFFFFFFFF|0XFF|+a| a"
    );
}

#[test]
fn texts_are_written_as_by_go() {
    let verbs = "%s|%10s|%-10s|%.2s|%q|%x|%X|% x|%#x|%# X|%v|%+q|%#q|%5.1s|%05s";
    let values = strs(&[
        "h\u{e9}llo",
        "hi",
        "hi",
        "h\u{e9}llo",
        "a\"b\n\u{2603}\0\u{e9}",
        "hi",
        "hi",
        "hi",
        "hi",
        "hi",
        "s",
        "\u{2603}",
        "a`b",
        "xyz",
        "ab",
    ]);
    let expected = "h\u{e9}llo|        hi|hi        |h\u{e9}|\"a\\\"b\\n\u{2603}\\x00\u{e9}\"|6869|6869|68 69|\
        0x6869|0X68 0X69|s|\"\\u2603\"|\"a`b\"|    x|000ab";
    assert_eq!(sprintf(verbs, &values), expected);
    let values = strs(&["abcdef", "abcdef", "a", "a", "abc"]);
    let expected = "616263|\"abc\"|       \"a\"|\"a\"       |a";
    assert_eq!(sprintf("%.3x|%.3q|%10q|%-10q|%.1v", &values), expected);
    let bytes = vec![Tree::Bytes(b"hi".to_vec()); 6];
    let expected = "[104 105]|hi|6869|6869|[104 105]|\"hi\"";
    assert_eq!(sprintf("%v|%s|%x|%X|%d|%q", &bytes), expected);
}

const VERBS: &str = "%v|%f|%e|%g|%.3g|%.2f|%.0f|%8.2f|%-10.1e|%+.3f|%010.2f|%G|%#g|% g|%x|%6.3v";

#[test]
fn floats_are_written_as_by_go() {
    let cases = [
        (
            0.0,
            "0|0.000000|0.000000e+00|0|0|0.00|0|    0.00|0.0e+00   |+0.000|0000000.00|0|0.00000| 0|0x0p+00|     0",
        ),
        (
            -1.0,
            "-1|-1.000000|-1.000000e+00|-1|-1|-1.00|-1|   -1.00|-1.0e+00  |-1.000|-000001.00|-1|-1.00000|-1|-0x1p+00|    -1",
        ),
        (
            123_456.0,
            "123456|123456.000000|1.234560e+05|123456|1.23e+05|123456.00|123456|123456.00|1.2e+05   |+123456.000|0123456.00|123456|123456.| 123456|0x1.e24p+16|1.23e+05",
        ),
        (
            123_456_789.0,
            "1.23456789e+08|123456789.000000|1.234568e+08|1.23456789e+08|1.23e+08|123456789.00|123456789|123456789.00|1.2e+08   |+123456789.000|123456789.00|1.23456789E+08|1.23456789e+08| 1.23456789e+08|0x1.d6f3454p+26|1.23e+08",
        ),
        (
            1.23e-4,
            "0.000123|0.000123|1.230000e-04|0.000123|0.000123|0.00|0|    0.00|1.2e-04   |+0.000|0000000.00|0.000123|0.000123000| 0.000123|0x1.01f31f46ed246p-13|0.000123",
        ),
        (
            1.23e-5,
            "1.23e-05|0.000012|1.230000e-05|1.23e-05|1.23e-05|0.00|0|    0.00|1.2e-05   |+0.000|0000000.00|1.23E-05|1.23000e-05| 1.23e-05|0x1.9cb8320b1507p-17|1.23e-05",
        ),
        (
            5e-324,
            "5e-324|0.000000|4.940656e-324|5e-324|4.94e-324|0.00|0|    0.00|4.9e-324  |+0.000|0000000.00|5E-324|5.00000e-324| 5e-324|0x1p-1074|4.94e-324",
        ),
        (
            2.5,
            "2.5|2.500000|2.500000e+00|2.5|2.5|2.50|2|    2.50|2.5e+00   |+2.500|0000002.50|2.5|2.50000| 2.5|0x1.4p+01|   2.5",
        ),
        (
            1234.5678,
            "1234.5678|1234.567800|1.234568e+03|1234.5678|1.23e+03|1234.57|1235| 1234.57|1.2e+03   |+1234.568|0001234.57|1234.5678|1234.5678| 1234.5678|0x1.34a456d5cfaadp+10|1.23e+03",
        ),
    ];
    for (number, expected) in cases {
        assert_eq!(sprintf(VERBS, &vec![Tree::Double(number); 16]), expected);
    }
    let inf = f64::INFINITY;
    let values: Vec<Tree> = [-3.14259, 3.14259, 3.14259, inf, -inf, f64::NAN, inf, inf, 3.5, -3.5]
        .map(Tree::Double)
        .into();
    let expected = "-003.143|+003.143|3.143   |+Inf|-Inf|NaN| +Inf|+Inf|0x1.cp+01|-0X1.CP+01";
    assert_eq!(sprintf("%08.3f|%+08.3f|%-8.3f|%f|%f|%f|%05f|%+v|%x|%X", &values), expected);
}

#[test]
fn complaints_are_those_of_go() {
    let one = ints(&[1]);
    assert_eq!(sprintf("%d %d", &one), "1 %!d(MISSING)");
    assert_eq!(sprintf("%!|%z|%", &ints(&[1, 2])), "%!!(int64=1)|%!z(int64=2)|%!(NOVERB)");
    assert_eq!(sprintf("no verbs", &one), "no verbs%!(EXTRA int64=1)");
    assert_eq!(sprintf("%[1]v %[1]T %v", &ints(&[9])), "9 int64 %!v(MISSING)");
    let nil = vec![Tree::Nil; 7];
    let expected = "<nil> %!d(<nil>) %!s(<nil>) %!t(<nil>) %!x(<nil>) %!q(<nil>) <nil>";
    assert_eq!(sprintf("%v %d %s %t %x %q %T", &nil), expected);
    let mixed = [
        Tree::Int(1),
        Tree::Int(2),
        Tree::str("x"),
        Tree::Double(1.5),
        Tree::Nil,
        Tree::Bool(true),
    ];
    let expected = "1%!(EXTRA int64=2, string=x, float64=1.5, <nil>, bool=true)";
    assert_eq!(sprintf("%d", &mixed), expected);
    let values = [Tree::Bool(true), Tree::Bool(false), Tree::Bool(true), Tree::Bool(true)];
    assert_eq!(sprintf("%t|%v|%5t|%q", &values), "true|false| true|%!q(bool=true)");
    assert_eq!(sprintf("%e|%5%", &ints(&[3])), "%!e(int64=3)|%");
}

#[test]
fn stars_and_indexes_are_those_of_go() {
    let values = [
        Tree::Int(5),
        Tree::Int(42),
        Tree::Int(5),
        Tree::Int(42),
        Tree::Int(2),
        Tree::Double(3.14259),
        Tree::Int(6),
        Tree::Int(42),
    ];
    assert_eq!(sprintf("%*d|%-*d|%.*f|%*d", &values), "   42|42   |3.14|    42");
    let verbs = "%[2]d %[1]d|%[3]*.[2]*[1]f|%[5]d|%[x]d|%[2]*[1]d";
    let expected = "2 1|%!f(int64=          01)|%!d(BADINDEX)|%!d(BADINDEX)| 1";
    assert_eq!(sprintf(verbs, &ints(&[1, 2, 12])), expected);
    let values = [Tree::Double(12.0), Tree::Int(2), Tree::Int(6)];
    assert_eq!(sprintf("%[3]*.[2]*[1]f", &values), " 12.00");
}

#[test]
fn lists_and_maps_are_those_of_go() {
    let list = Tree::List(vec![
        Tree::Int(1),
        Tree::str("a"),
        Tree::Nil,
        Tree::Double(1.5),
        Tree::Bool(true),
    ]);
    let values = [Tree::Int(5), Tree::str("str"), list];
    let expected = "%!s(int64=5) %!d(string=str) [1 a <nil> 1.5 true]";
    assert_eq!(sprintf("%s %d %v", &values), expected);
    let map = Tree::map([("b", Tree::Int(1)), ("a", Tree::str("x"))]);
    let values = [map.clone(), map, Tree::map([("b", Tree::Int(1))])];
    let expected = "map[a:x b:1] map[a:x b:%!s(int64=1)] map[%!d(string=b):1]";
    assert_eq!(sprintf("%v %s %d", &values), expected);
}

#[test]
fn documented_examples() {
    // The Collector's documentation of Format.
    assert_eq!(sprintf("%02d", &ints(&[7])), "07");
    assert_eq!(sprintf("%04d-%02d-%02d", &ints(&[2024, 3, 9])), "2024-03-09");
}
