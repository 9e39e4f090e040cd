//! Objects of `v1alpha1` with anything in each field: written, stored and read again they are what they were. Nothing
//! that the types have is pruned by the definitions, renamed, or changed by a default.
#![cfg(test)]

mod any;

use std::fmt::Debug;

use hcs_crds::{HcsContainer, HcsNode};
use hcs_tests::{Error, Result, Scenario};
use kube::api::DeleteParams;
use kube::{Api, Resource, ResourceExt};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How many of each kind the API server gets: each costs two writes.
const STORED: usize = 40;

/// Fails unless the object is the same once it was JSON, and that JSON the same once it was an object.
fn survives_json<K>(object: &K) -> Result<(), TestCaseError>
where
    K: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let json = serde_json::to_value(object).unwrap();
    let text = json.to_string();
    let read: K = serde_json::from_str(&text).unwrap();
    prop_assert_eq!(&read, object);
    prop_assert_eq!(serde_json::to_value(&read).unwrap(), json);
    Ok(())
}

proptest! {
    #[test]
    fn a_container_is_the_same_after_it_was_json(spec in any::spec(), status in any::status()) {
        let mut object = HcsContainer::new("any", spec);
        object.status = Some(status);
        survives_json(&object)?;
    }

    #[test]
    fn a_node_is_the_same_after_it_was_json(status in any::node_status()) {
        survives_json(&any::node("any", &status))?;
    }
}

fn samples<T: Debug>(of: &impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::default();
    let sample = |_| of.new_tree(&mut runner).unwrap().current();
    (0..STORED).map(sample).collect()
}

/// Stores an object with its status, and fails unless the API server has just what was written.
async fn is_stored_as_it_is<K>(client: kube::Client, path: &str, object: K) -> Result
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + Debug + PartialEq,
{
    let written = serde_json::to_value(&object).unwrap();
    let send = |path: String, body: &Value| {
        // Strict: a field that the definition does not know is an error, not pruned.
        let path = format!("{path}?fieldValidation=Strict");
        let request = http::Request::builder().uri(path);
        let request = request.header("content-type", "application/json");
        let method = if body["metadata"]["uid"].is_null() {
            "POST"
        } else {
            "PUT"
        };
        let request = request.method(method).body(body.to_string().into_bytes());
        let client = client.clone();
        async move { client.request::<Value>(request.unwrap()).await }
    };
    let refused = |error| Error::api(format!("store {written}"))(error);
    let created = send(path.to_owned(), &written).await.map_err(refused)?;
    let name = created["metadata"]["name"].as_str().unwrap();
    let mut whole = created.clone();
    whole["status"] = written["status"].clone();
    let stored = send(format!("{path}/{name}/status"), &whole);
    let stored = stored.await.map_err(refused)?;
    assert_eq!(stored["spec"], written["spec"], "{written}");
    assert_eq!(stored["status"], written["status"], "{written}");
    let read: K = serde_json::from_value(stored).unwrap();
    let mut again = serde_json::to_value(&read).unwrap();
    again["metadata"] = json!({"name": name});
    assert_eq!(again, written);
    Ok(())
}

#[tokio::test]
async fn containers_with_anything_in_them_are_stored_as_they_are() -> Result {
    let scenario = Scenario::named("any-container").await?;
    let path = format!(
        "/apis/hcs-operator.dev/v1alpha1/namespaces/{}/hcscontainers",
        scenario.namespace()
    );
    let objects = samples(&(any::spec(), any::status()));
    for (number, (spec, status)) in objects.into_iter().enumerate() {
        let mut object = HcsContainer::new(&format!("any-{number}"), spec);
        object.status = Some(status);
        is_stored_as_it_is(scenario.client(), &path, object).await?;
    }
    Ok(())
}

#[tokio::test]
async fn nodes_with_anything_in_them_are_stored_as_they_are() -> Result {
    let scenario = Scenario::named("any-node").await?;
    let path = "/apis/hcs-operator.dev/v1alpha1/hcsnodes";
    let api: Api<HcsNode> = Api::all(scenario.client());
    for (number, status) in samples(&any::node_status()).into_iter().enumerate() {
        let node = any::node(&format!("{}-{number}", scenario.namespace()), &status);
        is_stored_as_it_is(scenario.client(), path, node.clone()).await?;
        let deleted = api.delete(&node.name_any(), &DeleteParams::default()).await;
        deleted.map_err(Error::api("delete an HcsNode"))?;
    }
    Ok(())
}
