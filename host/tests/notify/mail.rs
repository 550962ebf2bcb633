//! Mail, to a server that is well-behaved and to others.

use serde_json::{Value, json};
use weir_host::notify::{ChannelConfig, Notice, SendError, send};

use super::{
    NOW, egress,
    mail_server::{MailServer, Manners},
    notice,
};
use crate::egress::tls::acceptor;

/// What the server was told, and how sending ended.
async fn sent(manners: Manners, change: Value, notice: &Notice) -> (Vec<String>, Result<(), SendError>) {
    let (acceptor, root) = acceptor(&["127.0.0.1"]);
    let server = MailServer::start(acceptor, manners).await;
    let mut email = json!({
        "host": "127.0.0.1", "port": server.port, "from": "Weir <weir@example.com>",
        "to": ["a@example.com", "Bob <b@example.com>"],
    });
    email.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let channel: ChannelConfig = serde_json::from_value(json!({"email": email})).unwrap();
    channel.check().unwrap();
    let ended = send(&egress(&[server.port], vec![root]), &channel, notice, NOW).await;
    (server.told(), ended)
}

fn answers(answers: &[(&'static str, &str)]) -> Manners {
    let answers = answers.iter().map(|(word, answer)| (*word, (*answer).to_owned())).collect();
    Manners { answers, ..Manners::default() }
}

#[tokio::test]
async fn mail_is_said_only_after_encryption() {
    let change = json!({"username": "weir", "password": "hunter2"});
    let (told, ended) = sent(Manners::default(), change, &notice()).await;
    ended.unwrap();
    let (before, after) = told.split_at(told.iter().position(|line| line == "(encrypted)").unwrap());
    assert_eq!(before, ["EHLO example.com", "STARTTLS"]);
    let rest = [
        "EHLO example.com",
        "AUTH PLAIN AHdlaXIAaHVudGVyMg==",
        "MAIL FROM:<weir@example.com>",
        "RCPT TO:<a@example.com>",
        "RCPT TO:<b@example.com>",
        "DATA",
    ];
    assert_eq!(after[1..7], rest);
    let message = &after[7];
    assert!(message.contains("Subject: Decision needed: Refund order 7\n"), "{message}");
    assert!(message.contains("Shall we?\n.\nA line with a dot"), "a line with a dot ends no message: {message}");
    assert!(message.contains("Options: Pay, Refuse"), "{message}");
}

#[tokio::test]
async fn mail_can_be_encrypted_from_the_first_byte_or_not_at_all() {
    let implicit = Manners { implicit: true, ..Manners::default() };
    let (told, ended) = sent(implicit, json!({"tls": "implicit"}), &notice()).await;
    ended.unwrap();
    assert!(!told.iter().any(|line| line == "STARTTLS") && told.iter().any(|line| line == "DATA"), "{told:?}");
    let (told, ended) = sent(Manners::default(), json!({"tls": "none"}), &notice()).await;
    ended.unwrap();
    assert!(!told.iter().any(|line| line == "STARTTLS") && told.iter().any(|line| line == "DATA"), "{told:?}");
}

#[tokio::test]
async fn a_server_that_takes_encryption_away_gets_no_mail() {
    let (told, ended) = sent(answers(&[("EHLO", "250-mx.test\r\n250 8BITMIME\r\n")]), json!({}), &notice()).await;
    assert!(ended.unwrap_err().reason.contains("STARTTLS"));
    assert_eq!(told, ["EHLO example.com"]);
    let injected = answers(&[("STARTTLS", "220 go on\r\n250 from the dark\r\n")]);
    let (told, ended) = sent(injected, json!({}), &notice()).await;
    assert!(ended.unwrap_err().reason.contains("more than it was asked"));
    assert_eq!(told, ["EHLO example.com", "STARTTLS"]);
}

#[tokio::test]
async fn a_server_that_nobody_trusts_gets_no_mail() {
    let (acceptor, _) = acceptor(&["127.0.0.1"]);
    let server = MailServer::start(acceptor, Manners::default()).await;
    let email = json!({"host": "127.0.0.1", "port": server.port, "from": "w@example.com", "to": ["a@example.com"]});
    let channel: ChannelConfig = serde_json::from_value(json!({"email": email})).unwrap();
    let error = send(&egress(&[server.port], Vec::new()), &channel, &notice(), NOW).await.unwrap_err();
    assert!(error.is_retryable && error.reason.contains("TLS"), "{error}");
    assert_eq!(server.told(), ["EHLO example.com", "STARTTLS"]);
    let error = send(&egress(&[], Vec::new()), &channel, &notice(), NOW).await.unwrap_err();
    assert!(!error.is_retryable && error.reason.contains("egress.allow"), "{error}");
}

#[tokio::test]
async fn what_a_server_answers_decides_about_the_next_attempt() {
    let password = json!({"username": "weir", "password": "wrong"});
    let cases = [
        ("AUTH", "535 no\r\n", false),
        ("MAIL", "421 busy\r\n", true),
        ("RCPT", "550 unknown\r\n", false),
        ("RCPT", "450 greylisted\r\n", true),
        ("(message)", "554 spam\r\n", false),
        ("(message)", "451 later\r\n", true),
        ("(greeting)", "554 go away\r\n", false),
        ("MAIL", "nonsense\r\n", true),
    ];
    for (word, answer, is_retryable) in cases {
        let (_, ended) = sent(answers(&[(word, answer)]), password.clone(), &notice()).await;
        let error = ended.unwrap_err();
        assert_eq!(error.is_retryable, is_retryable, "{word} {answer}: {error}");
        assert!(!error.reason.contains("wrong") && !error.reason.contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn mail_that_was_taken_is_sent_however_the_server_leaves() {
    let (_, ended) = sent(answers(&[("QUIT", "500 what?\r\n")]), json!({}), &notice()).await;
    ended.unwrap();
}

#[tokio::test]
async fn a_server_that_talks_without_end_is_left() {
    let endless = "250-".repeat(100_000);
    let (_, ended) = sent(answers(&[("MAIL", &endless)]), json!({}), &notice()).await;
    let error = ended.unwrap_err();
    assert!(error.reason.chars().count() <= 501, "{error}");
}

#[tokio::test]
async fn what_others_wrote_becomes_neither_a_header_nor_a_command() {
    let hostile = Notice {
        id: "x\r\nBcc: c@evil.example".to_owned(),
        title: "a\r\nBcc: c@evil.example\r\n\r\n.\r\nRCPT TO:<c@evil.example>".to_owned(),
        text: "a\r\n.\r\nRCPT TO:<c@evil.example>\r\n\n.\n.\r.\r\nRSET".to_owned(),
        ..notice()
    };
    let (told, ended) = sent(Manners::default(), json!({}), &hostile).await;
    ended.unwrap();
    let commands: Vec<_> = told.iter().map(|line| line.split([' ', '\n']).next().unwrap()).collect();
    let usual = ["EHLO", "STARTTLS", "(encrypted)", "EHLO", "MAIL", "RCPT", "RCPT", "DATA"];
    assert_eq!(commands[..8], usual);
    assert!(commands.len() <= 10 && !told[9..].iter().any(|line| line.contains("evil")), "{told:?}");
    let head = told[8].split("\n\n").next().unwrap();
    assert!(!head.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{head}");
}
