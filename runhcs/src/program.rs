//! Which executable is called: the one that go-runhcs would find, or one that is named.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::process::is_executable;

const NAME: &str = "runhcs.exe";

/// The runhcs executable.
///
/// The default looks it up as go-runhcs does: `runhcs.exe` in the folders of `PATH` (on Windows
/// first in the current directory, unless `NoDefaultCurrentDirectoryInExePath` is set), else
/// beside this process's own executable, else that bare name for the system's loader to find. Once
/// found it is remembered for the life of the process. Where `PATH` is not to be trusted, name
/// the executable with [`Program::path`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Program(Choice);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Choice {
    #[default]
    Lookup,
    Path(PathBuf),
}

/// A path that cannot name the executable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// What a relative path names depends on the current directory and `PATH`.
    #[error("the path of runhcs must be absolute, and {:?} is not", path.display())]
    Relative {
        /// The path.
        path: PathBuf,
    },
}

impl Program {
    /// The executable at an absolute path. It need not be there yet: a call finds out.
    pub fn path(path: impl Into<PathBuf>) -> Result<Self, ProgramError> {
        let path = path.into();
        if path.is_absolute() {
            Ok(Self(Choice::Path(path)))
        } else {
            Err(ProgramError::Relative { path })
        }
    }

    /// The path that a call would start now.
    pub fn resolve(&self) -> PathBuf {
        static FOUND: OnceLock<PathBuf> = OnceLock::new();
        match &self.0 {
            Choice::Path(path) => path.clone(),
            Choice::Lookup => match FOUND.get().cloned().or_else(|| Places::of_process().find()) {
                Some(path) => FOUND.get_or_init(|| path).clone(),
                None => PathBuf::from(NAME),
            },
        }
    }
}

/// Where to look, apart from the process so that a test can say it.
struct Places {
    path: Vec<PathBuf>,
    own_folder: Option<PathBuf>,
    current_directory: Option<PathBuf>,
    current_first: bool,
}

impl Places {
    fn of_process() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let current_first =
            cfg!(windows) && env::var_os("NoDefaultCurrentDirectoryInExePath").is_none();
        Self {
            path: env::split_paths::<OsStr>(&path).collect(),
            own_folder: env::current_exe()
                .ok()
                .and_then(|exe| exe.parent().map(Path::to_owned)),
            current_directory: env::current_dir().ok(),
            current_first,
        }
    }

    fn find(&self) -> Option<PathBuf> {
        let current = self.current_directory.as_deref();
        let first = current.filter(|_| self.current_first);
        first
            .map(Path::to_owned)
            .into_iter()
            .chain(self.path.iter().map(|folder| match current {
                // An empty or relative folder in PATH is below the current directory.
                Some(current) => current.join(folder),
                None => folder.clone(),
            }))
            .map(|folder| folder.join(NAME))
            .find(|path| is_executable(path))
            .or_else(|| {
                let beside = self.own_folder.as_deref()?.join(NAME);
                beside.exists().then_some(beside)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(path: &[&Path]) -> Places {
        Places {
            path: path.iter().map(|path| path.to_path_buf()).collect(),
            own_folder: None,
            current_directory: None,
            current_first: false,
        }
    }

    fn install(folder: &Path) -> PathBuf {
        let path = folder.join(NAME);
        std::fs::copy(env::current_exe().unwrap(), &path).unwrap();
        path
    }

    #[test]
    fn the_first_folder_of_path_that_has_it_wins() {
        let (empty, first, second) = (tempdir(), tempdir(), tempdir());
        let expected = install(first.path());
        install(second.path());
        let places = places(&[empty.path(), first.path(), second.path()]);
        assert_eq!(places.find(), Some(expected));
    }

    #[test]
    fn path_goes_before_the_own_folder_and_that_before_nothing() {
        let (on_path, own) = (tempdir(), tempdir());
        let mut places = places(&[on_path.path()]);
        places.own_folder = Some(own.path().to_owned());
        assert_eq!(places.find(), None);
        let beside = install(own.path());
        assert_eq!(places.find(), Some(beside));
        let first = install(on_path.path());
        assert_eq!(places.find(), Some(first));
    }

    #[test]
    fn relative_folders_of_path_lie_below_the_current_directory() {
        let current = tempdir();
        let expected = install(current.path());
        let mut places = places(&[Path::new("")]);
        places.current_directory = Some(current.path().to_owned());
        assert_eq!(places.find(), Some(expected));
    }

    #[test]
    fn the_current_directory_counts_only_where_windows_says_so() {
        let current = tempdir();
        let expected = install(current.path());
        let mut places = places(&[]);
        places.current_directory = Some(current.path().to_owned());
        assert_eq!(places.find(), None);
        places.current_first = true;
        assert_eq!(places.find(), Some(expected));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_without_execute_permission_is_passed_over() {
        let (folder, directory) = (tempdir(), tempdir());
        std::fs::write(folder.path().join(NAME), "").unwrap();
        std::fs::create_dir(directory.path().join(NAME)).unwrap();
        assert_eq!(places(&[folder.path(), directory.path()]).find(), None);
    }

    #[test]
    fn a_relative_path_is_refused_and_named() {
        let error = Program::path("bin/runhcs").unwrap_err();
        assert!(error.to_string().contains("bin/runhcs"), "{error}");
    }

    fn tempdir() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }
}
