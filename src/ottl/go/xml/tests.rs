use super::*;

fn path(text: &str) -> XPath {
    XPath::compile(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Results of the Collector's OTTL 1.4.
const GOT: &[(&str, &str, &str)] = &[
    ("<a>1</a><b/><a x=\"y\">2</a>", "/a", "<a>1</a><a x=\"y\">2</a>"),
    ("<r><a>1</a><b><a>2</a></b></r>", "//a", "<a>1</a><a>2</a>"),
    ("<a>1</a><a>2</a>", "/a[1]", "<a>1</a>"),
    ("<r><a b=\"c\"/><a b=\"d\">x</a></r>", "//a[@b='d']", "<a b=\"d\">x</a>"),
    ("<a>foo</a>", "/a/text()", "foo"),
    ("<a><![CDATA[hello]]></a>", "/a/text()", "hello"),
    ("<a><![CDATA[h<i]]></a>", "/a", "<a><![CDATA[h<i]]></a>"),
    ("<a foo=\"bar\"/>", "/a/@foo", "bar"),
    ("<a b=\"x &lt; y\"/>", "/a/@b", "x &lt; y"),
    ("<a>x &lt; y</a>", "/a/text()", "x &lt; y"),
    ("<a foo=\"b&amp;r\">x &lt; y</a>", "/a", "<a foo=\"b&amp;r\">x &lt; y</a>"),
    ("<a><b/>\n <c>  t </c></a>", "/a", "<a><b></b>\n <c>  t </c></a>"),
    ("<r><a>1</a><a>2</a></r>", "/r/a[last()]", "<a>2</a>"),
    ("<r><a>1</a><a>2</a></r>", "/r/a[text()='2']", "<a>2</a>"),
    ("<r><a>1</a><a>2</a></r>", "/r/a[.='2']", "<a>2</a>"),
    ("<r><a>1</a><a>2</a></r>", "/r/*", "<a>1</a><a>2</a>"),
    ("<r><a><b>1</b></a><a><c/></a></r>", "/r/a[b]", "<a><b>1</b></a>"),
    ("<r><a><b>1</b></a><a><b>2</b></a></r>", "/r/a[b='2']/b", "<b>2</b>"),
    ("<r><a><b>1</b></a><a><b>2</b></a></r>", "/r/a[b>1]/b", "<b>2</b>"),
    ("<r><a>hello</a></r>", "//a[contains(text(),'ell') and not(@x)]", "<a>hello</a>"),
    ("<r><!-- c --><a/></r>", "//comment()", ""),
    ("<r><a/><b/></r>", "/r/a|/r/b", "<a></a><b></b>"),
    ("<r><a><b/></a></r>", "//b/..", "<a><b></b></a>"),
    ("<a  x='1'   y=\"2\"></a>", "/a", "<a x=\"1\" y=\"2\"></a>"),
    ("<a>\"q\" 'p' > &gt;</a>", "/a", "<a>&#34;q&#34; &#39;p&#39; &gt; &gt;</a>"),
    ("<a:b xmlns:a=\"u\" a:c=\"d\"/>", "/a:b", "<a:b xmlns:a=\"u\" a:c=\"d\"></a:b>"),
    ("<a/>", "/", ""),
    ("<r><a n=\"1\"/><a n=\"2\"/></r>", "/r/a/@n", "12"),
    ("<r><a>1</a></r>", "r/a", "<a>1</a>"),
    ("<r><a>1</a><a>2</a><a>3</a></r>", "/r/a[position()>1]", "<a>2</a><a>3</a>"),
    ("<r><x><a>1</a></x><x><a>2</a></x></r>", "//a[1]", "<a>1</a><a>2</a>"),
    ("<r><a>abc</a></r>", "//a[starts-with(.,'ab')]", "<a>abc</a>"),
    ("<r>a<b/>c</r>", "/r/node()", "a<b></b>c"),
    ("<r><a/><b/><c/></r>", "/r/a/following-sibling::*", "<b></b><c></c>"),
    ("<r><a><b/></a></r>", "/descendant::b", "<b></b>"),
    ("<r><a>1</a><a>2</a></r>", "/r/a[string-length(text())=1 or false()]", "<a>1</a><a>2</a>"),
    ("", "/a", ""),
];

#[test]
fn paths_select_as_in_the_collector() {
    for (text, xpath, expected) in GOT {
        assert_eq!(get_xml(text, &path(xpath)).as_deref(), Ok(*expected), "{xpath} of {text}");
    }
    for wrong in ["<a>", "plain", "<a x=1/>", "<a>&unknown;</a>", "<a></b>", "</a>", "<a", "<1/>"] {
        assert!(get_xml(wrong, &path("/a")).is_err(), "{wrong}");
    }
    for wrong in
        ["", "/[", "/r/a[foo()]", "count(//a)", "/a[", "/a[@b='x]", "//", "/a b", "$x", "'x'"]
    {
        assert!(XPath::compile(wrong).is_err(), "{wrong}");
    }
    let deep = "<a>".repeat(1100);
    assert!(get_xml(&deep, &path("/a")).unwrap_err().to_string().contains("nest deeper"));
    assert!(XPath::compile(&format!("/a{}", "[(".repeat(1000))).is_err());
}

#[test]
fn documents_are_changed_as_by_the_collector() {
    // Results of the Collector's OTTL 1.4.
    let insert = [
        ("<a/>", "/", "<foo/>", "<a></a><foo></foo>"),
        ("<a><foo/></a>", "//foo", "<bar/>", "<a><foo><bar></bar></foo></a>"),
        ("<a>t</a>", "/a", "<b>1</b><c/>", "<a>t<b>1</b><c></c></a>"),
        ("<a/>", "/a/@x", "<b/>", "<a></a>"),
        ("<a/>", "/a", "<!-- c --><b/>", "<a><b></b></a>"),
    ];
    for (text, xpath, value, expected) in insert {
        assert_eq!(insert_xml(text, &path(xpath), value).as_deref(), Ok(expected));
    }
    assert!(insert_xml("<a/>", &path("/a"), "<b>").is_err());
    assert!(insert_xml("<a/>", &path("/a"), "text").is_err());
    let remove = [
        ("<a foo=\"1\" b=\"2\"/>", "/a/@foo", "<a b=\"2\"></a>"),
        ("<a foo=\"1\" b=\"2\"/>", "/a/@*", "<a></a>"),
        ("<a><b>1</b><c/><b/></a>", "/a/b", "<a><c></c></a>"),
        ("<a><b foo=\"bar\"/><b/></a>", "/a/b[@foo='bar']", "<a><b></b></a>"),
        ("<a><!-- x -->t</a>", "//comment()", "<a>t</a>"),
        (
            "<a><b>sensitive x</b><c>ok</c></a>",
            "//*[contains(text(), 'sensitive')]",
            "<a><c>ok</c></a>",
        ),
        (
            "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<Log>\n  <Record>\n    <Name type=\"archive\"></Name>\n  </Record>\n</Log>",
            "/Log/Record[./Name/@type=\"archive\"]",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Log>\n  \n</Log>",
        ),
        ("<a>t<b/>u</a>", "/a/text()", "<a><b></b></a>"),
        ("<!DOCTYPE a><a><?p q?><b/></a>", "/a/b", "<!DOCTYPE a><a><?p q?></a>"),
        ("<a b=\"'&quot;&#10;x\"/>", "/c", "<a b=\"&#39;&#34;\nx\"></a>"),
    ];
    for (text, xpath, expected) in remove {
        assert_eq!(remove_xml(text, &path(xpath)).as_deref(), Ok(expected), "{xpath}");
    }
}

#[test]
fn attributes_and_texts_become_elements_as_in_the_collector() {
    // Results of the Collector's OTTL 1.4.
    let record = "<Log><Record id=\"1\" x=\"2\"><A y=\"3\"/></Record></Log>";
    let attributes = [
        ("<a foo=\"bar\"><b>baz</b></a>", "//@*", "<a><b>baz</b><foo>bar</foo></a>"),
        ("<a foo=\"b&lt;r\"/>", "//@*", "<a><foo>b&lt;r</foo></a>"),
        (record, "/Log/Record", "<Log><Record id=\"1\" x=\"2\"><A y=\"3\"></A></Record></Log>"),
        (record, "/Log/Record/@*", "<Log><Record><A y=\"3\"></A><id>1</id><x>2</x></Record></Log>"),
    ];
    for (text, xpath, expected) in attributes {
        assert_eq!(convert_attributes(text, &path(xpath)).as_deref(), Ok(expected), "{xpath}");
    }
    let texts = [
        ("<a><b>foo</b>bar</a>", "/", "<a><b>foo</b><value>bar</value></a>"),
        (
            "<a>x<b>foo</b>bar<!-- c -->y</a>",
            "/",
            "<a><value>x</value><b>foo</b><value>bar</value><!-- c --><value>y</value></a>",
        ),
        ("<a><b>foo</b></a>", "/", "<a><b>foo</b></a>"),
        (
            "<r><a>1<b/>2</a><c>1<d/></c></r>",
            "/r/a",
            "<r><a><value>1</value><b></b><value>2</value></a><c>1<d></d></c></r>",
        ),
        ("<a> <b/> </a>", "/", "<a><value> </value><b></b><value> </value></a>"),
        (
            "<r><a><x>1<b/>2</x></a></r>",
            "/r/a/",
            "<r><a><x><value>1</value><b></b><value>2</value></x></a></r>",
        ),
    ];
    for (text, xpath, expected) in texts {
        assert_eq!(convert_text(text, &path(xpath), "value").as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn documents_become_values_as_in_the_collector() {
    // Results of the Collector's OTTL 1.4, and its documentation of ParseXML.
    let user = Tree::map([
        ("tag", Tree::str("User")),
        ("attributes", Tree::map([("id", Tree::str("a&b"))])),
        ("content", Tree::str("xz")),
        (
            "children",
            Tree::List(vec![Tree::map([("tag", Tree::str("b")), ("content", Tree::str("y"))])]),
        ),
    ]);
    let text = Tree::map([("tag", Tree::str("Text"))]);
    let log = Tree::map([("tag", Tree::str("Log")), ("children", Tree::List(vec![user, text]))]);
    assert_eq!(parse_xml("<Log>\n<User id=\"a&amp;b\">x <b>y</b> z</User><Text/></Log>"), Ok(log));
    let prefixed =
        "<?xml version=\"1.0\"?><!-- c --><a:b xmlns:a=\"u\" a:c='d'>t<![CDATA[<&>]]></a:b>";
    let expected = Tree::map([
        ("tag", Tree::str("b")),
        ("attributes", Tree::map([("a", Tree::str("u")), ("c", Tree::str("d"))])),
        ("content", Tree::str("t<&>")),
    ]);
    assert_eq!(parse_xml(prefixed), Ok(expected));
    for wrong in ["<a><b></a>", "", "<a/><b/>", "<a>x</a> y", "text"] {
        assert!(parse_xml(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn simplified_documents_are_those_of_the_collector() {
    let json = |text: &str| show(&parse_simplified_xml(text).unwrap());
    let cases = [
        (
            "<event><id>1</id><user>jane</user><d><t>2</t></d></event>",
            "{event:{id:1,user:jane,d:{t:2}}}",
        ),
        ("<a><b>1</b><b/></a>", "{a:{b:[1]}}"),
        ("<a x='1'>t<b>1</b>u<c>2</c><c><d>3</d></c></a>", "{a:{b:1,c:[2,{d:3}]}}"),
        ("<a/>", "{}"),
        ("<a></a><b>1</b>", "{b:1}"),
        ("<a><b/><b/></a>", "{}"),
        ("<a> <b> 1 </b> </a>", "{a:{b: 1 }}"),
        ("<a><b>1</b><c>2</c><b><x>3</x></b></a>", "{a:{b:[1,{x:3}],c:2}}"),
        ("<a><!-- c --><b>1<![CDATA[2]]></b></a>", "{a:{b:1}}"),
        ("x<a>1</a>y", "{a:1}"),
        ("<n:a xmlns:n='u'>1</n:a>", "{a:1}"),
    ];
    for (text, expected) in cases {
        assert_eq!(json(text), expected, "{text}");
    }
    assert!(parse_simplified_xml("").is_err());
}

fn show(tree: &Tree) -> String {
    match tree {
        Tree::Str(text) => text.clone(),
        Tree::List(items) => {
            format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(","))
        }
        Tree::Map(pairs) => {
            let pairs: Vec<String> =
                pairs.iter().map(|(key, value)| format!("{key}:{}", show(value))).collect();
            format!("{{{}}}", pairs.join(","))
        }
        other => panic!("{other:?}"),
    }
}
