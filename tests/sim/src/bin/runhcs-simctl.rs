//! Looks into a simulated node, breaks it and reboots it, by hand.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use runhcs_sim::{CallRecord, ContainerSnapshot, Fault, SimNode};

/// Controls a simulated node.
#[derive(Debug, Parser)]
#[command(name = "runhcs-simctl", version)]
struct Arguments {
    /// Folder of the node, in which its `runhcs` lies.
    #[arg(long)]
    node: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put a node there: its `runhcs` is this `runhcs-sim`.
    Install {
        /// Path of the executable `runhcs-sim`.
        executable: PathBuf,
    },
    /// End every process and forget all containers, as a reboot of Windows does.
    Reboot,
    /// End every process.
    Stop,
    /// Show the containers with their processes and terminals.
    Containers {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the calls so far, one a line.
    Calls,
    /// Inject a fault, given as JSON, such as
    /// `{"verb":"create","id":"hc-*","times":1,"point":"shim-started","action":"die"}`.
    ///
    /// Points: begin, record-written, shim-started, pid-file-written, before-effect, after-effect,
    /// output; and of the verb `shim`: shim-ready, process-start, process-ended, system-ended.
    /// Actions: {"delay":{"ms":500}}, "hang", {"hold":{"until":"/tmp/go-on"}}, {"fail":{"exitCode":1,"stderr":"…"}}, "die",
    /// {"garbage":{"stdout":"…"}}, {"truncate":{"bytes":10}}. Also `skip` and `times`.
    Fault {
        /// The fault.
        json: String,
    },
    /// Forget all faults.
    ClearFaults,
    /// Show the node's settings, or change them to these.
    Settings {
        /// Settings as JSON, such as `{"pauseProcessIsolation":"allow"}`.
        json: Option<String>,
    },
    /// End a container's shim as a crash would.
    KillShim {
        /// Id of the container.
        id: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(text) => {
            // A reader that went away is no error.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("runhcs-simctl: {}: {error}", arguments.node.display());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<String> {
    if let Command::Install { executable } = &arguments.command {
        let node = SimNode::install(&arguments.node, executable)?;
        return Ok(format!("{}\n", node.executable().display()));
    }
    let node = SimNode::open(&arguments.node)?;
    match &arguments.command {
        Command::Install { .. } => {}
        Command::Reboot => {
            node.reboot()?;
            return Ok(format!("boot id {}\n", node.boot_id()?));
        }
        Command::Stop => node.stop_all()?,
        Command::Containers { json: true } => {
            return Ok(serde_json::to_string(&node.containers()?)?);
        }
        Command::Containers { json: false } => {
            return Ok(node.containers()?.iter().map(describe_container).collect());
        }
        Command::Calls => return Ok(node.calls()?.iter().map(describe_call).collect()),
        Command::Fault { json } => node.inject(serde_json::from_str::<Fault>(json)?)?,
        Command::ClearFaults => node.clear_faults()?,
        Command::Settings { json: None } => {
            return Ok(serde_json::to_string_pretty(&node.settings()?)? + "\n");
        }
        Command::Settings { json: Some(json) } => {
            node.set_settings(&serde_json::from_str(json)?)?;
        }
        Command::KillShim { id } => node.kill_shim(id)?,
    }
    Ok(String::new())
}

fn describe_container(container: &ContainerSnapshot) -> String {
    let ContainerSnapshot {
        id,
        status,
        shim,
        bundle,
        ..
    } = container;
    let end = |code: Option<u32>| code.map(|code| format!(", ended with {code}"));
    let shim_end = end(container.shim_exit_code).unwrap_or_default();
    let mut text = format!(
        "{id}: {status}, shim {shim}{shim_end}, {}\n",
        bundle.display()
    );
    for process in &container.processes {
        let size = process
            .size
            .map(|size| format!(", {}x{}", size.width, size.height));
        let (size, end) = (
            size.unwrap_or_default(),
            end(process.exit_code).unwrap_or_default(),
        );
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {} {:?}{size}{end}", process.pid, process.args);
    }
    text
}

fn describe_call(call: &CallRecord) -> String {
    let code = call
        .exit_code
        .map_or("unfinished".to_owned(), |code| format!("exit code {code}"));
    format!(
        "{} {:>9.3} ms {code} {:?}\n",
        call.time, call.duration_ms, call.argv
    )
}
