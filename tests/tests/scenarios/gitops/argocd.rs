//! Argo CD's health checks as files: laid out as Argo CD keeps its own, with tests as its own have, and as a ConfigMap.

use std::fs;
use std::path::{Path, PathBuf};

use hcs_tests::binaries::workspace;
use hcs_tests::gitops::{CUSTOMIZATIONS, verdicts};
use hcs_tests::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Kinds with a health check.
pub const KINDS: [&str; 2] = ["HcsContainer", "HcsNode"];

/// Argo CD's form of `health_test.yaml`.
#[derive(Debug, Serialize, Deserialize)]
struct HealthTest {
    tests: Vec<Test>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    health_status: Health,
    input_path: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Health {
    status: String,
    message: String,
}

fn folder(kind: &str) -> PathBuf {
    let all = workspace().join(CUSTOMIZATIONS);
    all.join("hcs-operator.dev").join(kind)
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    let text = fs::read_to_string(file).map_err(|source| Error::file("read", file, source))?;
    serde_yaml_ng::from_str(&text).map_err(|source| Error::Yaml {
        path: file.to_owned(),
        source,
    })
}

fn write(file: &Path, content: &impl Serialize) -> Result {
    let text = serde_yaml_ng::to_string(content).map_err(|source| Error::Yaml {
        path: file.to_owned(),
        source,
    })?;
    fs::write(file, text).map_err(|source| Error::file("write", file, source))
}

/// Writes objects as the testdata of their kind's check, and what the check says of them now.
pub fn write_testdata(kind: &str, objects: Vec<(&str, Value)>) -> Result {
    let folder = folder(kind);
    let testdata = folder.join("testdata");
    fs::create_dir_all(&testdata).map_err(|source| Error::file("create", &testdata, source))?;
    let mut tests = Vec::new();
    for (name, mut object) in objects {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.retain(|key, _| key != "managedFields" && key != "resourceVersion");
        let said = verdicts(std::slice::from_ref(&object))?.remove(0).argo;
        let input_path = format!("testdata/{name}.yaml");
        write(&folder.join(&input_path), &object)?;
        tests.push(Test {
            health_status: Health {
                status: said.status,
                message: said.message,
            },
            input_path,
        });
    }
    write(&folder.join("health_test.yaml"), &HealthTest { tests })
}

#[test]
fn the_health_checks_say_of_their_testdata_what_their_tests_want() -> Result {
    for kind in KINDS {
        let folder = folder(kind);
        let wanted: HealthTest = read(&folder.join("health_test.yaml"))?;
        let objects = wanted
            .tests
            .iter()
            .map(|test| read(&folder.join(&test.input_path)));
        let said = verdicts(&objects.collect::<Result<Vec<Value>>>()?)?;
        for (test, verdict) in wanted.tests.iter().zip(said) {
            let said = Health {
                status: verdict.argo.status,
                message: verdict.argo.message,
            };
            assert_eq!(said, test.health_status, "{}", test.input_path);
        }
        let files = fs::read_dir(folder.join("testdata")).unwrap().count();
        assert_eq!(files, wanted.tests.len(), "each file has its test");
        println!("the health of {files} objects of kind {kind}");
    }
    Ok(())
}

#[test]
fn the_config_map_has_the_same_health_checks() -> Result {
    let file = workspace().join("docs/gitops/argocd/argocd-cm.yaml");
    let config_map: Value = read(&file)?;
    let data = config_map["data"].as_object().unwrap();
    assert_eq!(data.len(), KINDS.len());
    for kind in KINDS {
        let script = fs::read_to_string(folder(kind).join("health.lua")).unwrap();
        let key = format!("resource.customizations.health.hcs-operator.dev_{kind}");
        assert_eq!(data[&key].as_str(), Some(script.as_str()), "{key}");
    }
    Ok(())
}
