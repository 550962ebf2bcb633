use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use proptest::{
    prelude::{Strategy, any, prop},
    prop_assert, prop_assert_eq, proptest,
    test_runner::Config as ProptestConfig,
};
use serde_json::{Value, json};

use super::*;

fn masker(values: &[(&str, &str)]) -> Masker {
    let masker = Masker::default();
    values.iter().for_each(|(name, value)| masker.learn(name, &Secret::new(*value)));
    masker
}

fn masked(masker: &Masker, text: &str) -> String {
    masker.mask_text(text).into_owned()
}

fn document(value: Value) -> Json {
    Json::from_value(value)
}

#[test]
fn d3_a_secret_is_masked_by_its_name() {
    let masker = masker(&[("token", "hunter2-hunter2"), ("short", "1234567")]);
    assert_eq!(masked(&masker, "a hunter2-hunter2, and hunter2-hunter2"), "a [secret token], and [secret token]");
    assert_eq!(masked(&masker, "hunter2-hunter"), "hunter2-hunter");
    assert_eq!(masked(&masker, "1234567"), "1234567", "what is too short stands in too many texts");
    masker.forget("token");
    assert_eq!(masked(&masker, "hunter2-hunter2"), "hunter2-hunter2");
}

#[test]
fn d3_the_usual_forms_are_known() {
    let secret = "p\"ss/w+rd & <ümläut>\\";
    let masker = masker(&[("s", secret)]);
    let forms = [
        serde_json::to_string(secret).unwrap(),
        serde_json::to_string(&serde_json::to_string(secret).unwrap()).unwrap(),
        r#""p\"ss\/w+rd & <\u00fcml\u00e4ut>\\""#.to_owned(),
        r#""p\"ss/w+rd & <\u00FCml\u00E4ut>\\""#.to_owned(),
        r#""p\"ss/w+rd \u0026 \u003cümläut\u003e\\""#.to_owned(),
        r"p\u0022ss/w\u002Brd \u0026 \u003C\u00FCml\u00E4ut\u003E\\".to_owned(),
        "p%22ss%2Fw%2Brd%20%26%20%3C%C3%BCml%C3%A4ut%3E%5C".to_owned(),
        "p%22ss%2fw%2brd%20%26%20%3c%c3%bcml%c3%a4ut%3e%5c".to_owned(),
        "p%22ss%2Fw%2Brd+%26+%3C%C3%BCml%C3%A4ut%3E%5C".to_owned(),
        "p%22ss/w%2Brd%20%26%20%3C%C3%BCml%C3%A4ut%3E%5C".to_owned(),
        "p%2522ss%252Fw%252Brd%2520%2526%2520%253C%25C3%25BCml%25C3%25A4ut%253E%255C".to_owned(),
        "p&quot;ss/w+rd &amp; &lt;ümläut&gt;\\".to_owned(),
        hex_of(secret),
        hex_of(secret).to_uppercase(),
    ];
    for form in forms {
        let text = format!("before {form} after");
        let masked = masked(&masker, &text);
        assert!(
            masked.contains("[secret s]") && !masked.contains("ss") && !masked.contains("7373"),
            "{form}: {masked}"
        );
        assert!(masked.starts_with("before ") && masked.ends_with(" after"), "{masked}");
    }
}

fn hex_of(text: &str) -> String {
    crate::hex::hex(text.as_bytes())
}

#[test]
fn d3_base64_is_known_wherever_the_secret_stands_in_it() {
    let secret = "hunter2?hunter2>hunter2~";
    let masker = masker(&[("s", secret)]);
    for before in 0..7 {
        for after in 0..4 {
            let text = format!("{}{secret}{}", "user:xx".get(..before).unwrap(), &"\u{1}yz!"[..after]);
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
                let encoded = engine.encode(&text);
                for form in [encoded.clone(), encoded.replace('/', "\\/"), encoded.replace('/', "%2F")] {
                    let masked = masked(&masker, &form);
                    assert!(masked.contains("[secret s]") && masked.len() < 28, "{before} {after}: {form}: {masked}");
                }
            }
        }
    }
}

#[test]
fn d3_documents_are_masked_in_strings_keys_and_numbers_and_nowhere_else() {
    let masker = masker(&[("n", "1234567890"), ("s", "a\"b\\c\nd-secret"), ("odd", "\":1,\"b\":[")]);
    let text = r#" {"x": 1.50e3, "a":1,"b":[1234567890, -12345678901, "pin 1234567890"], "k": "a\"b\\c\nd-secret",
        "1234567890": "\u0061\u0022b\\c\u000ad-secret \u00e9 \/", "a\"b\\c\nd-secret": {}, "a\"b\\c\u000ad-secret!": null} "#;
    let masked = masker.mask_json(Json::parse(text).unwrap());
    let wanted = r#"{"x": 1.50e3, "a":1,"b":["[secret n]", "-[secret n]1", "pin [secret n]"], "k": "[secret s]",
        "[secret n]": "[secret s] é /", "[secret s]": {}, "[secret s]!": null}"#;
    assert_eq!(masked.text(), wanted);
}

#[test]
fn d3_keys_that_become_the_same_stay_apart() {
    let masker = masker(&[("a", "secret-1"), ("a", "secret-2")]);
    let masked = masker.mask_json(document(json!({ "secret-1": 1, "secret-2": 2 })));
    assert_eq!(masked.text(), r#"{"[secret a]":1,"[secret a] (2)":2}"#);
}

#[test]
fn d3_json_in_a_string_is_masked_too() {
    let secret = "quote\"back\\slash";
    let masker = masker(&[("s", secret)]);
    let mut body = json!({ "authorization": format!("Bearer {secret}") });
    for _ in 0..3 {
        body = json!({ "body": body.to_string() });
        let masked = masker.mask_json(document(body.clone()));
        assert!(masked.text().contains("Bearer [secret s]") && !masked.text().contains("slash"), "{}", masked.text());
    }
}

#[test]
fn a_document_without_secrets_is_the_same_document() {
    let masker = masker(&[("s", "hunter2-hunter2")]);
    for text in ["{\"a\": \"\\u00fc\\/\\n\", \"b\": 1e5}", "[1.0, 9223372036854775809]", "\"x\""] {
        assert_eq!(masker.mask_json(Json::parse(text).unwrap()).text(), text);
    }
}

#[test]
fn what_is_masked_does_not_grow_without_bounds() {
    let masker = masker(&[("a-rather-long-name-of-a-secret-that-is-shown-again-and-again", "12345678")]);
    let many = "12345678 ".repeat(20_000);
    let masked = masked(&masker, &many);
    assert!(masked.starts_with("[secret] [secret]") && masked.len() == many.len());
    let masked = masker.mask_json(document(json!(vec![12_345_678; 20_000])));
    assert!(masked.text().starts_with("[\"[secret]\","), "{}", &masked.text()[..99]);
}

#[test]
fn what_a_cut_left_of_a_secret_is_masked() {
    let masker = masker(&[("s", "hunter2-hunter2-hunter2")]);
    assert_eq!(masker.mask_cut("token hunter2-hunt…"), "token [secret s]…");
    assert_eq!(masker.mask_cut("token hunter2-hunt"), "token [secret s]");
    assert_eq!(masker.mask_cut("hunter2-hunter2-hunter2 hunter2"), "[secret s] hunter2");
    assert_eq!(masker.mask_cut("hunter2-hunter2-hunter2"), "[secret s]");
}

#[test]
fn d3_what_is_cut_off_within_another_secret_is_masked_with_it() {
    let masker = masker(&[("a", "aaaabbbbbbbb"), ("b", "bbbbbbbbcccc"), ("c", "--cccc--aaaabbbbbbbb--and-more")]);
    assert_eq!(masker.mask_cut("x aaaabbbbbbbbcc"), "x [secret a]");
    assert_eq!(masker.mask_cut("aaaabbbbbbbb --cccc--aaaabbbbbbbb--an…"), "[secret a] [secret c]…");
}

#[test]
fn failures_are_masked() {
    use weir_engine::failure::FailureCode;
    let masker = masker(&[("s", "hunter2-hunter2")]);
    let failure = Failure::new(FailureCode::Failed, "panicked at hunter2-hunter2")
        .with_details(json!({ "x": "hunter2-hunter2" }));
    let masked = masker.mask_failure(failure);
    assert_eq!(masked.message, "panicked at [secret s]");
    assert_eq!(masked.details.unwrap().text(), r#"{"x":"[secret s]"}"#);
}

#[test]
fn bytes_that_are_no_text_are_masked() {
    let masker = masker(&[("s", "hunter2-hunter2")]);
    let masked = masker.mask_bytes(b"\xff\x00hunter2-hunter2\xfe");
    assert_eq!(&*masked, b"\xff\x00[secret s]\xfe");
    assert!(matches!(masker.mask_bytes(b"\xff"), Cow::Borrowed(_)));
}

#[test]
fn d3_a_stream_holds_back_only_what_may_become_a_secret() {
    let masker = masker(&[("a", "hunter2-hunter2"), ("b", "hunter2-hunter2-and-more")]);
    let mut stream = masker.stream();
    assert_eq!(stream.push("plain text "), "plain text ");
    assert_eq!(stream.push("hu"), "");
    assert_eq!(stream.push("man hunter2-hun"), "human ");
    assert_eq!(stream.push("ter2"), "");
    assert_eq!(stream.push("!"), "[secret a]!");
    assert_eq!(stream.push("hunter2-hunter2-and-more."), "[secret b].");
    assert_eq!(stream.push("hunter2-hunter2-an"), "");
    assert_eq!(stream.finish(), "[secret a]-an");
}

#[test]
fn d3_a_stream_masks_secrets_that_overlap_as_one() {
    let masker = masker(&[("a", "aaaabbbb"), ("b", "bbbbcccc")]);
    let mut stream = masker.stream();
    assert_eq!(stream.push("-aaaabbbb"), "-[secret a]", "where it ends, another may have begun");
    assert_eq!(stream.push("cccc"), "", "and did");
    assert_eq!(stream.push("bbbbcccc-aaaabbbb"), "[secret b]-[secret a]");
    assert_eq!(stream.push("ccc"), "");
    assert_eq!(stream.finish(), "ccc");
}

/// What a secret may be made of, so that every form differs from the others.
fn secrets() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ -~äß€😀\\n\\t]{8,80}", 1..5)
}

proptest! {
    // Each case tries every form of every secret.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn d3_no_form_of_any_secret_survives(values in secrets(), before in "[ -~é]{0,40}", after in "[ -~é]{0,40}") {
        let masker = Masker::default();
        for (at, value) in values.iter().enumerate() {
            masker.learn(&format!("s{at}"), &Secret::new(value.clone()));
        }
        let forms: Vec<_> = values.iter().flat_map(|value| forms::of(value)).collect();
        let long: Vec<&str> = forms.iter().map(|form| form.as_str()).filter(|form| form.len() >= MASKED_BYTES_MIN).collect();
        for form in &long {
            let text = format!("{before}{form}{after}");
            let masked = masker.mask_text(&text);
            let json = masker.mask_json(document(json!({ &text: [&text] })));
            let (key, value) = json.value().as_object().unwrap().iter().next().unwrap();
            for shown in [&*masked, key, value[0].as_str().unwrap()] {
                prop_assert!(!long.iter().any(|form| shown.contains(form)), "{shown:?}");
            }
            prop_assert_eq!(&*masker.mask_bytes(text.as_bytes()), masked.as_bytes());
        }
    }
}

proptest! {
    #[test]
    fn d3_texts_without_secrets_stay_as_they_are(value in "[a-z]{8,40}", text in "[A-Z0-9 ü\"\\\\/%+=]{0,200}") {
        let masker = masker(&[("s", &value)]);
        // A secret of small letters has digits in some of its forms, and none without a small letter is in this text
        // but hexadecimal and base64, which are too long to be there by chance.
        prop_assert!(matches!(masker.mask_text(&text), Cow::Borrowed(_)));
        let json = document(json!({ "k": text }));
        let after = masker.mask_json(json.clone());
        prop_assert_eq!(after.text(), json.text());
        let mut stream = masker.stream();
        let shown = stream.push(&text) + &stream.finish();
        prop_assert_eq!(shown, text);
    }

    #[test]
    fn d3_a_secret_split_over_pieces_is_masked_like_a_whole(
        // Few letters, so that secrets overlap each other and themselves.
        values in prop::collection::vec("[f-z€]{8,40}|[fg€]{3,12}", 1..4),
        parts in prop::collection::vec((any::<prop::sample::Index>(), "[f-h€]{0,12}"), 0..8),
        cuts in prop::collection::vec(0..400_usize, 0..20),
    ) {
        let values: Vec<String> = values.into_iter().filter(|value| value.len() >= MASKED_BYTES_MIN).collect();
        let named: Vec<(&str, &str)> = values.iter().map(|value| ("0", value.as_str())).collect();
        let masker = masker(&named);
        let part = |(at, plain): &(prop::sample::Index, String)| {
            // Every other part is a secret, if there is one.
            values.get(at.index(2 * values.len() + 1)).unwrap_or(plain).clone()
        };
        let text: String = parts.iter().map(part).collect();
        let mut stream = masker.stream();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|at| *at < text.len() && text.is_char_boundary(*at)).collect();
        cuts.sort_unstable();
        let (mut shown, mut from) = (String::new(), 0);
        for cut in cuts.into_iter().chain([text.len()]) {
            shown += &stream.push(&text[from..cut]);
            from = cut;
            prop_assert!(!values.iter().any(|value| shown.contains(value)));
        }
        shown += &stream.finish();
        prop_assert_eq!(shown, masker.mask_text(&text).into_owned());
    }
}
