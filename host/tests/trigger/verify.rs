//! W1, W2, W5: who may start an execution by a webhook.

use std::time::Instant;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use weir_engine::id::Timestamp;
use weir_host::{
    trigger::webhook::{
        Headers, Scheme, sign,
        verify::{Refusal, TOLERANCE_SECONDS, Verdict, verify},
    },
    vault::Secret,
};

const NOW: Timestamp = Timestamp(1_614_265_330_000_000);
const BODY: &[u8] = br#"{"id":"evt_1","test":2432232314,"text":"gr\u00fc\u00dfe"}"#;
/// Signatures whose times are compared.
const SIGNATURES: usize = 500;
const HEX: &[u8] = b"0123456789abcdef";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SIGNED: [Scheme; 3] = [Scheme::StandardWebhooks, Scheme::Github, Scheme::Stripe];

fn secret(scheme: Scheme) -> Secret {
    Secret::new(match scheme {
        Scheme::StandardWebhooks => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        Scheme::Github | Scheme::Stripe | Scheme::Bearer | Scheme::None => "It's a Secret to Everybody",
    })
}

fn other_secret(scheme: Scheme) -> Secret {
    Secret::new(match scheme {
        Scheme::StandardWebhooks => "whsec_NfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        Scheme::Github | Scheme::Stripe | Scheme::Bearer | Scheme::None => "It's a secret to Everybody",
    })
}

/// A request as it comes in.
#[derive(Debug, Clone)]
struct Sent {
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Sent {
    fn signed(scheme: Scheme, secret: &Secret, at: Timestamp) -> Self {
        Self::with(BODY, scheme, secret, at)
    }

    fn with(body: &[u8], scheme: Scheme, secret: &Secret, at: Timestamp) -> Self {
        let headers = sign(scheme, secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body).unwrap();
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes()));
        let others = [("content-type".to_owned(), b"application/json".to_vec())];
        Self { headers: others.into_iter().chain(headers).collect(), body: body.to_vec() }
    }

    fn verify(&self, scheme: Scheme, secrets: &[Secret]) -> Verdict {
        let headers: Headers = self.headers.iter().map(|(name, value)| (name, value)).collect();
        verify(scheme, secrets, &headers, &self.body, NOW)
    }

    fn accepted(&self, scheme: Scheme) -> bool {
        matches!(self.verify(scheme, &[secret(scheme)]), Verdict::Accepted { .. })
    }
}

fn headers(list: &[(&str, &str)]) -> Headers {
    list.iter().copied().collect()
}

#[test]
fn w1_the_examples_of_the_schemes_documentation_are_accepted() {
    let standard = headers(&[
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ]);
    let key = secret(Scheme::StandardWebhooks);
    let verdict = verify(Scheme::StandardWebhooks, &[key], &standard, br#"{"test": 2432232314}"#, NOW);
    assert_eq!(verdict, Verdict::Accepted { delivery_id: Some("msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()) });

    let github = headers(&[
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
    ]);
    let verdict = verify(Scheme::Github, &[secret(Scheme::Github)], &github, b"Hello, World!", NOW);
    assert_eq!(verdict, Verdict::Accepted { delivery_id: Some("72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned()) });

    // Stripe documents the construction, not an example; this one is by `openssl dgst -sha256 -hmac`.
    let stripe = headers(&[(
        "stripe-signature",
        "t=1614265330,v1=0000000000000000000000000000000000000000000000000000000000000000,\
         v1=20f5a909b4062140d92010229568bbb4f158ba9207754493451b5d10e2c0d6a3,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39",
    )]);
    let verdict = verify(Scheme::Stripe, &[secret(Scheme::Stripe)], &stripe, br#"{"id":"evt_1"}"#, NOW);
    assert_eq!(verdict, Verdict::Accepted { delivery_id: Some("evt_1".to_owned()) });

    let bearer = headers(&[("Authorization", "bearer It's a Secret to Everybody")]);
    let verdict = verify(Scheme::Bearer, &[secret(Scheme::Bearer)], &bearer, b"", NOW);
    assert_eq!(verdict, Verdict::Accepted { delivery_id: None });
}

#[test]
fn w1_every_single_bit_of_what_is_signed_counts() {
    for scheme in SIGNED {
        let sent = Sent::signed(scheme, &secret(scheme), NOW);
        assert!(sent.accepted(scheme));
        for bit in 0..sent.body.len() * 8 {
            let mut changed = sent.clone();
            changed.body[bit / 8] ^= 1 << (bit % 8);
            assert!(!changed.accepted(scheme), "{scheme:?}: bit {bit} of the body");
        }
        // GitHub signs the body alone: its delivery's id may be changed, so it is no proof of anything.
        let is_signed = |name: &str| name != "content-type" && name != "x-github-delivery";
        for index in (0..sent.headers.len()).filter(|index| is_signed(&sent.headers[*index].0)) {
            for bit in 0..sent.headers[index].1.len() * 8 {
                let mut changed = sent.clone();
                changed.headers[index].1[bit / 8] ^= 1 << (bit % 8);
                assert!(!changed.accepted(scheme), "{scheme:?}: bit {bit} of {}", sent.headers[index].0);
            }
        }
    }
}

#[test]
fn w1_headers_must_be_there_once_and_whole() {
    for scheme in [Scheme::StandardWebhooks, Scheme::Github, Scheme::Stripe, Scheme::Bearer] {
        let sent = Sent::signed(scheme, &secret(scheme), NOW);
        for index in 1..sent.headers.len() {
            let mut missing = sent.clone();
            missing.headers.remove(index);
            assert!(!missing.accepted(scheme), "{scheme:?} without {:?}", sent.headers[index].0);
            let mut doubled = sent.clone();
            doubled.headers.push(sent.headers[index].clone());
            assert!(!doubled.accepted(scheme), "{scheme:?} with two {:?}", sent.headers[index].0);
            let length = sent.headers[index].1.len();
            for end in 0..length {
                let mut short = sent.clone();
                short.headers[index].1.truncate(end);
                let is_free = scheme == Scheme::Github && sent.headers[index].0 == "x-github-delivery" && end > 0;
                assert_eq!(short.accepted(scheme), is_free, "{scheme:?}: {end} bytes of {:?}", sent.headers[index].0);
            }
        }
        assert_eq!(sent.verify(scheme, &[]), Verdict::Refused(Refusal::NoSecret));
        assert_eq!(sent.verify(scheme, &[other_secret(scheme)]), Verdict::Refused(Refusal::NoMatch));
        for wrong in SIGNED.into_iter().filter(|wrong| *wrong != scheme) {
            assert!(
                !matches!(sent.verify(wrong, &[secret(scheme)]), Verdict::Accepted { .. }),
                "{scheme:?} as {wrong:?}"
            );
        }
    }
}

#[test]
fn w1_signatures_hold_for_five_minutes() {
    for scheme in [Scheme::StandardWebhooks, Scheme::Stripe] {
        for (shift, expected) in [
            (0, None),
            (TOLERANCE_SECONDS, None),
            (-TOLERANCE_SECONDS, None),
            (TOLERANCE_SECONDS + 1, Some(Refusal::TooNew)),
            (-TOLERANCE_SECONDS - 1, Some(Refusal::TooOld)),
            (86_400 * 365 * 20, Some(Refusal::TooNew)),
        ] {
            let sent = Sent::signed(scheme, &secret(scheme), Timestamp(NOW.0 + shift * 1_000_000));
            let refused = match sent.verify(scheme, &[secret(scheme)]) {
                Verdict::Accepted { .. } => None,
                Verdict::Refused(refusal) => Some(refusal),
            };
            assert_eq!(refused, expected, "{scheme:?} {shift} s");
        }
    }
}

#[test]
fn w1_other_spellings_are_refused() {
    let good = Sent::signed(Scheme::StandardWebhooks, &secret(Scheme::StandardWebhooks), NOW);
    let signature = String::from_utf8(good.headers[3].1.clone()).unwrap();
    let code = signature.strip_prefix("v1,").unwrap().to_owned();
    let with = |index: usize, value: String| {
        let mut sent = good.clone();
        sent.headers[index].1 = value.into_bytes();
        sent.accepted(Scheme::StandardWebhooks)
    };
    for value in
        [format!("v1a,{code}"), format!("v2,{code}"), code.clone(), format!("v1={code}"), format!("v1,{code}=")]
    {
        assert!(!with(3, value.clone()), "{value}");
    }
    for value in ["01614265330", "+1614265330", " 1614265330", "1614265330.0", "0x60379D32", "99999999999999999999"] {
        assert!(!with(2, value.to_owned()), "{value}");
    }
    assert!(!with(1, "msg.1".to_owned()) && !with(1, "m".repeat(257)));
    assert!(with(3, format!("v1a,xyz v9,{code} {signature}")), "others are passed over");

    let good = Sent::signed(Scheme::Github, &secret(Scheme::Github), NOW);
    for (index, (name, value)) in good.headers.iter().enumerate().filter(|(_, (name, _))| name.ends_with("256")) {
        let value = String::from_utf8(value.clone()).unwrap();
        let upper = value.to_uppercase().replace("SHA256", "sha256");
        for other in [upper, value.replace("sha256", "sha1"), value.replace("sha256=", ""), format!("{value}00")] {
            let mut sent = good.clone();
            sent.headers[index].1 = other.clone().into_bytes();
            assert!(!sent.accepted(Scheme::Github), "{name}: {other}");
        }
    }
}

#[test]
fn w1_ten_thousand_mutated_requests_and_none_is_accepted() {
    let mut dice = StdRng::seed_from_u64(1);
    for scheme in [Scheme::StandardWebhooks, Scheme::Github, Scheme::Stripe, Scheme::Bearer] {
        let good = Sent::signed(scheme, &secret(scheme), NOW);
        let mut mutated = 0;
        while mutated < 10_000 {
            let mut sent = good.clone();
            for _ in 0..dice.random_range(1..4) {
                mutate(&mut sent, scheme, &mut dice);
            }
            if same_meaning(scheme, &sent, &good) {
                continue;
            }
            mutated += 1;
            assert!(!sent.accepted(scheme), "{scheme:?}: {sent:?}");
        }
    }
}

/// Changes one place of what a scheme looks at.
fn mutate(sent: &mut Sent, scheme: Scheme, dice: &mut StdRng) {
    let looks_at_body = scheme != Scheme::Bearer;
    let headers = sent.headers.len();
    let part = dice.random_range(0..headers + usize::from(looks_at_body)).max(1);
    let bytes = match sent.headers.get_mut(part) {
        Some((_, value)) => value,
        None => &mut sent.body,
    };
    let at = dice.random_range(0..bytes.len().max(1));
    match dice.random_range(0..5) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.random_range(0..8),
        1 if !bytes.is_empty() => drop(bytes.remove(at)),
        2 => bytes.insert(at.min(bytes.len()), dice.random()),
        3 => bytes.truncate(at),
        _ if part < headers => {
            let doubled = sent.headers[part].clone();
            sent.headers.push(doubled);
        }
        _ => bytes.extend_from_slice(b" "),
    }
}

/// Whether a mutated request says the same as the good one: GitHub does not sign the id of its deliveries, the word
/// `bearer` has no case, and what was changed may have been changed back.
fn same_meaning(scheme: Scheme, sent: &Sent, good: &Sent) -> bool {
    let signed = |sent: &Sent| {
        let mut headers = sent.headers.clone();
        match scheme {
            Scheme::Github => headers.retain(|(name, _)| name != "x-github-delivery"),
            Scheme::Bearer => headers.iter_mut().for_each(|(_, value)| {
                let length = value.len().min(6);
                value[..length].make_ascii_lowercase();
                while value.get(6..8) == Some(b"  ") {
                    value.remove(6);
                }
                while value.last() == Some(&b' ') {
                    value.pop();
                }
            }),
            Scheme::StandardWebhooks => {
                headers.iter_mut().filter(|(name, _)| name.ends_with("signature")).for_each(|(_, value)| {
                    // More signatures beside the good one do not make it worse.
                    let good: Vec<_> = value.split(|byte| *byte == b' ').filter(|part| !part.is_empty()).collect();
                    *value = good.join(&b' ');
                })
            }
            Scheme::Stripe | Scheme::None => {}
        }
        (headers, sent.body.clone())
    };
    signed(sent) == signed(good)
}

#[test]
fn w5_all_secrets_are_tried_and_one_is_enough() {
    for scheme in [Scheme::StandardWebhooks, Scheme::Github, Scheme::Stripe, Scheme::Bearer] {
        let (old, new) = (other_secret(scheme), secret(scheme));
        for signer in [&old, &new] {
            let sent = Sent::signed(scheme, signer, NOW);
            for secrets in [vec![old.clone(), new.clone()], vec![new.clone(), old.clone()]] {
                assert!(matches!(sent.verify(scheme, &secrets), Verdict::Accepted { .. }), "{scheme:?}");
            }
        }
    }
}

/// The time that a wrong signature takes must not tell how much of it is right.
///
/// The machine is shared, so single times are noise with a long tail. Times are taken in pairs, one after the other and in
/// changing order, and the median of their differences is compared with its own spread (from the middle half of them, which
/// the tail does not reach). A leak is there each time; an unlucky draw is not: only a difference of more than three
/// deviations in the same direction in five measurements in a row is one.
///
/// How long a signature takes to read depends on its letters, which tell nothing. So there are many of them, and the wrong
/// letter is a random one: those that are wrong in front and those that are wrong at the end differ in nothing else.
#[test]
fn w2_the_time_does_not_tell_where_a_signature_is_wrong() {
    for scheme in SIGNED {
        let mut dice = StdRng::seed_from_u64(1);
        let wrong: Vec<[Sent; 2]> = (0..SIGNATURES).map(|n| wrong_at_both_ends(scheme, n, &mut dice)).collect();
        let secrets = [secret(scheme)];
        let leaks: Vec<f64> = (0..5).map(|_| deviations(&wrong, scheme, &secrets, &mut dice)).collect();
        let slower = leaks.iter().all(|leak| *leak > 3.0);
        let faster = leaks.iter().all(|leak| *leak < -3.0);
        assert!(!slower && !faster, "{scheme:?}: {leaks:?} deviations");
    }
}

/// Requests whose signature is wrong in its first byte, and in its last.
fn wrong_at_both_ends(scheme: Scheme, n: usize, dice: &mut StdRng) -> [Sent; 2] {
    let body = format!("{{\"id\": \"evt_{n}\"}}");
    let good = Sent::with(body.as_bytes(), scheme, &secret(scheme), NOW);
    assert!(good.accepted(scheme));
    [true, false].map(|first| {
        let mut sent = good.clone();
        let (_, value) = sent.headers.iter_mut().find(|(name, _)| name.contains("signature")).unwrap();
        let (signature, letters): (_, &[u8]) = match scheme {
            Scheme::StandardWebhooks => (3..value.len() - 2, BASE64),
            Scheme::Github => (7..value.len(), HEX),
            Scheme::Stripe | Scheme::Bearer | Scheme::None => (value.len() - 64..value.len(), HEX),
        };
        let at = if first { signature.start } else { signature.end - 1 };
        let others: Vec<u8> = letters.iter().copied().filter(|letter| *letter != value[at]).collect();
        value[at] = others[dice.random_range(..others.len())];
        assert!(!sent.accepted(scheme));
        sent
    })
}

/// By how many deviations the median of the differences is from none, over 4,000 pairs.
fn deviations(wrong: &[[Sent; 2]], scheme: Scheme, secrets: &[Secret], dice: &mut StdRng) -> f64 {
    const PAIRS: usize = 4_000;
    // Made anew each time, so that where in memory they lie tells nothing of which they are.
    let headers = |sent: &Sent| sent.headers.iter().map(|(n, v)| (n, v)).collect::<Headers>();
    let time = |sent: &Sent, body: &[u8]| {
        let headers = headers(sent);
        let begin = Instant::now();
        std::hint::black_box(verify(scheme, secrets, std::hint::black_box(&headers), body, NOW));
        begin.elapsed().as_nanos() as f64
    };
    let mut differences: Vec<f64> = (0..PAIRS)
        .map(|_| {
            let [first, last] = &wrong[dice.random_range(..wrong.len())];
            let body = first.body.clone();
            let (one, two) = if dice.random() { (first, last) } else { (last, first) };
            let difference = time(one, &body) - time(two, &body);
            if std::ptr::eq(one, first) { difference } else { -difference }
        })
        .collect();
    differences.sort_by(f64::total_cmp);
    let median = differences[PAIRS / 2];
    let spread = (differences[PAIRS * 3 / 4] - differences[PAIRS / 4]) / 1.349;
    // The deviation of a median is 1.2533 times that of a mean. A clock that ticks slowly may show no spread at all.
    median / (1.2533 * spread.max(1.0) / (PAIRS as f64).sqrt())
}

#[test]
fn w2_nothing_secret_is_compared_but_in_constant_time() {
    let source = include_str!("../../src/trigger/webhook/verify.rs");
    for (number, line) in source.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        assert!(!code.contains("==") && !code.contains("!="), "line {}: {line}", number + 1);
    }
    assert!(source.contains("verify_slice") && source.contains("ct_eq"));
}
