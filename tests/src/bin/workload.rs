//! What scenarios run inside a container: a program that does what its flags say, on every platform, so that no
//! scenario depends on a shell.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::time::{sleep, sleep_until};

/// Runs until it is told to end, or as long as it is told to.
#[derive(Parser, Debug)]
enum Workload {
    /// Run, and end as told.
    Run(Run),
}

#[derive(clap::Args, Debug)]
struct Run {
    /// End by itself after so many milliseconds; without it, only a signal ends it.
    #[arg(long, value_name = "MS")]
    after: Option<u64>,
    /// The exit code when it ends by itself.
    #[arg(long, value_name = "N", default_value_t = 0)]
    exit_code: i32,
    /// Append a line to this file at the start: the process id and the arguments that follow `--`.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// End as soon as this file exists.
    #[arg(long, value_name = "FILE")]
    until: Option<PathBuf>,
    /// End as soon as this file exists, and take it away: it ends one and not those that come after it.
    #[arg(long, value_name = "FILE", conflicts_with = "until")]
    taking: Option<PathBuf>,
    /// Write a line to standard output every so many milliseconds.
    #[arg(long, value_name = "MS")]
    ticks_ms: Option<u64>,
    /// Go on when asked to end, so that only force ends it.
    #[arg(long)]
    ignore_term: bool,
    /// Leave signals to the system, which ends the program.
    #[arg(long)]
    leave_signals: bool,
    /// What to say in the file of `--write`.
    #[arg(last = true)]
    say: Vec<String>,
}

/// How often `--until` and `--taking` look for their file.
const LOOK: Duration = Duration::from_millis(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Workload::Run(run) = Workload::parse();
    match work(run).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("the workload failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn work(run: Run) -> std::io::Result<ExitCode> {
    let mut asked = if run.leave_signals {
        None
    } else {
        Some(asked_to_end()?)
    };
    if let Some(file) = &run.write {
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        writeln!(file, "{} {}", std::process::id(), run.say.join(" "))?;
    }
    let start = tokio::time::Instant::now();
    let end = async {
        match run.after {
            Some(after) => sleep_until(start + Duration::from_millis(after)).await,
            None => std::future::pending().await,
        }
    };
    let found = async {
        match (&run.until, &run.taking) {
            (Some(file), _) => {
                while !file.exists() {
                    sleep(LOOK).await;
                }
            }
            (None, Some(file)) => {
                while std::fs::remove_file(file).is_err() {
                    sleep(LOOK).await;
                }
            }
            (None, None) => std::future::pending().await,
        }
    };
    let told = async {
        let Some(asked) = &mut asked else {
            return std::future::pending().await;
        };
        loop {
            asked.recv().await;
            if !run.ignore_term {
                break;
            }
        }
    };
    tokio::select! {
        () = end => std::process::exit(run.exit_code),
        () = found => std::process::exit(run.exit_code),
        () = told => std::process::exit(ENDED_BY_SIGNAL),
        () = tick(run.ticks_ms) => Ok(ExitCode::SUCCESS),
    }
}

/// Writes lines for ever; never ends without an interval.
async fn tick(every: Option<u64>) {
    let Some(every) = every else {
        return std::future::pending().await;
    };
    let mut number = 0_u64;
    loop {
        number += 1;
        // A container's output may lead nowhere (runhcs loses it): that must not end the workload.
        let _ = writeln!(std::io::stdout(), "tick {number}");
        sleep(Duration::from_millis(every)).await;
    }
}

/// The exit code of a program that SIGTERM ended, by the shell's convention.
#[cfg(unix)]
const ENDED_BY_SIGNAL: i32 = 128 + 15;

#[cfg(unix)]
fn asked_to_end() -> std::io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
}

/// `STATUS_CONTROL_C_EXIT`.
#[cfg(windows)]
const ENDED_BY_SIGNAL: i32 = 0xC000_013A_u32.cast_signed();

#[cfg(windows)]
fn asked_to_end() -> std::io::Result<tokio::signal::windows::CtrlBreak> {
    tokio::signal::windows::ctrl_break()
}
