//! `create-scratch`: a disk for LCOW. Its length in the folder is the size that was asked for,
//! though it takes next to no room.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::context::Context;
use crate::failure::{Failure, SpecProblem};
use crate::faults::Point;
use crate::outcome::Outcome;
use crate::platform::{self, open_error_text};

/// Size in GB if none is given, and the only one that the cache is for.
const DEFAULT_SIZE_GB: u64 = 20;
/// Largest size in GB that a disk of this kind can have.
const MAX_SIZE_GB: u64 = 64 * 1024;
/// Bytes at the beginning that make one disk differ from another.
const HEADER: usize = 4096;

/// Creates a scratch disk.
pub fn run(context: &Context) -> Result<Outcome, Failure> {
    let path = context.parsed.text("destpath");
    if path.is_empty() {
        return Err(SpecProblem::NoDestination.into());
    }
    let size = context
        .parsed
        .value("sizeGB")
        .and_then(|size| crate::cli::flags::parse_int(size).ok());
    // runhcs keeps 32 bits.
    let size = u64::try_from(size.unwrap_or(0)).unwrap_or(0) & 0xffff_ffff;
    let size_gb = if size == 0 { DEFAULT_SIZE_GB } else { size };
    let cache = context.parsed.text("cache-path");
    let cached = !cache.is_empty() && size_gb == DEFAULT_SIZE_GB;
    context.at(Point::BeforeEffect)?;
    if cached && Path::new(cache).exists() {
        copy(Path::new(cache), Path::new(path), true).map_err(|error| {
            SpecProblem::ScratchCopy {
                cache: cache.to_owned(),
                path: path.to_owned(),
                reason: open_error_text(Path::new(path), &error),
            }
        })?;
    } else {
        create(Path::new(path), size_gb).map_err(|reason| SpecProblem::Scratch {
            path: path.to_owned(),
            reason,
        })?;
        if cached {
            copy(Path::new(path), Path::new(cache), false).map_err(|error| {
                SpecProblem::ScratchSeed {
                    cache: cache.to_owned(),
                    path: path.to_owned(),
                    reason: open_error_text(Path::new(cache), &error),
                }
            })?;
        }
    }
    context.at(Point::AfterEffect)?;
    Ok(Outcome::silent())
}

/// Formats a disk, of which nothing is seen.
pub fn prepare_disk(context: &Context) -> Result<Outcome, Failure> {
    if context.parsed.text("destpath").is_empty() {
        return Err(SpecProblem::NoDestination.into());
    }
    context.at(Point::BeforeEffect)?;
    Ok(Outcome::silent())
}

fn create(path: &Path, size_gb: u64) -> Result<(), String> {
    if size_gb > MAX_SIZE_GB {
        return Err("The parameter is incorrect.".to_owned());
    }
    let write = || {
        let mut file = File::options().write(true).create_new(true).open(path)?;
        platform::make_sparse(&file)?;
        writeln!(file, "runhcs-sim scratch of {size_gb} GB")?;
        file.set_len(size_gb << 30)
    };
    write().map_err(|error: io::Error| open_error_text(path, &error))
}

/// Copies a disk without filling its holes.
fn copy(from: &Path, to: &Path, exclusively: bool) -> io::Result<()> {
    let source = File::open(from)?;
    let length = source.metadata()?.len();
    let mut header = Vec::with_capacity(HEADER);
    source.take(HEADER as u64).read_to_end(&mut header)?;
    let mut options = File::options();
    options
        .write(true)
        .create_new(exclusively)
        .create(true)
        .truncate(true);
    let mut target = options.open(to)?;
    platform::make_sparse(&target)?;
    target.write_all(&header)?;
    target.set_len(length)?;
    target.sync_data()
}
