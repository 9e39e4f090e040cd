//! `create` and `run`: a record, the container's resources, its shim, its pid file.

mod resources;
mod sandbox;

use std::path::PathBuf;
use std::process::Child;

use crate::calls;
use crate::context::Context;
use crate::failure::{Failure, HcsReason, NIL_POINTER};
use crate::faults::Point;
use crate::ipc::{Connection, Request};
use crate::names;
use crate::node::ShimStdio;
use crate::outcome::Outcome;
use crate::platform::{self, error_text};
use crate::registry::Record;
use crate::shim;
use crate::spec::Spec;

use super::pid_file;
use super::start;

/// Creates a container.
pub fn run(context: &Context) -> Result<Outcome, Failure> {
    create(context)?;
    Ok(Outcome::silent())
}

/// Creates a container, starts it and, unless detached, waits for it and removes it.
pub fn create_and_start(context: &Context) -> Result<Outcome, Failure> {
    let (record, mut shim) = create(context)?;
    start::start(context, &record)?;
    if context.parsed.is_true("detach") {
        return Ok(Outcome::silent());
    }
    let code = wait(&mut shim)?;
    let _ = context.registry.remove(&record.id);
    Ok(Outcome::exited(code))
}

/// Waits for a shim that this process started; its exit code as the platform tells it.
pub fn wait(shim: &mut Child) -> Result<u32, Failure> {
    let status = shim
        .wait()
        .map_err(Failure::simulator("waiting for the shim"))?;
    Ok(status.code().map_or(1, i32::cast_unsigned))
}

struct Paths {
    pid_file: Option<PathBuf>,
    shim_log: Option<PathBuf>,
    vm_log: Option<PathBuf>,
}

fn create(context: &Context) -> Result<(Record, Child), Failure> {
    let absolute = |name| pid_file::absolute(context.parsed.text(name));
    let paths = Paths {
        pid_file: absolute("pid-file")?,
        shim_log: absolute("shim-log")?,
        vm_log: absolute("vm-log")?,
    };
    let mut spec = load_spec(context)?;
    let record = new_record(context, &mut spec)?;
    context.at(Point::BeforeEffect)?;
    context.registry.create(&record)?;
    match make(context, &record, &paths) {
        Ok(shim) => {
            context.at(Point::AfterEffect)?;
            Ok((record, shim))
        }
        // A crash cleans up nothing.
        Err(failure @ Failure::Panic(_)) => Err(failure),
        Err(failure) => {
            let _ = context.registry.remove(&record.id);
            Err(failure)
        }
    }
}

/// Goes into the bundle and reads its configuration.
fn load_spec(context: &Context) -> Result<Spec, Failure> {
    let bundle = context.parsed.text("bundle");
    if !bundle.is_empty() {
        std::env::set_current_dir(bundle).map_err(|error| Failure::File {
            operation: "chdir",
            path: PathBuf::from(bundle),
            reason: error_text(&error),
        })?;
    }
    let path = PathBuf::from("config.json");
    let text = std::fs::read(&path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            return Failure::NoSpecification;
        }
        Failure::reading(path, &error)
    })?;
    Spec::parse(&text)?.ok_or(Failure::Panic(NIL_POINTER))
}

fn new_record(context: &Context, spec: &mut Spec) -> Result<Record, Failure> {
    let bundle = std::env::current_dir().map_err(Failure::simulator("finding the bundle"))?;
    let host = sandbox::find_host(context, spec)?;
    if let Some(root) = spec.root.as_mut().filter(|root| !root.is_empty()) {
        *root = absolute_below(&bundle, root);
    }
    if let Some(layers) = spec.windows.as_mut().and_then(|w| w.layer_folders.as_mut()) {
        for layer in layers {
            *layer = absolute_below(&bundle, layer);
        }
    }
    Ok(Record {
        id: context.id().to_owned(),
        owner: context.owner.clone(),
        bundle: bundle.to_string_lossy().into_owned(),
        rootfs: spec.root.clone().unwrap_or_default(),
        created: calls::now(),
        unique_id: names::unique_id(),
        sandbox_id: host.sandbox,
        host_id: host.vm,
        is_host: host.own_vm,
        shim: None,
        init: None,
        processes: std::collections::BTreeMap::new(),
        spec: spec.clone(),
    })
}

/// `path`, taken from `bundle` on if it is relative. A Windows path is left as it is everywhere.
fn absolute_below(bundle: &std::path::Path, path: &str) -> String {
    let of_windows = path.starts_with(r"\\") || path.as_bytes().get(1) == Some(&b':');
    if of_windows || std::path::Path::new(path).is_absolute() {
        return path.to_owned();
    }
    bundle.join(path).to_string_lossy().into_owned()
}

/// All that can fail with the record already there.
fn make(context: &Context, record: &Record, paths: &Paths) -> Result<Child, Failure> {
    context.at(Point::RecordWritten)?;
    if record.is_host {
        pid_file::open_log(paths.vm_log.as_deref())?;
    }
    resources::allocate(context, record)?;
    let system = context.systems.state(&record.id);
    if system
        .map_err(Failure::simulator("looking at a live file"))?
        .is_some()
    {
        return Err(Failure::System {
            operation: "hcs::CreateComputeSystem",
            id: record.id.clone(),
            reason: HcsReason::AlreadyExists,
        });
    }
    resources::record_layers(context, record)?;
    pid_file::open_log(paths.shim_log.as_deref())?;
    let mut shim = launch(context, &shim::arguments(&record.id, false), b"")?;
    // Only now, so that of two that are made at once the later one is sure to see the other.
    note_overlap(context, &record.id);
    let finished = finish(context, record, paths, shim.id());
    if finished.is_err() {
        let _ = Connection::open(&record.unique_id)
            .and_then(|mut connection| connection.ask(&Request::Terminate));
        let _ = shim.kill();
        let _ = shim.wait();
    }
    finished.map(|()| shim)
}

/// Notes a system that lives while another attempt of the same object's does: ids of an operator are `hc-<uid>-<n>`. It
/// changes nothing; tests ask for it.
fn note_overlap(context: &Context, id: &str) {
    let Some((object, _)) = id.rsplit_once('-').filter(|_| id.starts_with("hc-")) else {
        return;
    };
    for summary in context.registry.list().unwrap_or_default() {
        let other = summary
            .id
            .rsplit_once('-')
            .is_some_and(|(of, _)| of == object);
        if other && summary.id != id && matches!(context.systems.state(&summary.id), Ok(Some(_))) {
            let line = format!("{} lives while {id} is made\n", summary.id);
            let file = std::fs::File::options()
                .create(true)
                .append(true)
                .open(context.node.overlaps_file());
            let _ = file.and_then(|mut file| std::io::Write::write_all(&mut file, line.as_bytes()));
        }
    }
}

fn finish(context: &Context, record: &Record, paths: &Paths, pid: u32) -> Result<(), Failure> {
    context.at(Point::ShimStarted)?;
    if let Some(path) = &paths.pid_file {
        pid_file::write(path, pid)?;
    }
    context.at(Point::PidFileWritten)?;
    context
        .registry
        .change(&record.id, |record| record.shim = Some(i64::from(pid)))?;
    match &paths.pid_file {
        // runhcs writes it twice, too.
        Some(path) => pid_file::write(path, pid),
        None => Ok(()),
    }
}

/// Starts a shim and waits until it is ready.
pub fn launch(context: &Context, arguments: &[String], request: &[u8]) -> Result<Child, Failure> {
    let exe = std::env::current_exe().map_err(Failure::simulator("finding the executable"))?;
    let hold = context.settings.shim_stdio == ShimStdio::Held;
    let mut launched = platform::launch_shim(&exe, arguments, request, hold)
        .map_err(Failure::simulator("starting a shim"))?;
    let mut answer = Vec::new();
    let read = std::io::Read::read_to_end(&mut launched.answer, &mut answer);
    if read.is_ok() && answer == shim::READY {
        return Ok(launched.child);
    }
    let _ = launched.child.kill();
    if answer.is_empty() {
        return Err(Failure::SilentShim(wait(&mut launched.child)?));
    }
    let _ = launched.child.wait();
    Err(Failure::Shim(String::from_utf8_lossy(&answer).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_taken_from_the_bundle_on() {
        let bundle = std::env::temp_dir();
        assert_eq!(
            absolute_below(&bundle, r"C:\layers\base"),
            r"C:\layers\base"
        );
        let layer = absolute_below(&bundle, "layer");
        assert_eq!(layer, bundle.join("layer").to_string_lossy());
    }
}
