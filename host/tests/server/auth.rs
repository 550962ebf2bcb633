//! A1: nothing passes without the token, however the path is written.

use weir_host::server::router::{Access, ROUTES, Route};

use super::support::TestHost;

const PUBLIC: [&str; 3] = ["/healthz", "/readyz", "/api/openapi.json"];

fn request(method: &str, path: &str, head: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}content-length: 0\r\n\r\n").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_every_route_but_the_public_ones_needs_the_token() {
    let host = TestHost::start().await;
    let mut bodies = std::collections::BTreeSet::new();
    for Route { method, path, access, .. } in ROUTES {
        let path = path.replace(['{', '}'], "");
        let answer = host.raw(&request(&method.to_uppercase(), &path, "")).await;
        match access {
            Access::Open => assert_eq!(answer.status, 200, "{path}"),
            // It is not asked who comes in; what is sent is not enough.
            Access::Public => assert!((400..500).contains(&answer.status), "{path}: {answer:?}"),
            Access::Needs(_) => {
                assert_eq!(answer.status, 401, "{method} {path}");
                assert!(answer.head.contains("www-authenticate: Bearer"), "{answer:?}");
                bodies.insert(answer.body);
            }
        }
    }
    assert_eq!(bodies.len(), 1, "the body is the same for all");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_no_spelling_of_a_path_passes_for_a_public_one() {
    let host = TestHost::start().await;
    let mut paths = Vec::new();
    for public in PUBLIC {
        for secret in ["/api/workflows", "/api/plugins"] {
            paths.push(format!("{public}/..{secret}"));
            paths.push(format!("{public}/%2e%2e{secret}"));
            paths.push(format!("{secret}{public}"));
            paths.push(format!("{secret}/..{public}"));
            paths.push(format!("{secret};{public}"));
            paths.push(format!("{secret}%2f..%2f..{public}"));
        }
        for spelling in ["/", "//", ";x", "%20", "%00", "/.", "/./", "x", "%3f"] {
            paths.push(format!("{public}{spelling}"));
        }
        paths.push(format!("/{public}"));
        paths.push(format!("/.{public}"));
        paths.push(public.to_uppercase());
        paths.push(public.replace('a', "%61"));
    }
    for path in &paths {
        let answer = host.raw(&request("GET", path, "")).await;
        assert_eq!(answer.status, 401, "{path}");
    }
    let heads = [
        "x-original-url: /healthz\r\n",
        "x-rewrite-url: /healthz\r\n",
        "x-http-method-override: GET\r\n",
        "x-forwarded-for: 127.0.0.1\r\n",
        "authorization: Bearer\r\n",
        "authorization: Bearer null\r\n",
        "authorization: Basic YTpi\r\n",
    ];
    for head in heads {
        let answer = host.raw(&request("GET", "/api/workflows", head)).await;
        assert_eq!(answer.status, 401, "{head}");
    }
    let absolute = host.raw(&request("GET", "http://x/healthz/../api/workflows", "")).await;
    assert_eq!(absolute.status, 401);
    for path in PUBLIC {
        assert_eq!(host.raw(&request("DELETE", path, "")).await.status, 401, "{path}");
    }
    for Route { path, access, .. } in ROUTES {
        let ends_in_a_name = path.ends_with('}');
        let path = path.replace(['{', '}'], "");
        let mut spellings = vec![format!("{path}/"), format!("/{path}"), format!("/.{path}"), path.to_uppercase()];
        // Where a public path ends in a name, that is another name, which its handler looks up in vain.
        if !(ends_in_a_name && *access == Access::Public) {
            spellings.push(format!("{path};x"));
        }
        for spelling in spellings {
            let status = host.raw(&request("GET", &spelling, "")).await.status;
            assert!(status == 401, "{spelling} of {access:?} answered {status}");
        }
    }
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_the_token_is_not_taken_from_elsewhere() {
    let host = TestHost::start().await;
    let token = host.running.token().token.clone();
    let path = format!("/api/workflows?token={token}&access_token={token}");
    assert_eq!(host.raw(&request("GET", &path, "")).await.status, 401);
    let cookie = format!("cookie: token={token}\r\n");
    assert_eq!(host.raw(&request("GET", "/api/workflows", &cookie)).await.status, 401);
    assert_eq!(host.get("/api/workflows").await.status, 200);
    host.running.stop().await;
}
