//! A namespace whose objects are held against parameters of its own, and what the API server answers there.

use std::collections::BTreeMap;
use std::time::Duration;

use hcs_tests::control_plane::HOST_POLICY;
use hcs_tests::{Scenario, eventually};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::core::ObjectMeta;
use serde_json::{Value, json};

/// A namespace with a stricter policy than the others have.
pub struct Strict(Scenario);

impl Strict {
    /// Parameters for one namespace, as docs/security.md shows how to bind them.
    pub async fn with(name: &str, parameters: &[(&str, &str)]) -> Self {
        let scenario = Scenario::named(name).await.unwrap();
        let namespace = scenario.namespace().to_owned();
        let data: BTreeMap<String, String> = parameters
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some("strict".to_owned()),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..ConfigMap::default()
        };
        let maps: Api<ConfigMap> = Api::namespaced(scenario.client(), &namespace);
        maps.create(&PostParams::default(), &map).await.unwrap();
        let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(scenario.client());
        let binding = serde_json::from_value(json!({
            "metadata": {"name": namespace},
            "spec": {
                "policyName": HOST_POLICY,
                "validationActions": ["Deny"],
                "paramRef": {"name": "strict", "namespace": namespace, "parameterNotFoundAction": "Deny"},
                "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
            },
        }));
        bindings
            .create(&PostParams::default(), &binding.unwrap())
            .await
            .unwrap();
        let strict = Self(scenario);
        strict.is_in_force().await;
        strict
    }

    async fn is_in_force(&self) {
        let outside = json!({"spec": {"bundle": {"config": null, "path": "C:\\nowhere"}}});
        eventually(
            Duration::from_mins(1),
            "the parameters are in force",
            || async {
                let answer = self.create(&outside).await;
                Ok(if answer.contains("ConfigMap ") {
                    Ok(())
                } else {
                    Err(answer)
                })
            },
        )
        .await
        .unwrap();
    }

    /// The namespace's objects, as they are sent.
    pub fn objects(&self) -> Api<DynamicObject> {
        let resource = kube::core::ApiResource::erase::<hcs_crds::HcsContainer>(&());
        Api::namespaced_with(self.0.client(), self.0.namespace(), &resource)
    }

    /// What the API server says to this change of a sound object: `accepted`, or its message.
    pub async fn create(&self, change: &Value) -> String {
        let mut object = sound();
        merge(&mut object, change, Nulls::Remove);
        self.send(object).await
    }

    /// A change of the config of a sound object.
    pub async fn config(&self, change: Value) -> String {
        self.create(&json!({"spec": {"bundle": {"config": change}}}))
            .await
    }

    /// The same, with its nulls sent as they are.
    pub async fn config_with_nulls(&self, change: &Value) -> String {
        let mut object = sound();
        merge(&mut object["spec"]["bundle"]["config"], change, Nulls::Stay);
        self.send(object).await
    }

    async fn send(&self, object: Value) -> String {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        match self.objects().create(&params, &object).await {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

fn sound() -> Value {
    json!({
        "apiVersion": "hcs-operator.dev/v1alpha1",
        "kind": "HcsContainer",
        "metadata": {"generateName": "x-"},
        "spec": {
            "nodeName": "no-node",
            "bundle": {"config": {
                "process": {"args": ["x"]},
                "windows": {
                    "layerFolders": ["C:\\hcs\\layers\\base", "C:\\hcs\\layers\\web"],
                    "resources": {"memory": {"limit": 536_870_912}, "cpu": {"count": 2}},
                },
            }},
        },
    })
}

/// What a null does.
#[derive(Clone, Copy)]
enum Nulls {
    Remove,
    Stay,
}

/// A JSON merge patch.
fn merge(into: &mut Value, change: &Value, nulls: Nulls) {
    let Value::Object(fields) = change else {
        *into = change.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in fields {
        match (value, nulls) {
            (Value::Null, Nulls::Remove) => {
                into.as_object_mut().unwrap().remove(key);
            }
            _ => merge(&mut into[key], value, nulls),
        }
    }
}

/// The policy says no, with these words.
pub fn refuses(message: &str, words: &[&str]) {
    for word in ["hcs-operator-host-policy", "denied spec"]
        .iter()
        .chain(words)
    {
        assert!(message.contains(word), "{word:?} is not in {message}");
    }
}

/// A root of each kind.
pub const ROOTS: [(&str, &str); 4] = [
    ("bundleRoots", "C:\\hcs\\bundles"),
    ("layerRoots", "C:\\hcs\\layers;D:\\layers\\"),
    ("cacheRoots", "C:\\hcs\\cache"),
    ("mountRoots", "C:\\hcs\\mounts"),
];
