//! The Windows side of the tests on Linux: the agent's `.exe`, the simulator's and the real `runhcs.exe`, run by wine.
//! `tests/windows/` holds what is not Rust, `docs/windows.md` says what this shows and what it does not.
//!
//! What takes long is kept in the cache outside the checkout: `runhcs.exe`, and a wine prefix that is the template of
//! each node's own.

mod prefix;
mod programs;
mod toolchain;

pub use prefix::{PROBE, Prefix};
pub use programs::{Executables, runhcs};
pub use toolchain::{Missing, PACKAGES, Toolchain, install};

use std::path::Path;

/// An absolute path of this machine as Windows programs under wine see it: `Z:\tmp\x`.
pub fn path(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

/// The other way: a path that a Windows program under wine gave; `None` if it is not on drive Z.
pub fn unix_path(path: &str) -> Option<std::path::PathBuf> {
    let rest = path
        .strip_prefix("Z:")
        .or_else(|| path.strip_prefix("z:"))?;
    Some(rest.replace('\\', "/").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_to_windows_and_back() {
        let here = Path::new("/tmp/a b/c");
        assert_eq!(path(here), r"Z:\tmp\a b\c");
        assert_eq!(unix_path(&path(here)).as_deref(), Some(here));
        assert_eq!(unix_path(r"C:\windows"), None);
    }
}
