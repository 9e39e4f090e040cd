//! The samples, made fit for a simulated node: what they say of Windows' own files (programs, layers, bundles) is
//! replaced by files of this machine; everything else is applied as it stands.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hcs_tests::{Node, binaries};
use serde_json::{Map, Value, json};

/// Writes each sample of `manifests/samples` that holds an HcsContainer to `to`, for `node`. Gives how many.
pub fn write_for(node: &Node, to: &Path) -> Result<usize> {
    let from = binaries::workspace().join("manifests/samples");
    let mut samples: Vec<PathBuf> = fs::read_dir(&from)
        .with_context(|| format!("failed to list {}", from.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    samples.sort();
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("failed to empty {}", to.display()))?;
    }
    fs::create_dir_all(to).with_context(|| format!("failed to create {}", to.display()))?;
    let mut count = 0;
    for sample in &samples {
        let text = fs::read_to_string(sample)
            .with_context(|| format!("failed to read {}", sample.display()))?;
        let adapted = adapt_all(&text, node)
            .with_context(|| format!("failed to understand {}", sample.display()))?;
        count += adapted.len();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": adapted});
        let file = to.join(sample.file_name().unwrap_or_default());
        fs::write(&file, serde_json::to_vec_pretty(&list)?)
            .with_context(|| format!("failed to write {}", file.display()))?;
    }
    if count == 0 {
        bail!("there is no HcsContainer in {}", from.display());
    }
    Ok(count)
}

fn adapt_all(text: &str, node: &Node) -> Result<Vec<Value>> {
    let mut adapted = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let mut object: Value = serde::Deserialize::deserialize(document)?;
        if object["kind"] == "HcsContainer" {
            adapt(&mut object, node)?;
            adapted.push(object);
        }
    }
    Ok(adapted)
}

fn adapt(object: &mut Value, node: &Node) -> Result<()> {
    let name = object["metadata"]["name"]
        .as_str()
        .unwrap_or("sample")
        .to_owned();
    object["spec"]["nodeName"] = json!(node.name());
    let spec = object["spec"].as_object_mut().context("it has no spec")?;
    if let Some(config) = spec
        .get_mut("bundle")
        .and_then(|bundle| bundle.get_mut("config"))
    {
        let config = config.as_object_mut().context("its config is no object")?;
        adapt_config(config, node, &name)?;
    }
    if let Some(path) = spec
        .get_mut("bundle")
        .and_then(|bundle| bundle.get_mut("path"))
    {
        let bundle = node.dir().join("bundles").join(&name);
        fs::create_dir_all(&bundle).context("failed to create the bundle")?;
        let mut config = Map::new();
        config.insert("ociVersion".to_owned(), json!("1.0.2"));
        adapt_config(&mut config, node, &name)?;
        fs::write(
            bundle.join("config.json"),
            serde_json::to_vec_pretty(&config)?,
        )
        .context("failed to write the bundle")?;
        *path = json!(bundle);
    }
    if let Some(cache) = spec
        .get_mut("scratch")
        .and_then(|scratch| scratch.get_mut("cacheFile"))
    {
        *cache = json!(node.dir().join("cache").join("cache.vhdx"));
    }
    Ok(())
}

/// The workload in place of the program, and a folder below the node's for each layer.
fn adapt_config(config: &mut Map<String, Value>, node: &Node, name: &str) -> Result<()> {
    let windows = config.entry("windows").or_insert_with(|| json!({}));
    let layers = windows["layerFolders"].as_array().cloned();
    let layers = layers.unwrap_or_else(|| vec![json!("base"), json!(name)]);
    let mut folders = Vec::new();
    for layer in &layers {
        let path = layer.as_str().context("a layer is no text")?;
        let last = path.rsplit(['\\', '/']).next().unwrap_or(path);
        let folder = node.dir().join("layers").join(last);
        fs::create_dir_all(&folder).context("failed to create a layer")?;
        folders.push(folder);
    }
    windows["layerFolders"] = json!(folders);
    let process = config.entry("process").or_insert_with(|| json!({}));
    process["args"] = json!([node.workload(), "run"]);
    process["cwd"] = json!(node.dir());
    Ok(())
}
