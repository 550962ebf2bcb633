//! A3, H19: bodies are bounded, and refused before they are buffered.

use serde_json::json;

use super::support::{TestHost, quick};

const JSON: &str = "content-type: application/json\r\n";
const WASM: &str = "content-type: application/wasm\r\n";

/// The most memory that this process ever had, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_a_declared_length_over_the_limit_is_refused_before_the_body_comes() {
    let host = TestHost::start().await;
    for (path, kind, bytes) in
        [("/api/workflows", JSON, 1024 * 1024 + 1), ("/api/plugins", WASM, 64 * 1024 * 1024 + 1_u64)]
    {
        let head = format!("{kind}expect: 100-continue\r\ncontent-length: {bytes}\r\n");
        let answer = host.request("POST", path, &head, b"").await;
        assert_eq!(answer.status, 413, "{path}: {answer:?}");
        answer.assert_problem();
    }
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h19_chunks_without_a_length_are_counted() {
    let host = TestHost::start().await;
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let head = format!("{JSON}transfer-encoding: chunked\r\n");
    let answer =
        host.request("POST", "/api/workflows", &head, &[chunk.repeat(20).as_slice(), b"0\r\n\r\n"].concat()).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h19_a_plugin_that_is_too_large_is_not_kept_in_memory() {
    let host = TestHost::start().await;
    let body = vec![0_u8; 65 * 1024 * 1024];
    let before = peak_kib();
    let answer = host.request("POST", "/api/plugins", WASM, &body).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    // The test's own copies of the request are in the figure too: twice the body at most.
    let grown = peak_kib().saturating_sub(before);
    assert!(grown < 100 * 1024, "grown by {grown} KiB");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h19_encoded_and_foreign_bodies_are_refused() {
    let host = TestHost::start().await;
    let gzip = format!("{JSON}content-encoding: gzip\r\n");
    assert_eq!(host.request("POST", "/api/workflows", &gzip, b"x").await.status, 415);
    let gzip = format!("{WASM}content-encoding: gzip\r\n");
    assert_eq!(host.request("POST", "/api/plugins", &gzip, b"x").await.status, 415);
    for kind in ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "x"] {
        let head = format!("content-type: {kind}\r\n");
        assert_eq!(host.request("POST", "/api/workflows", &head, b"{}").await.status, 415, "{kind}");
    }
    assert_eq!(host.request("POST", "/api/workflows", "", b"{}").await.status, 415);
    assert_eq!(host.request("POST", "/api/plugins", JSON, b"{}").await.status, 415);
    let mut tar = vec![b'x'; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let module = b"\0asm\x01\0\0\0".as_slice();
    for body in [b"PK\x03\x04zip".as_slice(), b"\x7fELF", b"\x1f\x8b\x08", b"", b"\0asm", module, &tar] {
        let answer = host.request("POST", "/api/plugins", WASM, body).await;
        assert_eq!(answer.status, 422, "{body:?}: {answer:?}");
        answer.assert_problem();
    }
    assert_eq!(host.get("/api/plugins").await.json()["items"], json!([]), "nothing is half stored");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_may_be_yaml() {
    let host = TestHost::start().await;
    let yaml = "name: from_yaml\nsteps:\n  - id: a\n    type: condition\n    condition: {field: $.input.a, operator: exists}\n";
    let answer = host.request("POST", "/api/workflows", "content-type: application/yaml\r\n", yaml.as_bytes()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let answer = host.request("POST", "/api/workflows", "content-type: application/yaml\r\n", b"a: [b").await;
    assert_eq!(answer.status, 400, "{answer:?}");
    answer.assert_problem();
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body_is_an_empty_object() {
    let host = TestHost::start().await;
    host.save(quick("quick")).await;
    let answer = host.request("POST", "/api/workflows/quick/execute?wait=10", "", b"").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["input_data"], json!({}));
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_may_come_in_pieces_of_one_byte() {
    let host = TestHost::start().await;
    let pieces: Vec<u8> =
        b"\0asm\x0d\0\x01\0".iter().flat_map(|byte| [b"1\r\n", &[*byte][..], b"\r\n"].concat()).collect();
    let head = format!("{WASM}transfer-encoding: chunked\r\n");
    let answer = host.request("POST", "/api/plugins", &head, &[pieces.as_slice(), b"0\r\n\r\n"].concat()).await;
    let problem = answer.json();
    assert_eq!(problem["code"], "invalid_plugin", "{answer:?}");
    assert_eq!(problem["errors"][0]["code"], "wrong_interface", "an empty component is a component: {answer:?}");
    host.running.stop().await;
}
