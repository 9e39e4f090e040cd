//! Calls as JSON, with go-runhcs' names for methods and options: what its API takes, as typed
//! input of this crate.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use runhcs::{
    Command, CreateOpts, CreateScratchOpts, DeleteOpts, ExecOpts, ResizeTtyOpts, Runhcs, Signal,
    TtySize,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Deserialize)]
struct Call {
    client: Value,
    method: String,
    #[serde(rename = "in")]
    input: Value,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Client {
    debug: bool,
    log: String,
    log_format: String,
    owner: String,
    root: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    id: String,
    bundle: PathBuf,
    opts: Option<CreateOptions>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct CreateOptions {
    pid_file: PathBuf,
    shim_log: String,
    vm_log: String,
    vm_console: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scratch {
    destpath: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScratchWithOpts {
    destpath: PathBuf,
    opts: Option<ScratchOptions>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct ScratchOptions {
    #[serde(rename = "sizeGB")]
    size_gb: i64,
    cache_file: PathBuf,
    use_virtual_memory: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    id: String,
    opts: Option<DeleteOptions>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DeleteOptions {
    force: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Exec {
    id: String,
    process_file: PathBuf,
    opts: Option<ExecOptions>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct ExecOptions {
    detach: bool,
    pid_file: PathBuf,
    shim_log: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kill {
    id: String,
    signal: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resize {
    id: String,
    width: u16,
    height: u16,
    opts: Option<ResizeOptions>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ResizeOptions {
    pid: Option<u32>,
}

/// The arguments of the call that a line of JSON describes.
pub fn argv(line: &[u8], cwd: &Path) -> anyhow::Result<Vec<String>> {
    let line: Value = serde_json::from_slice(line)?;
    ensure!(line.is_object(), "a call is a JSON object");
    let call: Call = serde_json::from_value(line)?;
    let runhcs = client(read(call.client)?)?;
    let build = |command: Command<'_>| Ok(runhcs.argv(&command, cwd)?);
    let input = call.input;
    match call.method.as_str() {
        "Create" => create(input, &build),
        "CreateScratch" => {
            let Scratch { destpath } = read(input)?;
            scratch(&destpath, ScratchOptions::default(), &build)
        }
        "CreateScratchWithOpts" => {
            let ScratchWithOpts { destpath, opts } = read(input)?;
            scratch(&destpath, opts.unwrap_or_default(), &build)
        }
        "Delete" => {
            let Delete { id, opts } = read(input)?;
            let force = opts.unwrap_or_default().force;
            let (id, opts) = (&*id, &DeleteOpts { force });
            build(Command::Delete { id, opts })
        }
        "Exec" => exec(input, &build),
        "Kill" => {
            let Kill { id, signal } = read(input)?;
            let (id, signal) = (&*id, &Signal::raw(signal));
            build(Command::Kill { id, signal })
        }
        "List" => {
            let Nothing {} = read(input)?;
            build(Command::List)
        }
        "ResizeTTY" => resize(input, &build),
        "Pause" => build(Command::Pause { id: &id(input)? }),
        "Ps" => build(Command::Ps { id: &id(input)? }),
        "Resume" => build(Command::Resume { id: &id(input)? }),
        "Start" => build(Command::Start { id: &id(input)? }),
        "State" => build(Command::State { id: &id(input)? }),
        method => bail!("unknown method {method:?}"),
    }
}

type Build<'a> = dyn Fn(Command<'_>) -> anyhow::Result<Vec<String>> + 'a;

fn create(input: Value, build: &Build<'_>) -> anyhow::Result<Vec<String>> {
    let Create { id, bundle, opts } = read(input)?;
    let opts = opts.unwrap_or_default();
    build(Command::Create {
        id: &id,
        bundle: &bundle,
        opts: &CreateOpts {
            pid_file: Some(opts.pid_file),
            shim_log: Some(opts.shim_log),
            vm_log: Some(opts.vm_log),
            vm_console: Some(opts.vm_console),
            ..CreateOpts::default()
        },
    })
}

fn scratch(
    destpath: &Path,
    opts: ScratchOptions,
    build: &Build<'_>,
) -> anyhow::Result<Vec<String>> {
    ensure!(opts.size_gb >= 0, "sizeGB must be >= 0");
    let size_gb = u32::try_from(opts.size_gb).context("sizeGB is too large")?;
    build(Command::CreateScratch {
        destpath,
        opts: &CreateScratchOpts {
            size_gb: Some(size_gb),
            cache_file: Some(opts.cache_file),
            use_virtual_memory: opts.use_virtual_memory,
        },
    })
}

fn exec(input: Value, build: &Build<'_>) -> anyhow::Result<Vec<String>> {
    let call: Exec = read(input)?;
    let opts = call.opts.unwrap_or_default();
    build(Command::Exec {
        id: &call.id,
        process_file: &call.process_file,
        opts: &ExecOpts {
            detach: opts.detach,
            pid_file: Some(opts.pid_file),
            shim_log: Some(opts.shim_log),
            ..ExecOpts::default()
        },
    })
}

fn resize(input: Value, build: &Build<'_>) -> anyhow::Result<Vec<String>> {
    let call: Resize = read(input)?;
    let (width, height) = (call.width, call.height);
    build(Command::ResizeTty {
        id: &call.id,
        size: TtySize { width, height },
        opts: &ResizeTtyOpts {
            pid: call.opts.unwrap_or_default().pid,
        },
    })
}

fn id(input: Value) -> anyhow::Result<String> {
    let Id { id } = read(input)?;
    Ok(id)
}

fn read<T: DeserializeOwned>(input: Value) -> anyhow::Result<T> {
    // serde would take an array for a struct's fields in order.
    ensure!(!has_array(&input), "unfit input: an array");
    serde_json::from_value(input).context("unfit input")
}

fn has_array(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(fields) => fields.values().any(has_array),
        _ => false,
    }
}

fn client(client: Client) -> anyhow::Result<Runhcs> {
    let format = Some(client.log_format).filter(|format| !format.is_empty());
    Ok(Runhcs {
        debug: client.debug,
        log: Some(client.log),
        log_format: format.map(|format| format.parse()).transpose()?,
        owner: Some(client.owner),
        root: Some(client.root),
        ..Runhcs::default()
    })
}
