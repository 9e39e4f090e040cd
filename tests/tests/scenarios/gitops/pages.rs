//! The same of the nodes' own pages, the `HcsNode`s.

use hcs_crds::HcsNode;
use hcs_crds::conditions::{READY, STALLED};
use hcs_tests::{Error, Node, PATIENCE, Result, Scenario, eventually};
use kube::Api;
use kube::api::PostParams;
use runhcs_sim::{Action, Fault, Point};
use serde_json::{Value, json};

use super::situations::{Expected, Situation};

/// The page of the node of this name, once it has this condition.
async fn page(scenario: &Scenario, name: &str, (type_, status): (&str, &str)) -> Result<Value> {
    let path = format!("/apis/hcs-operator.dev/v1alpha1/hcsnodes/{name}");
    eventually(
        PATIENCE,
        &format!("{name} says {type_}={status}"),
        || async {
            let request = http::Request::get(&path).body(Vec::new()).unwrap();
            let answer = scenario.client().request::<Value>(request).await;
            let page = answer.map_err(Error::api(format!("read the HcsNode {name}")))?;
            let conditions = page["status"]["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            let so = conditions.any(|c| c["type"] == type_ && c["status"] == status);
            Ok(if so { Ok(page) } else { Err(page) })
        },
    )
    .await
}

/// The pages of a sound node, of one whose `list` hangs, of one whose `list` will print nonsense, and of none.
pub async fn situations(
    scenario: &Scenario,
    sound: &Node,
    hung: &Node,
    garbled: &Node,
) -> Result<Vec<Situation>> {
    let stdout = "the moon is in the wrong phase".to_owned();
    let garbage = Fault::new("list", Point::Output, Action::Garbage { stdout });
    garbled.sim().inject(garbage).unwrap();
    let name = format!("{}-fresh", scenario.namespace());
    let api: Api<HcsNode> = Api::all(scenario.client());
    let fresh = json!({
        "apiVersion": "hcs-operator.dev/v1alpha1",
        "kind": "HcsNode",
        "metadata": {"name": name},
    });
    let fresh = serde_json::from_value(fresh).unwrap();
    let fresh = api.create(&PostParams::default(), &fresh).await;
    let fresh = fresh.map_err(Error::api("create an HcsNode"))?;
    let of = |name, expected, object| Situation {
        name,
        expected,
        object,
    };
    Ok(vec![
        of(
            "fresh-node",
            Expected::Moving,
            serde_json::to_value(&fresh).unwrap(),
        ),
        of(
            "sound-node",
            Expected::Good,
            page(scenario, sound.name(), (READY, "True")).await?,
        ),
        of(
            "hung-node",
            Expected::Moving,
            page(scenario, hung.name(), (READY, "False")).await?,
        ),
        of(
            "garbled-node",
            Expected::Bad,
            page(scenario, garbled.name(), (STALLED, "True")).await?,
        ),
    ])
}
