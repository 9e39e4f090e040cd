//! Takes one container through its whole life, and prints what runhcs says on the way:
//!
//! ```text
//! cargo run -p runhcs --example lifecycle -- RUNHCS BUNDLE
//! ```
//!
//! RUNHCS is the absolute path of the executable, or of a simulator of it; BUNDLE a folder with a
//! `config.json` whose process runs until it is told to end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use runhcs::{
    ContainerState, CreateOpts, DeleteOpts, ErrorKind, ExecOpts, Program, ResizeTtyOpts, Runhcs,
    Signal, Status, TtySize,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const ID: &str = "lifecycle";
/// How long the container has to end after its signal.
const GRACE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(program), Some(bundle)) = (args.next(), args.next()) else {
        anyhow::bail!("usage: lifecycle RUNHCS BUNDLE");
    };
    let runhcs = Runhcs {
        program: Program::path(program)?,
        timeout: Some(Duration::from_secs(30)),
        ..Runhcs::default()
    };
    let folder = tempfile::tempdir()?;
    let opts = CreateOpts {
        pid_file: Some(folder.path().join("shim.pid")),
        ..CreateOpts::default()
    };
    let process = process_file(&bundle, folder.path())?;
    runhcs.create(ID, &bundle, &opts).await?;
    let lived = live(&runhcs, &process).await;
    if lived.is_err() {
        // Whatever went wrong, nothing of it stays behind.
        match runhcs.delete(ID, &DeleteOpts { force: true }).await {
            Err(error) if error.kind() != ErrorKind::NotFound => eprintln!("{error}"),
            _ => {}
        }
    }
    lived
}

async fn live(runhcs: &Runhcs, process: &Path) -> Result<()> {
    let shim = runhcs.state(ID).await?.pid;
    println!("its shim is {shim}");
    expect(runhcs, &Status::Created).await?;

    runhcs.start(ID).await?;
    expect(runhcs, &Status::Running).await?;
    println!("its processes are {:?}", runhcs.ps(ID).await?);

    let code = runhcs.exec(ID, process, &ExecOpts::default()).await?;
    println!("another process in it ended with {code}");

    match runhcs.pause(ID).await {
        Ok(()) => {
            expect(runhcs, &Status::Paused).await?;
            runhcs.resume(ID).await?;
            expect(runhcs, &Status::Running).await?;
        }
        Err(error) if error.kind() == ErrorKind::NotSupported => {
            println!("it cannot be paused: {error}");
        }
        Err(error) => return Err(error.into()),
    }

    let size = TtySize {
        width: 120,
        height: 40,
    };
    let resized = runhcs.resize_tty(ID, size, &ResizeTtyOpts::default()).await;
    resized.context("resize its terminal")?;
    println!("its terminal is {} × {}", size.width, size.height);

    let error = runhcs.start(ID).await.err().context("it started twice")?;
    println!("{}: {error}", error.kind());

    runhcs.kill(ID, &Signal::Term).await?;
    stop(runhcs).await?;
    runhcs.delete(ID, &DeleteOpts::default()).await?;
    let left = runhcs.list().await?;
    ensure!(left.iter().all(|container| container.id != ID));
    println!("deleted");
    Ok(())
}

async fn expect(runhcs: &Runhcs, status: &Status) -> Result<()> {
    let ContainerState { status: is, .. } = runhcs.state(ID).await?;
    ensure!(is == *status, "it should be {status} and is {is}");
    println!("{is}");
    Ok(())
}

async fn stop(runhcs: &Runhcs) -> Result<()> {
    let deadline = Instant::now() + GRACE;
    while runhcs.state(ID).await?.status != Status::Stopped {
        ensure!(Instant::now() < deadline, "it did not end within {GRACE:?}");
        sleep(Duration::from_millis(50)).await;
    }
    println!("stopped");
    Ok(())
}

/// The bundle's own process, with something short to do.
fn process_file(bundle: &Path, folder: &Path) -> Result<PathBuf> {
    let config = fs::read(bundle.join("config.json")).context("read the bundle")?;
    let config: Value = serde_json::from_slice(&config)?;
    let mut process = config["process"].clone();
    process["args"] = if cfg!(windows) {
        json!(["cmd", "/c", "exit 3"])
    } else {
        json!(["/bin/sh", "-c", "exit 3"])
    };
    let path = folder.join("process.json");
    fs::write(&path, process.to_string())?;
    Ok(path)
}
