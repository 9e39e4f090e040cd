//! What a Windows build and a run under wine need of this machine, and how it is had on Debian.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, binaries};

/// Debian's packages that have it all.
pub const PACKAGES: [&str; 6] = [
    "wine64",
    "wine64-preloader",
    "gcc-mingw-w64-x86-64",
    "rustc-web",
    "cargo-web",
    "rust-web-src",
];

/// The target that Windows executables are built for.
pub const TARGET: &str = "x86_64-pc-windows-gnu";

/// Says where wine64 is, if it is neither on PATH nor where Debian puts it.
pub const WINE: &str = "WINE";

/// The C compiler for the target.
pub const CC: &str = "x86_64-w64-mingw32-gcc";

/// Keeps a program to one processor; of util-linux, which every Linux has.
pub(super) const TASKSET: &str = "taskset";

/// Where Debian puts wine64 and wineserver, off PATH.
const DEBIAN_WINE: &str = "/usr/lib/wine";

/// What this machine lacks for the Windows side of the tests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} (on Debian: apt-get install --no-install-recommends {})", .0.join(", "), PACKAGES.join(" "))]
pub struct Missing(Vec<&'static str>);

/// The programs that build and run Windows executables here.
#[derive(Debug, Clone)]
pub struct Toolchain {
    pub(super) wine: PathBuf,
    pub(super) wineserver: PathBuf,
    rust: Rust,
}

/// A Rust that has a standard library for the target, or its sources.
#[derive(Debug, Clone)]
enum Rust {
    /// The Rust in use has the target, as `rustup target add` gives it.
    InUse,
    /// The distribution's, whose cargo and rustc are in this folder; the standard library is built with the program.
    Distribution(PathBuf),
}

impl Toolchain {
    /// Looks for everything.
    ///
    /// # Errors
    /// [`Missing`] says all that is not there.
    pub fn find() -> Result<Self, Missing> {
        let wine = wine();
        let wineserver = wine.as_deref().and_then(wineserver);
        let rust = rust();
        let missing: Vec<&'static str> = [
            (wine.is_none(), "wine64"),
            (wine.is_some() && wineserver.is_none(), "wineserver"),
            (
                wine.as_deref().is_some_and(|wine| !has_preloader(wine)),
                "wine64-preloader",
            ),
            (!binaries::on_path(TASKSET), TASKSET),
            (!binaries::on_path(CC), "x86_64-w64-mingw32-gcc"),
            (
                rust.is_none(),
                "Rust's standard library for x86_64-pc-windows-gnu, or its sources",
            ),
            (!binaries::on_path("go"), "go"),
        ]
        .into_iter()
        .filter_map(|(missing, what)| missing.then_some(what))
        .collect();
        match (wine, wineserver, rust) {
            (Some(wine), Some(wineserver), Some(rust)) if missing.is_empty() => Ok(Self {
                wine,
                wineserver,
                rust,
            }),
            _ => Err(Missing(missing)),
        }
    }

    /// A cargo command that builds for the target; the caller adds packages and `--target-dir`.
    pub(super) fn cargo(&self, verb: &str) -> Command {
        let mut cargo = match &self.rust {
            Rust::InUse => {
                let mut cargo = Command::new("cargo");
                cargo.arg(verb);
                cargo
            }
            Rust::Distribution(folder) => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                let folders = std::iter::once(folder.clone()).chain(std::env::split_paths(&path));
                let mut cargo = Command::new(folder.join("cargo"));
                cargo
                    .arg(verb)
                    .arg("-Zbuild-std=std,panic_abort")
                    .env("RUSTC_BOOTSTRAP", "1")
                    // Of the workspace's packages alone; RUSTFLAGS would concern the standard library too.
                    .args(["-Zwarnings", "--config", "build.warnings=\"deny\""]);
                if let Ok(path) = std::env::join_paths(folders) {
                    cargo.env("PATH", path);
                }
                cargo
            }
        };
        // What the cargo that may have started this process said to its children concerns another Rust.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_cargos(name)) {
            cargo.env_remove(name);
        }
        cargo.args(["--target", TARGET]);
        cargo
    }
}

fn is_cargos(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let kept = [
        "CARGO_HOME",
        "CARGO_NET_OFFLINE",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
    ];
    let one = name.starts_with("CARGO") || name.starts_with("RUST") || name == "LD_LIBRARY_PATH";
    one && !kept.contains(&&*name) && !name.starts_with("CARGO_REGISTRIES")
}

fn wine() -> Option<PathBuf> {
    let named = std::env::var_os(WINE)
        .filter(|name| !name.is_empty())
        .map(PathBuf::from);
    let debian = Path::new(DEBIAN_WINE).join("wine64");
    named
        .or_else(|| find("wine64"))
        .or(Some(debian))
        .filter(|wine| wine.is_file())
}

/// The server itself rather than Debian's script around it, which would stand between us and the process.
fn wineserver(wine: &Path) -> Option<PathBuf> {
    let wine = wine.canonicalize().ok()?;
    let folder = wine.parent()?;
    let beside = ["wineserver64", "wineserver"].map(|name| folder.join(name));
    beside
        .into_iter()
        .find(|file| file.is_file())
        .or_else(|| find("wineserver"))
}

/// Whether wine has what keeps the addresses free that a Windows program must have. Without it one program in some eight
/// thousand does not begin: Linux has put its heap, at random, where Windows has the data that it shares with all programs.
fn has_preloader(wine: &Path) -> bool {
    let wine = wine.canonicalize();
    wine.is_ok_and(|wine| wine.with_file_name("wine64-preloader").is_file())
}

fn rust() -> Option<Rust> {
    let in_use = output("rustc", &["--print", "target-libdir", "--target", TARGET]);
    if in_use.is_some_and(|folder| Path::new(&folder).is_dir()) {
        return Some(Rust::InUse);
    }
    let folder = Path::new("/usr/bin");
    let sysroot = output(folder.join("rustc"), &["--print", "sysroot"])?;
    let sources = Path::new(&sysroot).join("lib/rustlib/src/rust/library/Cargo.toml");
    let whole = sources.is_file() && folder.join("cargo").is_file();
    whole.then(|| Rust::Distribution(folder.to_owned()))
}

fn output(program: impl AsRef<OsStr>, args: &[&str]) -> Option<OsString> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().into())
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Installs [`PACKAGES`] with apt; needs root.
pub fn install() -> Result<(), Error> {
    let apt = |args: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        binaries::run(apt, "apt-get")
    };
    apt(&["update", "-qq"])?;
    let options = ["install", "-qq", "--yes", "--no-install-recommends"];
    apt(&[&options[..], &PACKAGES[..]].concat())
}
