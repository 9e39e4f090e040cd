//! The examples for Flux and Argo CD, against the schemas of their own kinds.

use std::fs;
use std::process::{Command, Stdio};

use hcs_tests::binaries::{self, workspace};
use hcs_tests::gitops::crds;
use hcs_tests::{ControlPlane, Error, PATIENCE, Result, eventually};

/// Kinds that the examples have, by the names of their definitions.
const DEFINITIONS: [&str; 4] = [
    "kustomizations.kustomize.toolkit.fluxcd.io",
    "gitrepositories.source.toolkit.fluxcd.io",
    "helmreleases.helm.toolkit.fluxcd.io",
    "applications.argoproj.io",
];

fn kubectl(control_plane: &ControlPlane, args: &[&str]) -> Command {
    let mut kubectl = control_plane.kubectl_command();
    kubectl.args(args).stdout(Stdio::null());
    kubectl
}

#[tokio::test]
async fn the_examples_are_what_flux_and_argo_cd_take() -> Result {
    let control_plane = ControlPlane::shared().await?;
    for file in crds()? {
        let file = file.display().to_string();
        let apply = ["apply", "--server-side", "--force-conflicts", "-f", &file];
        binaries::run(kubectl(&control_plane, &apply), "kubectl apply of a CRD")?;
    }
    for name in DEFINITIONS {
        let wait = ["wait", "--for=condition=Established", "crd", name];
        binaries::run(kubectl(&control_plane, &wait), "kubectl wait for a CRD")?;
    }
    for namespace in ["flux-system", "argocd"] {
        let create = ["create", "namespace", namespace];
        binaries::run(kubectl(&control_plane, &create), "kubectl create namespace")?;
    }
    let mut seen = 0;
    for folder in ["docs/gitops/flux", "docs/gitops/argocd"] {
        let folder = workspace().join(folder);
        let entries = fs::read_dir(&folder);
        let entries = entries.map_err(|source| Error::file("list", &folder, source))?;
        for file in entries.flatten().map(|entry| entry.path()) {
            if file.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let path = file.display().to_string();
            let create = [
                "create",
                "--dry-run=server",
                "--validate=strict",
                "-f",
                &path,
            ];
            // A kind that was just established is served a moment later.
            eventually(PATIENCE, &format!("{path} is taken"), || async {
                let output = kubectl(&control_plane, &create).output();
                let output = output.map_err(|source| Error::file("check", &file, source))?;
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                let soon = said.contains("no matches for kind");
                assert!(output.status.success() || soon, "{path}: {said}");
                Ok(if soon { Err(said) } else { Ok(()) })
            })
            .await?;
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
    Ok(())
}
