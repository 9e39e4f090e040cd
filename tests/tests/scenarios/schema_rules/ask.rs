//! How the rules' tests ask the API server: a sound object, changed by a JSON merge patch.

use hcs_crds::HcsContainer;
use hcs_tests::ControlPlane;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Map, Value, json};

/// The API server, asked about `HcsContainer`s in the namespace `default`.
pub struct Server {
    api: Api<DynamicObject>,
}

impl Server {
    /// The scenarios' shared one, with the CRD installed.
    pub async fn shared() -> Self {
        let control_plane = ControlPlane::shared().await.unwrap();
        Self::of(control_plane.client().await.unwrap())
    }

    pub fn of(client: Client) -> Self {
        let resource = ApiResource::erase::<HcsContainer>(&());
        Self {
            api: Api::namespaced_with(client, "default", &resource),
        }
    }

    /// The answer to creating the sound object with this change of its spec.
    pub async fn create(&self, change: Value) -> Result<DynamicObject, String> {
        self.create_object(&object("dry-run", change)).await
    }

    /// The answer to creating this object; nothing is stored.
    pub async fn create_object(&self, object: &Value) -> Result<DynamicObject, String> {
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        self.api.create(&params, &object).await.map_err(message)
    }

    /// Fails the test if the sound object is refused with this change of its spec.
    pub async fn accepts(&self, change: Value) {
        if let Err(refusal) = self.create(change.clone()).await {
            panic!("{change} is refused: {refusal}");
        }
    }

    /// Fails the test unless the sound object is refused with this change of its spec, with a
    /// message that contains `expected`.
    pub async fn refuses(&self, change: Value, expected: &str) {
        match self.create(change.clone()).await {
            Ok(_) => panic!("{change} is accepted, and should be refused: {expected}"),
            Err(refusal) => assert!(
                refusal.contains(expected),
                "{change} is refused without saying \"{expected}\": {refusal}"
            ),
        }
    }

    /// Stores the sound object with this change of its spec, by a name that no other run has used.
    pub async fn stored(&self, name: &str, change: Value) -> Stored<'_> {
        let name = format!("{name}-{}", std::process::id());
        let object = serde_json::from_value(object(&name, change)).unwrap();
        let object = self
            .api
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        Stored {
            server: self,
            name: object.name_any(),
        }
    }

    pub fn api(&self) -> &Api<DynamicObject> {
        &self.api
    }
}

/// An object that the API server has, to ask about changes of it.
pub struct Stored<'a> {
    server: &'a Server,
    pub name: String,
}

impl Stored<'_> {
    /// The answer to a merge patch of its spec; nothing is stored.
    async fn change(&self, change: &Value) -> Result<DynamicObject, String> {
        let params = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        let patch = Patch::Merge(json!({ "spec": change }));
        self.server
            .api
            .patch(&self.name, &params, &patch)
            .await
            .map_err(message)
    }

    pub async fn may_become(&self, change: Value) {
        if let Err(refusal) = self.change(&change).await {
            panic!("the change {change} is refused: {refusal}");
        }
    }

    pub async fn may_not_become(&self, change: Value, expected: &str) {
        match self.change(&change).await {
            Ok(_) => panic!("the change {change} is accepted, and should be refused: {expected}"),
            Err(refusal) => assert!(refusal.contains(expected), "{change}: {refusal}"),
        }
    }

    /// Writes its status by a merge patch.
    pub async fn write_status(&self, status: Value) -> Result<DynamicObject, String> {
        let patch = Patch::Merge(json!({ "status": status }));
        self.server
            .api
            .patch_status(&self.name, &PatchParams::default(), &patch)
            .await
            .map_err(message)
    }

    pub async fn get(&self) -> DynamicObject {
        self.server.api.get(&self.name).await.unwrap()
    }

    pub async fn delete(self) {
        self.server
            .api
            .delete(&self.name, &DeleteParams::default())
            .await
            .unwrap();
    }
}

/// A sound object with a merge patch applied to its spec.
pub fn object(name: &str, change: Value) -> Value {
    let mut spec = json!({
        "nodeName": "win-1",
        "bundle": { "config": {
            "process": { "args": ["cmd"] },
            "windows": { "layerFolders": ["C:\\layers\\base", "C:\\layers\\web"] },
        } },
    });
    merge(&mut spec, change);
    json!({
        "apiVersion": "hcs-operator.dev/v1alpha1",
        "kind": "HcsContainer",
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// RFC 7386: null removes. `"null"` within a test's change stands for a null that is kept.
fn merge(target: &mut Value, change: Value) {
    let Value::Object(change) = change else {
        *target = if change == json!("null") {
            Value::Null
        } else {
            change
        };
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in change {
        if value.is_null() {
            target.remove(&key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn message(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => panic!("the API server was not reached: {other}"),
    }
}

/// What runs Linux containers.
pub fn lcow() -> Value {
    json!({ "os": "Linux", "isolation": "HyperV" })
}
