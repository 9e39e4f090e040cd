//! `cargo xtask generate`: what is generated from the Rust types and for the Helm chart lies in the repository, so that
//! it can be read and applied without a build; `--check` keeps it true.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};
use hcs_tests::binaries::workspace;

use crate::args::Generate;
use crate::chart;

/// Writes the files that differ, or with `--check` names them and fails.
pub fn generate(args: &Generate) -> Result<ExitCode> {
    let mut stale = 0;
    for (path, content) in all().context("failed to generate")? {
        let file = workspace().join(&path);
        if fs::read_to_string(&file).is_ok_and(|now| now == content) {
            continue;
        }
        stale += 1;
        if args.check {
            println!("{path} is not what it is made of: run cargo xtask generate");
            continue;
        }
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("failed to create {}", folder.display()))?;
        }
        fs::write(&file, content).with_context(|| format!("failed to write {path}"))?;
        println!("wrote {path}");
    }
    Ok(if args.check && stale > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn all() -> Result<Vec<chart::File>> {
    let mut files: Vec<chart::File> = hcs_crds::generated_files()?
        .into_iter()
        .map(|(path, content)| (path.to_owned(), content))
        .collect();
    let crds: Vec<chart::File> = files
        .iter()
        .filter(|(path, _)| path.starts_with("crds/yaml/") && !path.ends_with("kustomization.yaml"))
        .cloned()
        .collect();
    files.extend(chart::generated_files(&crds)?);
    Ok(files)
}
