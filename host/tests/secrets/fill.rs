//! What secrets are put into, and on the way to whom.

use weir_engine::failure::{Failure, FailureCode};
use weir_host::{egress::HeaderMap, secrets::Secrets, store::AuditFilter};

use super::{open, secret, set};

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn fill(secrets: &Secrets, url: &str, value: &str) -> Result<HeaderMap, Failure> {
    secrets.fill(|name| name != "other", url, &headers(&[("x", "plain"), ("authorization", value)]))
}

fn refused(secrets: &Secrets, url: &str, value: &str) -> (FailureCode, String) {
    let failure = fill(secrets, url, value).unwrap_err();
    assert!(!failure.message.contains("hunter2"), "{failure:?}");
    (failure.code, failure.message)
}

#[tokio::test]
async fn a_secret_goes_only_where_it_is_bound_to() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, secrets) = open(folder.path()).await;
    set(&secrets, "key", "hunter2-hunter2", &["api.example.com", "*.below.example", "10.0.0.5:8080"]).await;
    set(&secrets, "own", "hunter2-for-models", &[]).await;
    for url in ["https://api.example.com/x?y", "https://a.below.example:443", "http://10.0.0.5:8080/"] {
        let filled = fill(&secrets, url, "Bearer {{secret:key}}").unwrap();
        assert_eq!(filled["authorization"], "Bearer hunter2-hunter2", "{url}");
        assert!(filled["authorization"].is_sensitive() && !filled["x"].is_sensitive());
        assert!(!format!("{filled:?}").contains("hunter2"));
    }
    for url in [
        "https://api.example.com.evil.example/",
        "https://evil.example/api.example.com",
        "https://api.example.com:8443/",
        "https://below.example/",
        "http://10.0.0.5/",
        "http://[::ffff:10.0.0.5]:8080/",
    ] {
        let (code, message) = refused(&secrets, url, "Bearer {{secret:key}}");
        assert_eq!(code, FailureCode::Denied, "{url}");
        assert!(message.contains("\"key\"") && message.contains("may not be sent to "), "{message}");
        assert!(fill(&secrets, url, "Bearer none").is_ok(), "{url}");
    }
    let (code, message) = refused(&secrets, "https://evil.example/", "{{secret:key}}");
    assert!(code == FailureCode::Denied && message.contains("evil.example:443"), "{message}");
    assert_eq!(refused(&secrets, "https://api.example.com/", "{{secret:own}}").0, FailureCode::Denied);
}

#[tokio::test]
async fn a_secret_goes_unencrypted_only_to_a_port_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, secrets) = open(folder.path()).await;
    set(&secrets, "key", "hunter2-hunter2", &["api.example.com", "named.example:80", "tls.example:443"]).await;
    for (url, goes) in [
        ("http://api.example.com/", false),
        ("http://api.example.com:443/", false),
        ("https://api.example.com:80/", true),
        ("http://named.example/", true),
        ("http://tls.example:443/", false),
        ("https://tls.example/", true),
    ] {
        assert_eq!(fill(&secrets, url, "{{secret:key}}").is_ok(), goes, "{url}");
    }
}

#[tokio::test]
async fn only_values_of_headers_are_looked_at_and_what_is_odd_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, secrets) = open(folder.path()).await;
    set(&secrets, "key", "hunter2-hunter2", &["api.example.com"]).await;
    set(&secrets, "other", "hunter2-of-others", &["api.example.com"]).await;
    let url = "https://api.example.com/{{secret:key}}";
    let filled = fill(&secrets, url, "{{secret:key}}:{{secret:key}} {{x}} }} {{secret").unwrap();
    assert_eq!(filled["authorization"], "hunter2-hunter2:hunter2-hunter2 {{x}} }} {{secret");
    let (code, message) = refused(&secrets, url, "{{secret:other}}");
    assert!(code == FailureCode::Denied && message.contains("not granted"), "{message}");
    let (code, message) = refused(&secrets, url, "{{secret:unknown}}");
    assert!(code == FailureCode::Denied && message.contains("there is no secret"), "{message}");
    for wrong in ["{{secret:", "{{secret:key", "{{secret: key}}", "{{secret:{{secret:key}}}}", "{{secret:}}", "a\nb"] {
        assert_eq!(refused(&secrets, url, wrong).0, FailureCode::InvalidInput, "{wrong}");
    }
    for url in ["ftp://api.example.com", "https://u:p@api.example.com", "api.example.com", "https://"] {
        assert_eq!(refused(&secrets, url, "{{secret:key}}").0, FailureCode::InvalidInput, "{url}");
    }
    let named = secrets.fill(|_| true, url, &headers(&[("{{secret:key}}", "x")])).unwrap_err();
    assert_eq!(named.code, FailureCode::InvalidInput);
}

#[tokio::test]
async fn secrets_are_kept_replaced_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (store, secrets) = open(folder.path()).await;
    set(&secrets, "key", "hunter2-hunter2", &["API.example.com.", "localhost:8080"]).await;
    let listed = secrets.list().await.unwrap();
    assert_eq!(listed[0].hosts, ["api.example.com", "localhost:8080"]);
    assert!(listed[0].rotated_at.is_none() && listed[0].set_by == "user:alice");
    set(&secrets, "key", "hunter3-hunter3", &["b.example"]).await;
    assert!(fill(&secrets, "https://api.example.com", "{{secret:key}}").is_err());
    assert_eq!(secrets.masker().mask_text("hunter2-hunter2 hunter3-hunter3"), "[secret key] [secret key]");
    store.close().await;

    let (store, secrets) = open(folder.path()).await;
    assert_eq!(secrets.key("key").unwrap().reveal(), "hunter3-hunter3");
    assert_eq!(fill(&secrets, "https://b.example", "{{secret:key}}").unwrap()["authorization"], "hunter3-hunter3");
    assert!(secrets.list().await.unwrap()[0].rotated_at.is_some());
    secrets.delete("key", "admin".to_owned()).await.unwrap();
    assert!(secrets.key("key").is_none() && secrets.delete("key", "admin".to_owned()).await.is_err());
    assert_eq!(store.all_secrets().await.unwrap().len(), 1, "the value went with its name");
    let acts: Vec<String> =
        store.audit_rows(&AuditFilter::default(), None, 9).await.unwrap().into_iter().map(|row| row.act).collect();
    assert_eq!(acts, ["secret.delete", "secret.rotate", "secret.set"]);
}

#[tokio::test]
async fn what_cannot_be_used_or_masked_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, secrets) = open(folder.path()).await;
    let long = "x".repeat(65);
    let hosts: Vec<String> = (0..17).map(|n| format!("h{n}.example")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let (large, good) = ("x".repeat(8193), "hunter2-hunter2");
    let wrong = [
        secret("", good, &[]),
        secret("Key", good, &[]),
        secret("1key", good, &[]),
        secret("a/b", good, &[]),
        secret(&long, good, &[]),
        secret("key", "", &[]),
        secret("key", "hunter2", &[]),
        secret("key", " hunter2-hunter2", &[]),
        secret("key", "hunter2\nhunter2", &[]),
        secret("key", "hünter2-hunter2", &[]),
        secret("key", &large, &[]),
        secret("my-long-name", "long-name", &[]),
        secret("key", good, &["https://a.example"]),
        secret("key", good, &["*"]),
        secret("key", good, &hosts),
    ];
    for set in wrong {
        let about = format!("{set:?}");
        let error = secrets.set(set, "admin".to_owned()).await.unwrap_err().to_string();
        assert!(!error.contains("hunter2-hunter2"), "{about}: {error}");
    }
    assert!(secrets.list().await.unwrap().is_empty());
}
