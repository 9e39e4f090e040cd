//! A release: a program and its settings in a folder named by their content. It never changes once
//! it is there, so what was installed before can be gone back to whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The program in a release's folder.
pub const PROGRAM: &str = "hcs-operator.exe";
/// Its settings there.
pub const SETTINGS: &str = "settings.yaml";

/// Puts the program and its settings into a folder of their own below `releases`, if it is not
/// there yet, and returns where the program is.
pub fn place(releases: &Path, program: &Path, settings: &str) -> io::Result<PathBuf> {
    let bytes = fs::read(program)?;
    let folder = releases.join(name(&bytes, settings));
    let placed = folder.join(PROGRAM);
    if placed.is_file() {
        return Ok(placed);
    }
    let unfinished = tempfile::Builder::new()
        .prefix(".unfinished-")
        .tempdir_in(releases)?;
    fs::write(unfinished.path().join(PROGRAM), bytes)?;
    fs::write(unfinished.path().join(SETTINGS), settings)?;
    fs::rename(unfinished.path(), &folder)?;
    Ok(placed)
}

/// `<version>-<hash>`: the version for people, the hash for what is really in it.
fn name(program: &[u8], settings: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(program.len().to_le_bytes());
    hash.update(program);
    hash.update(settings);
    let hash = hash.finalize();
    let digits = hash
        .iter()
        .take(8)
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("{}-{digits}", env!("CARGO_PKG_VERSION"))
}

/// Removes all releases but those of these programs. What is in use stays until the next time.
pub fn remove_others(releases: &Path, kept: &[PathBuf]) -> io::Result<()> {
    for entry in fs::read_dir(releases)? {
        let folder = entry?.path();
        let is_kept = |program: &PathBuf| program.parent() == Some(folder.as_path());
        if !kept.iter().any(is_kept)
            && let Err(error) = fs::remove_dir_all(&folder)
        {
            println!("{} stays for now: {error}", folder.display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_or_other_settings_are_another_release() {
        let dir = tempfile::tempdir().unwrap();
        let (releases, program) = (dir.path().join("releases"), dir.path().join("p"));
        fs::create_dir(&releases).unwrap();
        fs::write(&program, "one").unwrap();
        let first = place(&releases, &program, "a: 1").unwrap();
        assert_eq!(place(&releases, &program, "a: 1").unwrap(), first);
        let settings = place(&releases, &program, "a: 2").unwrap();
        fs::write(&program, "two").unwrap();
        let newer = place(&releases, &program, "a: 1").unwrap();
        assert!(first != settings && first != newer && settings != newer);
        assert_eq!(fs::read_to_string(&first).unwrap(), "one");
        assert_eq!(
            fs::read_to_string(first.with_file_name(SETTINGS)).unwrap(),
            "a: 1"
        );
        let folder = first
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap();
        assert!(
            folder.starts_with(concat!(env!("CARGO_PKG_VERSION"), "-")),
            "{folder}"
        );

        remove_others(&releases, std::slice::from_ref(&newer)).unwrap();
        assert!(newer.is_file() && !first.exists() && !settings.exists());
        assert_eq!(fs::read_dir(&releases).unwrap().count(), 1);
    }
}
