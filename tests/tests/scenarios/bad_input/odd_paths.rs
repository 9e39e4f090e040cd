//! Names that quoting, option parsing or a shell could take apart. Those that Windows would read as another place are
//! refused at `kubectl apply` (`schema_rules/paths.rs`); all others must run.

use std::fs;

use hcs_crds::Phase;
use hcs_tests::{Container, Result, Scenario};
use serde_json::Value;

const RUN: [&str; 10] = [
    "with space",
    "it's",
    "-leading-dash",
    "--force",
    "ünï-日本-🚀",
    "%PATH%",
    "$(touch x)",
    "a;b&c",
    ".hidden.d",
    "[x]{y}^~!@#=+,",
];

const REFUSED: [&str; 7] = [
    r"\\server\share\web",
    r"\\?\C:\hcs\web",
    r"\\.\pipe\web",
    r"C:\hcs\web.",
    "C:\\hcs\\web ",
    "C:\\hcs\\\"web\"",
    r"C:\hcs\..\web",
];

#[tokio::test]
async fn bundles_and_layers_with_odd_names_run() -> Result {
    let scenario = Scenario::named("odd-paths").await?;
    let node = scenario.node().await?;
    let mut objects = Vec::new();
    for (number, odd) in RUN.iter().enumerate() {
        let layer = node.dir().join("layers").join(odd);
        fs::create_dir_all(&layer).unwrap();
        let mut container = Container::named(&format!("odd.{number}"))
            .on(&node)
            .running_for_ever();
        let mut config = container.config();
        config["windows"]["layerFolders"][1] = Value::from(node.path(&layer));
        fs::create_dir_all(node.dir().join("layers/base")).unwrap();
        let bundle = node.dir().join("bundles").join(odd);
        fs::create_dir_all(&bundle).unwrap();
        fs::write(
            bundle.join("config.json"),
            Value::Object(config).to_string(),
        )
        .unwrap();
        objects.push(scenario.create(container.from_bundle(&bundle)).await?);
    }
    for object in &objects {
        object.becomes(Phase::Running).await?;
    }
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn arguments_reach_the_container_as_they_are() -> Result {
    let scenario = Scenario::named("odd-args").await?;
    let node = scenario.node().await?;
    let odd = [
        "with space",
        "\"quoted\"",
        "trailing\\",
        "\\\"",
        "--leading",
        "ünï 日本",
        "%PATH% $HOME `x`",
        "^&|<>",
    ];
    let said = node.dir().join("said here");
    let mut flags = vec!["--write".to_owned(), node.path(&said), "--".to_owned()];
    flags.extend(odd.map(str::to_owned));
    let web = scenario
        .create(Container::named("web").on(&node).working(flags))
        .await?;
    web.becomes(Phase::Running).await?;
    let text = hcs_tests::eventually(
        hcs_tests::PATIENCE,
        "the workload says its arguments",
        || async {
            let text = fs::read_to_string(&said).unwrap_or_default();
            Ok(if text.ends_with('\n') {
                Ok(text)
            } else {
                Err(text)
            })
        },
    )
    .await?;
    let (_, arguments) = text.trim_end_matches('\n').split_once(' ').unwrap();
    assert_eq!(arguments, odd.join(" "));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn paths_that_mean_another_place_are_refused_before_any_agent_sees_them() -> Result {
    let scenario = Scenario::named("refused-paths").await?;
    for path in REFUSED {
        let object = Container::named("web")
            .on_node_named("nowhere")
            .with(|spec| {
                spec.bundle.path = Some(path.to_owned());
            });
        let refusal = scenario
            .create_object(&object.build(scenario.namespace())?)
            .await;
        assert!(
            matches!(&refusal, Err(kube::Error::Api(status)) if status.code == 422),
            "{path} is not refused"
        );
    }
    Ok(())
}
