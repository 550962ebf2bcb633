//! Workflows and their versions.

use serde_json::json;
use weir_engine::json::Json;
use weir_host::store::{NewWorkflow, StoreError, WorkflowFilter, WorkflowOrder};

use super::made::open;

fn new(name: &str, step: u32) -> NewWorkflow {
    let definition = Json::from_value(json!({"name": name, "step": step}));
    let description = Some(format!("Does {name}"));
    NewWorkflow {
        name: name.to_owned(),
        description,
        active: true,
        definition,
        triggers: Vec::new(),
        expected_version: None,
        owner: None,
        entries: Vec::new(),
    }
}

#[tokio::test]
async fn each_definition_is_a_version_and_the_same_one_is_not() {
    let (_folder, store) = open().await;
    let first = store.create_workflow(new("Triage", 1)).await.unwrap();
    assert_eq!((first.workflow.version, first.version.version, first.new_version), (1, 1, true));
    let id = first.workflow.id.clone();
    let same = store.update_workflow(&id, NewWorkflow { active: false, ..new("Triage", 1) }).await.unwrap();
    assert_eq!((same.new_version, same.workflow.active, &same.version), (false, false, &first.version));
    let second = store.update_workflow(&id, new("Triage", 2)).await.unwrap();
    assert_eq!((second.new_version, second.version.version), (true, 2));
    let old = store.workflow_version(&id, Some(1)).await.unwrap().unwrap();
    assert_eq!(old.definition.text(), r#"{"name":"Triage","step":1}"#);
    assert_eq!(store.workflow_version(&id, None).await.unwrap().unwrap(), second.version);
    assert!(store.workflow_version(&id, Some(9)).await.unwrap().is_none());
    let versions = store.workflow_versions(&id, None, 9).await.unwrap();
    assert_eq!(versions.iter().map(|v| v.version).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(store.workflow_versions(&id, Some(2), 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_two_who_change_the_same_version_the_second_is_refused() {
    let (_folder, store) = open().await;
    let id = store.create_workflow(new("Triage", 1)).await.unwrap().workflow.id;
    let change = |step| NewWorkflow { expected_version: Some(1), ..new("Triage", step) };
    let (one, other) = tokio::join!(store.update_workflow(&id, change(2)), store.update_workflow(&id, change(3)));
    let refused = [one, other].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(refused.as_slice(), [StoreError::VersionConflict { newest: 2, expected: 1 }]), "{refused:?}");
    assert_eq!(store.workflow_versions(&id, None, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_name_belongs_to_one_live_workflow() {
    let (_folder, store) = open().await;
    let triage = store.create_workflow(new("Triage", 1)).await.unwrap().workflow;
    let taken = store.create_workflow(new(" tRIAGE ", 1)).await.unwrap_err();
    assert!(matches!(&taken, StoreError::NameTaken { workflow_id, .. } if **workflow_id == *triage.id), "{taken:?}");
    let other = store.create_workflow(new("Other", 1)).await.unwrap().workflow;
    assert!(matches!(store.update_workflow(&other.id, new("triage", 1)).await, Err(StoreError::NameTaken { .. })));
    assert_eq!(store.workflow("TRIAGE").await.unwrap().unwrap(), triage);
    assert_eq!(store.workflow(&triage.id).await.unwrap().unwrap(), triage);
    store.delete_workflow(&triage.id).await.unwrap();
    assert!(store.workflow("triage").await.unwrap().is_none());
    assert!(store.workflow(&triage.id).await.unwrap().is_none());
    assert!(matches!(store.delete_workflow(&triage.id).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(store.update_workflow(&triage.id, new("x", 1)).await, Err(StoreError::NotFound { .. })));
    assert!(store.workflow_version(&triage.id, Some(1)).await.unwrap().is_some(), "executions may still run it");
    store.create_workflow(new("triage", 1)).await.unwrap();
}

#[tokio::test]
async fn workflows_are_found_and_paged() {
    let (_folder, store) = open().await;
    for name in ["Beta", "alpha", "Gamma 100%", "delta"] {
        let active = name != "delta";
        store.create_workflow(NewWorkflow { active, ..new(name, 1) }).await.unwrap();
    }
    let list = async |filter: &WorkflowFilter| {
        let mut names = Vec::new();
        let mut after = None;
        loop {
            let page = store.workflows(filter, after.as_deref(), 3).await.unwrap();
            let Some(last) = page.last() else { break names };
            after = Some(last.id.clone());
            names.extend(page.iter().map(|row| row.name.to_string()));
        }
    };
    let all = WorkflowFilter::default();
    assert_eq!(list(&all).await, ["alpha", "Beta", "delta", "Gamma 100%"]);
    let newest = WorkflowFilter { order: WorkflowOrder::Newest, ..all.clone() };
    assert_eq!(list(&newest).await, ["delta", "Gamma 100%", "alpha", "Beta"]);
    let inactive = WorkflowFilter { active: Some(false), ..all.clone() };
    assert_eq!(list(&inactive).await, ["delta"]);
    for (search, expected) in [("DOES b", vec!["Beta"]), ("%", vec!["Gamma 100%"]), ("_", vec![])] {
        let filter = WorkflowFilter { search: Some(search.to_owned()), ..all.clone() };
        assert_eq!(list(&filter).await, expected, "{search}");
    }
}
