//! The control plane itself: what every other scenario takes for granted.

use hcs_tests::{ControlPlane, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;

#[tokio::test]
async fn each_write_is_in_the_audit_log_before_it_is_answered() -> Result {
    let control_plane = ControlPlane::shared().await?;
    let audit = control_plane.audit().from_now();
    let maps: Api<ConfigMap> = Api::namespaced(control_plane.client().await?, "default");
    let mut map = ConfigMap::default();
    map.metadata.name = Some("audited".to_owned());
    maps.create(&PostParams::default(), &map).await.unwrap();
    maps.get("audited").await.unwrap();
    maps.delete("audited", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let writes = audit.writes()?;
    let verbs: Vec<&str> = writes
        .iter()
        .filter(|write| write.name == "audited")
        .map(|write| write.verb.as_str())
        .collect();
    assert_eq!(verbs, ["create", "delete"]);
    Ok(())
}
