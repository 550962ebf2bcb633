//! A2, D4: who may do what, for every route of the table, and what is written down about it.

use serde_json::{Value, json};
use weir_host::{
    identity::{Role, Roles},
    server::router::{Access, ROUTES},
};

use super::support::TestHost;

/// A path whose names name nothing.
fn nowhere(path: &str) -> String {
    path.replace("{execution}", "0193b0a0-0000-7000-8000-000000000000")
        .replace("{version}", "1")
        .replace(['{', '}'], "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_every_role_may_use_the_routes_that_need_it_and_no_others() {
    let host = TestHost::start().await;
    let mut refused = 0;
    for role in Role::ALL {
        let (_, head) = host.token(role.as_str(), &[role.as_str()]).await;
        for route in ROUTES {
            let Access::Needs(needed) = route.access else { continue };
            let answer = host.send(&route.method.to_uppercase(), &nowhere(route.path), &head, &Value::Null).await;
            let about = format!("{role:?} {} {}: {answer:?}", route.method, route.path);
            assert_ne!(answer.status, 401, "{about}");
            assert!(answer.status < 500, "{about}");
            let may = Roles::from(role).allow(needed);
            assert_eq!(answer.status != 403, may, "{about}");
            if answer.status >= 400 {
                answer.assert_problem();
            }
            if !may {
                assert_eq!(answer.json()["code"], "forbidden", "{about}");
                assert_eq!(answer.json()["details"]["role"], needed.as_str(), "{about}");
                refused += usize::from(route.act.is_some());
            }
        }
    }
    let rows = host.client.get("/api/audit/verify").await.unwrap();
    assert_eq!(rows["sound"], true, "{rows}");
    let mut found = 0;
    for role in Role::ALL {
        let rows = host.audit(&format!("&actor=token:{}", role.as_str())).await;
        found += rows.iter().filter(|row| row["outcome"] == "refused").count();
    }
    assert_eq!(found, refused, "each refused act has its row");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_what_fails_and_what_strangers_try_is_written_down() {
    let host = TestHost::start().await;
    for route in ROUTES.iter().filter(|route| route.act.is_some()) {
        let (method, path) = (route.method.to_uppercase(), nowhere(route.path));
        let before = host.audit("").await.len();
        let stranger = host.send(&method, &path, "", &Value::Null).await;
        assert!((400..500).contains(&stranger.status), "{route:?}: {stranger:?}");
        let rows = host.audit("").await;
        assert_eq!(rows.len(), before + 1, "{route:?}");
        assert_eq!((&rows[0]["actor"], &rows[0]["act"]), (&json!("anonymous"), &json!(route.act.unwrap())));
        let wanted = if matches!(route.access, Access::Public) { "failed" } else { "refused" };
        assert_eq!(rows[0]["outcome"], wanted, "{route:?}");
        assert_eq!(rows[0]["details"]["path"], path, "{route:?}");
        assert_eq!(rows[0]["details"]["from"], "127.0.0.1", "{route:?}");
    }
    let path = "/api/workflows/nowhere/execute";
    assert_eq!(host.post(path, &json!({})).await.status, 404);
    let row = &host.audit("&actor=admin&act=execution.start").await[0];
    assert_eq!((&row["outcome"], &row["details"]["code"]), (&json!("failed"), &json!("workflow_not_found")));
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_strangers_cannot_fill_the_log() {
    let host = TestHost::start().await;
    for _ in 0..300 {
        host.send("DELETE", "/api/workflows/x", "", &Value::Null).await;
    }
    let rows = host.client.get("/api/audit/verify").await.unwrap();
    assert!(rows["rows"].as_u64().unwrap() <= 150, "{rows}");
    host.running.stop().await;
}
