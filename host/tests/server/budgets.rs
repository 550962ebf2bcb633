//! Budgets over the API: set, shown, deleted, and by whom.

use serde_json::{Value, json};

use super::support::{Answer, TestHost};

impl TestHost {
    async fn set_budget(&self, name: &str, body: &Value) -> Answer {
        let head = format!("authorization: Bearer {}\r\n", self.running.token().token);
        self.send("PUT", &format!("/api/budgets/{name}"), &head, body).await
    }
}

fn money(dollars: f64) -> Value {
    json!({ "scope": "host", "period": "day", "limits": { "max_cost_dollars": dollars, "request_limit": 7 } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_made_changed_shown_and_deleted() {
    let host = TestHost::start().await;
    let made = host.set_budget("team", &money(2.5)).await;
    assert_eq!((made.status, &made.json()["limits"]["max_cost_dollars"]), (201, &json!(2.5)), "{made:?}");
    let changed = host.set_budget("team", &money(3.0)).await;
    assert_eq!((changed.status, &changed.json()["limits"]["request_limit"]), (200, &json!(7)), "{changed:?}");
    let host = host.restart().await;
    let budget = host.client.get("/api/budgets/team").await.unwrap();
    assert_eq!(budget["limits"]["max_cost_dollars"], 3.0, "{budget}");
    assert_eq!(
        (&budget["scope"], &budget["period"], &budget["set_by"]),
        (&json!("host"), &json!("day"), &json!("admin"))
    );
    assert_eq!((&budget["settled"]["requests"], &budget["reserved"]["requests"]), (&json!(0), &json!(0)));
    let (start, end) = (budget["period_starts_at"].as_str().unwrap(), budget["period_ends_at"].as_str().unwrap());
    assert!(start.ends_with("T00:00:00.000000Z") && end.ends_with("T00:00:00.000000Z") && start < end, "{budget}");
    let page = host.client.get("/api/budgets").await.unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let metrics = host.request("GET", "/metrics", "", b"").await.body;
    for line in [
        "weir_budget_limit{budget=\"team\",limit=\"max_cost_dollars\"} 3.0",
        "weir_budget_taken{budget=\"team\",limit=\"request_limit\"} 0.0",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert_eq!(host.request("DELETE", "/api/budgets/team", "", b"").await.status, 204);
    let missing = host.request("GET", "/api/budgets/team", "", b"").await;
    assert_eq!((missing.status, &missing.json()["code"]), (404, &json!("budget_not_found")));
    assert!(!host.request("GET", "/metrics", "", b"").await.body.contains("budget=\"team\""));
    let rows = host.audit("").await;
    let acts: Vec<_> = rows.iter().map(|row| (row["act"].as_str().unwrap(), row["object"].as_str().unwrap())).collect();
    assert_eq!(acts, [("budget.delete", "team"), ("budget.set", "team"), ("budget.set", "team")]);
    assert_eq!(rows[1]["details"]["limits"]["max_cost_dollars"], 3.0, "{}", rows[1]);
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_budget_is_named() {
    let host = TestHost::start().await;
    let with = |member: &str, value: Value| {
        let mut body = money(1.0);
        body[member] = value;
        body
    };
    for (name, body, field) in [
        ("Team", money(1.0), ""),
        ("team", with("scope", json!("all")), "/scope"),
        ("team", with("workflow", json!("x")), "/workflow"),
        (
            "team",
            json!({ "scope": "workflow", "workflow": "nowhere", "period": "day", "limits": { "request_limit": 1 } }),
            "/workflow",
        ),
        ("team", with("period", json!("week")), "/period"),
        ("team", with("limits", json!({})), "/limits"),
        ("team", with("limits", json!({ "timeout_seconds": 3 })), "/limits"),
        ("team", with("limits", json!({ "requests": 3 })), "/limits/requests"),
        ("team", with("limits", json!({ "request_limit": -3 })), "/limits/request_limit"),
    ] {
        let answer = host.set_budget(name, &body).await;
        assert_eq!(answer.status, 422, "{field}: {answer:?}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{answer:?}");
        answer.assert_problem();
    }
    assert!(host.client.get("/api/budgets").await.unwrap()["items"].as_array().unwrap().is_empty());
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_see_budgets_and_administrators_set_them() {
    let host = TestHost::start().await;
    host.set_budget("team", &money(1.0)).await;
    for (role, may) in [("viewer", 200), ("author", 200), ("operator", 200)] {
        let (_, head) = host.token(role, &[role]).await;
        assert_eq!(host.send("GET", "/api/budgets/team", &head, &Value::Null).await.status, may);
        assert_eq!(host.send("PUT", "/api/budgets/team", &head, &money(9.0)).await.status, 403);
        assert_eq!(host.send("DELETE", "/api/budgets/team", &head, &Value::Null).await.status, 403);
    }
    assert_eq!(host.client.get("/api/budgets/team").await.unwrap()["limits"]["max_cost_dollars"], 1.0);
    host.running.stop().await;
}
