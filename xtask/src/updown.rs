//! `up` and `down`. `up` leaves one process in the background, the supervisor, which owns all others: they end with
//! it however it ends.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hcs_tests::NodeOptions;
use hcs_tests::binaries::{self, Workspace};
use hcs_tests::process::{alive, tail};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Down, Up};
use crate::lock;
use crate::stack::{self, Stack};

/// How long `up` waits until everything is ready, and `down` until everything has gone.
const PATIENCE: Duration = Duration::from_mins(3);

const POLL: Duration = Duration::from_millis(50);

/// Written by the supervisor when everything is ready: the process ids of everything it owns.
const READY: &str = "supervisor.ready";

const LOG: &str = "supervisor.log";

/// Starts the supervisor and waits until it says that everything is ready.
pub fn up(args: &Up) -> Result<ExitCode> {
    let dir = absolute(&args.dir)?;
    lock::refuse_second(&dir)?;
    let executables = stack::build(false)?;
    fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
    let (log, ready) = (dir.join(LOG), dir.join(READY));
    if ready.exists() {
        fs::remove_file(&ready).context("failed to remove the last run's files")?;
    }
    let output = File::create(&log).context("failed to create the supervisor's log")?;
    // Not this process's own file, which the build may just have replaced.
    let mut supervisor = Command::new(executables.folder().join("xtask"));
    supervisor
        .arg("supervise")
        .arg("--dir")
        .arg(&dir)
        .args(["--nodes", &args.nodes.to_string()])
        .env(binaries::BIN_DIR, executables.folder())
        .stdin(Stdio::null())
        .stdout(output.try_clone().context("failed to share the log")?)
        .stderr(output)
        // A group of its own: Ctrl-C at this terminal is not meant for it.
        .process_group(0);
    let mut supervisor = supervisor
        .spawn()
        .context("failed to start the supervisor")?;
    let deadline = Instant::now() + PATIENCE;
    while !ready.is_file() {
        let ended = supervisor
            .try_wait()
            .context("failed to wait for the supervisor")?;
        if ended.is_some() || Instant::now() > deadline {
            hcs_tests::process::ask_to_end(supervisor.id());
            bail!("it did not become ready:\n{}", tail(&log, 60));
        }
        std::thread::sleep(POLL);
    }
    print_commands(&dir);
    Ok(ExitCode::SUCCESS)
}

fn print_commands(dir: &Path) {
    let dir = dir.display();
    println!("Ready. Now for example:\n");
    println!("  export KUBECONFIG={dir}/kubeconfig");
    println!("  {dir}/bin/kubectl get nodes");
    println!("  {dir}/nodes/node-1/runhcs list --format json");
    println!("  cargo xtask down --dir {dir}");
}

fn absolute(dir: &Path) -> Result<PathBuf> {
    std::path::absolute(dir).context("failed to find the current folder")
}

/// Runs until told to end. Everything it starts ends with it.
pub fn supervise(args: &Up) -> Result<ExitCode> {
    let dir = absolute(&args.dir)?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start the async runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // A closed terminal is no reason to end.
        let _hangup = signal(SignalKind::hangup())?;
        let executables = Workspace::get()?;
        let run = async {
            let options = NodeOptions::default();
            let stack = Stack::start(&dir, args.nodes, &executables, &options).await?;
            write_atomically(&dir.join(READY), &serde_json::to_vec_pretty(&stack.pids())?)?;
            loop {
                stack.control_plane.all_running()?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            result = run => result,
            _ = terminate.recv() => Ok(ExitCode::SUCCESS),
            _ = interrupt.recv() => Ok(ExitCode::SUCCESS),
        }
    })
}

fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, content)
        .and_then(|()| fs::rename(&unfinished, path))
        .with_context(|| format!("failed to write {}", path.display()))
}

/// Stops what runs in the folder, and makes sure that nothing of it is left.
pub fn down(args: &Down) -> Result<ExitCode> {
    let dir = absolute(&args.dir)?;
    if let Some(owner) = lock::owner(&dir)? {
        hcs_tests::process::ask_to_end(owner);
        let deadline = Instant::now() + PATIENCE;
        while lock::owner(&dir)?.is_some() {
            if Instant::now() > deadline {
                bail!("process {owner} did not end:\n{}", tail(&dir.join(LOG), 30));
            }
            std::thread::sleep(POLL);
        }
        println!("Stopped {}", dir.display());
    } else {
        println!("Nothing is running in {}", dir.display());
    }
    // A supervisor that was killed took its own children with it, but not the nodes' containers.
    hcs_tests::node::end_containers(&dir)?;
    verify(&dir)?;
    Ok(ExitCode::SUCCESS)
}

/// Fails if a process that was up is still there. Process ids may be given anew, so a living one counts only if its
/// command line names this folder.
fn verify(dir: &Path) -> Result<()> {
    let ready = dir.join(READY);
    let Ok(pids) = fs::read(&ready) else {
        return Ok(());
    };
    let pids: Vec<(String, u32)> =
        serde_json::from_slice(&pids).context("failed to read the process ids")?;
    let name = dir.display().to_string();
    let left: Vec<_> = pids
        .iter()
        .filter(|(_, pid)| alive(*pid) && hcs_tests::process::command_line(*pid).contains(&name))
        .collect();
    if !left.is_empty() {
        bail!("still running: {left:?}");
    }
    fs::remove_file(&ready).context("failed to remove the list of process ids")
}
