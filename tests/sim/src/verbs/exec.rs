//! `exec`: a further process in a running container, with a shim of its own.

use std::path::{Path, PathBuf};

use crate::container::{Container, Status};
use crate::context::Context;
use crate::failure::{Failure, NIL_POINTER, SpecProblem};
use crate::faults::Point;
use crate::outcome::Outcome;
use crate::shim;
use crate::spec::Process;

use super::create::{launch, wait};
use super::pid_file;

/// Runs a process; unless detached, waits for it and ends with its exit code.
pub fn run(context: &Context) -> Result<Outcome, Failure> {
    let pid_path = pid_file::absolute(context.parsed.text("pid-file"))?;
    let shim_log = pid_file::absolute(context.parsed.text("shim-log"))?;
    let container = Container::get(&context.registry, &context.systems, context.id())?;
    if container.status() != Status::Running {
        return Err(Failure::Stopped);
    }
    let process = process(context, &container)?;
    pid_file::open_log(shim_log.as_deref())?;
    context.at(Point::BeforeEffect)?;
    let request = serde_json::to_vec(&process)
        .map_err(|error| Failure::simulator("describing a process")(error.into()))?;
    let mut shim = launch(context, &shim::arguments(context.id(), true), &request)?;
    context.at(Point::ShimStarted)?;
    if let Some(path) = &pid_path
        && let Err(failure) = pid_file::write(path, shim.id())
    {
        let _ = shim.kill();
        return Err(failure);
    }
    context.at(Point::AfterEffect)?;
    if context.parsed.is_true("detach") {
        return Ok(Outcome::silent());
    }
    Ok(Outcome::exited(wait(&mut shim)?))
}

/// The process: a document's, or the container's own with what the flags change.
fn process(context: &Context, container: &Container) -> Result<Process, Failure> {
    let parsed = &context.parsed;
    let document = parsed.text("process");
    if !document.is_empty() {
        let path = PathBuf::from(document);
        let text = std::fs::read(&path).map_err(|error| Failure::reading(path, &error))?;
        let process = Process::parse(&text)?;
        check(&process)?;
        return Ok(process);
    }
    if parsed.args.len() == 1 {
        return Err(SpecProblem::NoArguments.into());
    }
    let own = container.record.spec.process.clone();
    let mut process = own.ok_or(Failure::Panic(NIL_POINTER))?;
    process.args = parsed.args[1..].to_vec();
    if let Some(cwd) = parsed.value("cwd").filter(|cwd| !cwd.is_empty()) {
        cwd.clone_into(&mut process.cwd);
    }
    process.env.extend(parsed.all("env").map(str::to_owned));
    if parsed.value("tty").is_some() {
        process.terminal = parsed.is_true("tty");
    }
    if let Some(user) = parsed.value("user").filter(|user| !user.is_empty()) {
        user.clone_into(&mut process.username);
    }
    Ok(process)
}

fn check(process: &Process) -> Result<(), SpecProblem> {
    let of_windows = process.cwd.as_bytes().get(1) == Some(&b':') || process.cwd.starts_with(r"\\");
    let absolute =
        of_windows || process.cwd.starts_with('/') || Path::new(&process.cwd).is_absolute();
    if process.cwd.is_empty() {
        Err(SpecProblem::NoCwd)
    } else if !absolute {
        Err(SpecProblem::RelativeCwd)
    } else if process.args.is_empty() {
        Err(SpecProblem::EmptyArguments)
    } else {
        Ok(())
    }
}
