use proptest::prelude::*;

use super::*;

/// What is found by all detectors, as `name:text`.
fn found(text: &str) -> Vec<String> {
    let scanner = Scanner::new(&Detector::ALL);
    let mut all = Vec::new();
    let mut from = 0;
    while let Some(Found { detector, range }) = scanner.next(text, from) {
        all.push(format!("{}:{}", detector.name(), &text[range.clone()]));
        from = range.end;
    }
    all
}

/// Each is found, alone and between other things; none of `not` is.
fn check(detector: Detector, values: &[&str], not: &[&str]) {
    let name = detector.name();
    for value in values {
        let expected = [format!("{name}:{value}")];
        for text in [
            (*value).to_owned(),
            format!("was {value}, at last"),
            format!("{{\"value\":\"{value}\"}}"),
            format!("a=({value}) b"),
            format!("é{value}é").replace('é', "\n"),
        ] {
            assert_eq!(found(&text), expected, "{text}");
        }
    }
    let scanner = Scanner::new(&[detector]);
    for value in not {
        assert_eq!(scanner.next(value, 0), None, "{name} in {value}");
    }
}

#[test]
fn credit_cards() {
    // Numbers for tests that payment networks and processors publish.
    let values = [
        "4111111111111111",
        "4222222222222",
        "4012-8888-8888-1881",
        "5555 5555 5555 4444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "30569309025904",
        "3056 930902 5904",
        "6011111111111117",
        "3530111333300000",
        "6200000000000005",
    ];
    let not = [
        "4111111111111112",
        "1795532400000000000",
        "1234567812345670",
        "411111111111111",
        "x4111111111111111",
        "4111111111111111x",
        "0.4111111111111111",
        "4111111111111111.5",
        "4111 1111-1111 1111",
        "4111 1111 1111 111",
        "5555555555555555",
        "0000 0000 0000 0000",
        "41111111111111111",
        "blk_4111111111111111",
        "blk_-4111111111111111",
        "-4111111111111111",
    ];
    check(Detector::CreditCard, &values, &not);
    assert_eq!(found("12 1234 4111 1111 1111 1111"), ["credit_card:4111 1111 1111 1111"]);
}

#[test]
fn ibans() {
    // Examples of SWIFT's IBAN registry.
    let values = [
        "DE89370400440532013000",
        "GB29 NWBK 6016 1331 9268 19",
        "FR1420041010050500013M02606",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
        "CH93 0076 2011 6238 5295 7",
    ];
    let not = [
        "DE88370400440532013000",
        "DE8937040044053201300",
        "DE893704004405320130000",
        "XX89370400440532013000",
        "de89370400440532013000",
        "ADE89370400440532013000",
        "GB29 NWBK 6016 1331",
    ];
    check(Detector::Iban, &values, &not);
}

#[test]
fn ips() {
    let values = [
        "10.0.0.1",
        "255.255.255.255",
        "192.168.1.1",
        "2001:db8::1",
        "fe80::1ff:fe23:4567:890a",
        "::1",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        "::ffff:192.0.2.128",
    ];
    let not = [
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "v1.2.3.4",
        "10.0.0.01",
        "12:34:56",
        "2026-11-27T12:34:56.789",
        "std::vector",
        "dead::beef",
        "a::b",
        "::",
        "00:1a:2b:3c:4d:5e",
        "key: value",
        "1::2::3",
        "12345::1",
        "crate::1",
    ];
    check(Detector::Ip, &values, &not);
    assert_eq!(found("from 10.0.0.1:5432 to [2001:db8::2]:80."), ["ip:10.0.0.1", "ip:2001:db8::2"]);
    assert_eq!(found("by 10.0.0.1. And 2001:db8::7: no"), ["ip:10.0.0.1", "ip:2001:db8::7"]);
    assert_eq!(found("/10.250.14.224"), ["ip:10.250.14.224"]);
}

#[test]
fn emails() {
    let values = [
        "me@example.com",
        "first.last+tag@mail.example.co.uk",
        "o_o%x@a-b.museum",
        "jörg@exämple.de",
        "x@xn--exmple-cua.xn--p1ai",
    ];
    let not = [
        "@example.com",
        "me@localhost",
        "me@example",
        "me@1.2.3",
        "package@1.2.3",
        "me.@example.com",
        "me@-a.com",
        "me@example.c",
        "a @ b.com",
        "@@@",
    ];
    check(Detector::Email, &values, &not);
    let long = format!("{}@example.com", "a".repeat(65));
    assert!(found(&long).is_empty());
    assert_eq!(found("user=me@example.com;"), ["email:me@example.com"]);
    assert_eq!(found("<me@example.com>."), ["email:me@example.com"]);
}

#[test]
fn phones() {
    // 555-01xx is for fiction; the others are of Ofcom's and the Bundesnetzagentur's for drama.
    let values = [
        "+1 212-555-0187",
        "+12125550187",
        "+1 (212) 555-0187",
        "+44 20 7946 0958",
        "+49 30 23125 123",
        "212-555-0187",
        "212.555.0187",
        "1-212-555-0187",
        "(212) 555-0187",
    ];
    let not = [
        "+1 212 555 018",
        "+0123456789",
        "+01:00",
        "+1030",
        "1e+1234567890",
        "+999 12345678",
        "+1234567",
        "212 555 0187",
        "112-555-0187",
        "212-155-0187",
        "911-555-0187",
        "212-555-01871",
        "212-555-0187-1",
        "200-2000-5550",
        "2026-11-27",
        "550e8400-e29b-41d4-a716-446655440000",
    ];
    check(Detector::Phone, &values, &not);
}

#[test]
fn jwts() {
    // RFC 7519, 3.1, and 6.1 without a signature.
    let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let unsigned = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    let not = [
        // A header that is no JSON, one without `alg`, no payload, one part.
        "eyJhbGciOiJub25lIn.eyJpc3MiOiJqb2UifQ.x",
        "eyJ0eXAiOiJKV1QifQ.eyJpc3MiOiJqb2UifQ.x",
        "eyJhbGciOiJub25lIn0..x",
        "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ",
        "eyJhbGciOiJub25lIn0",
        "aeyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.x",
    ];
    check(Detector::Jwt, &[signed, unsigned], &not);
    assert_eq!(found(&format!("Bearer {signed}")), [format!("jwt:{signed}")]);
}

#[test]
fn keys_of_services() {
    // The key id of AWS's documentation.
    let not = [
        "AKIAIOSFODNN7EXAMPL",
        "AKIAIOSFODNN7EXAMPLE1",
        "AKIAIOSFODNN1EXAMPLE",
        "XAKIAIOSFODNN7EXAMPLE",
    ];
    check(Detector::AwsKey, &["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"], &not);
    // A revoked token that was published as an example of the checksum.
    let token = "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";
    let fine_grained = format!("github_pat_{}_{}", "1A".repeat(11), "b2".repeat(29) + "c");
    let cut = &fine_grained[..fine_grained.len() - 1];
    let not = [
        "ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18",
        "ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq1",
        "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1",
        "ghx_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17",
        cut,
    ];
    check(Detector::GithubToken, &[token, &fine_grained], &not);
    let routed = "glpat-0123456789abcdefghijklmnopq.01.0z1234567";
    let not = [
        "glpat-0123456789",
        "glpat-some-words-that-are-long",
        "xglpat-0123456789abcdefghij",
        "glxxx-0123456789abcdefghij",
    ];
    check(
        Detector::GitlabToken,
        &["glpat-0123456789abcdefghij", "gldt-0123456789abcdefghi_", routed],
        &not,
    );
    let google = format!("AIza{}", "Sy-_0".repeat(7));
    check(Detector::GoogleApiKey, &[&google], &[&google[..38], &format!("{google}x"), "AIzb"]);
    let npm = format!("npm_{}", "aB3".repeat(12));
    check(Detector::NpmToken, &[&npm], &[&npm[..39], &format!("{npm}x"), "npm_config_registry"]);
    let slack = format!("xoxb-{}-{}", "1".repeat(12), "aB3".repeat(8));
    check(
        Detector::SlackToken,
        &[&slack],
        &["xoxb-123", "xoxb-words-that-are-not-a-token", "xoxz-123456789012345678901234"],
    );
    let stripe = format!("sk_live_{}", "aB3".repeat(8));
    let webhook = format!("whsec_{}", "aB3c".repeat(8));
    check(
        Detector::StripeKey,
        &[&stripe, &webhook],
        &["sk_live_abc", "task_live_0123456789abcdefgh", "sk_prod_0123456789abcdefgh"],
    );
}

#[test]
fn private_keys() {
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/==\n-----END RSA PRIVATE KEY-----";
    let escaped = r"-----BEGIN PRIVATE KEY-----\nMIIEow\n-----END PRIVATE KEY-----";
    let pgp = "-----BEGIN PGP PRIVATE KEY BLOCK-----\nx\n-----END PGP PRIVATE KEY BLOCK-----";
    let not = [
        "-----BEGIN CERTIFICATE-----\nMIIEow\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMIIEow\n-----END PUBLIC KEY-----",
        "-----------",
        "-----BEGIN PRIVATE KEY",
    ];
    check(Detector::PrivateKey, &[pem, escaped, pgp], &not);
    let cut = "key: -----BEGIN EC PRIVATE KEY-----\nMIIEow";
    assert_eq!(found(cut), [format!("private_key:{}", &cut[5..])]);
}

#[test]
fn url_passwords() {
    for (url, expected) in [
        ("postgres://shop:se:cr@t@db.example.com/orders", "se:cr@t"),
        ("redis://:secret@10.0.0.1:6379", "secret"),
        ("x https://user:p%40ss@host?q=1", "p%40ss"),
    ] {
        assert_eq!(found(url).first(), Some(&format!("url_password:{expected}")), "{url}");
    }
    let not = [
        "https://example.com:80/a@b",
        "https://user@example.com",
        "http://a:****@b",
        "://a:b@c",
        "a:b@c",
    ];
    check(Detector::UrlPassword, &[], &not);
}

#[test]
fn several_are_found_in_order_and_replaced() {
    let text = "me@example.com paid with 4111111111111111 from 10.0.0.1";
    assert_eq!(
        found(text),
        ["email:me@example.com", "credit_card:4111111111111111", "ip:10.0.0.1"]
    );
    let scanner = Scanner::new(&[Detector::Email, Detector::Ip]);
    let replaced = scanner.replaced(text, |detector, value, text| {
        text.push_str(&format!("<{} of {}>", detector.name(), value.len()));
    });
    assert_eq!(
        replaced.as_deref(),
        Some("<email of 14> paid with 4111111111111111 from <ip of 8>")
    );
    assert_eq!(scanner.replaced("nothing of this kind", |_, _, _| {}), None);
    assert_eq!(Scanner::new(&[]).next(text, 0), None);
}

#[test]
fn names_are_those_that_are_read() {
    for detector in Detector::ALL {
        let name = format!("\"{}\"", detector.name());
        assert_eq!(serde_json::from_str::<Detector>(&name).ok(), Some(detector));
    }
}

/// Texts of pieces that make detectors look.
fn tricky() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~]{0,8}",
        "\\PC{0,4}",
        "[0-9 .:+()-]{0,24}",
        prop::sample::select(vec![
            "@",
            "eyJ",
            "AKIA",
            "ghp_",
            "github_pat_",
            "-----BEGIN PRIVATE KEY-----",
            "-----END ",
            "://",
            ":",
            "::",
            "é@é.éé",
            "4111111111111111",
            "DE89370400440532013000",
            "+49",
            "xoxb-",
            "glpat-",
            "sk_live_",
            "npm_",
            "AIza",
            "eyJhbGciOiJub25lIn0.e30.",
            "me@example.com",
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn all_but_what_is_found_stays_byte_for_byte(text in tricky()) {
        let scanner = Scanner::new(&Detector::ALL);
        let mut position = 0;
        let mut rest = String::new();
        while let Some(Found { range, .. }) = scanner.next(&text, position) {
            prop_assert!(position <= range.start && range.start < range.end);
            // A range that does not end between letters has no text.
            prop_assert!(text.get(range.clone()).is_some());
            rest.push_str(&text[position..range.start]);
            position = range.end;
        }
        rest.push_str(&text[position..]);
        let removed = scanner.replaced(&text, |_, _, _| {});
        prop_assert_eq!(removed.unwrap_or_else(|| text.clone()), rest);
    }
}
