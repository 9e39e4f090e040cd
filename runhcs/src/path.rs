//! Absolute paths by Windows' rules, whatever the platform: runhcs is a Windows program, so
//! `C:\x` is absolute to it also where this crate runs on Linux (in a test, say, or against a
//! simulator). The answers are those of Go's `filepath.Abs` on Windows, as go-runhcs uses it.

/// The named pipes that only administrators can make. go-runhcs passes names below it untouched.
pub(crate) const SAFE_PIPES: &str = r"\\.\pipe\ProtectedPrefix\Administrators\";

/// Makes `path` absolute and clean (`.`, `..` and doubled separators resolved by name alone).
///
/// - Absolute by Windows' rules (`C:\x`, `\\server\share\x`, `\\.\pipe\x`, `\\?\C:\x`, with
///   either slash): cleaned, with backslashes.
/// - Everything else is joined to `cwd`: on its drive if `cwd` is a Windows path. If `cwd` is a
///   Unix path, the result is one too, so that a `/run/pid` stays what it is.
/// - Trailing dots and spaces go, as Windows drops them.
/// - The bare name of a device (`nul`) is that device: `\\.\nul`.
///
/// `None` if `path` needs a `cwd` and that is not absolute.
///
/// ```
/// use runhcs::absolute;
/// assert_eq!(absolute(r"logs\a.log", r"C:\hcs").as_deref(), Some(r"C:\hcs\logs\a.log"));
/// assert_eq!(absolute("C:/hcs/../a.log", "/tmp").as_deref(), Some(r"C:\a.log"));
/// assert_eq!(absolute("a.log", "/tmp").as_deref(), Some("/tmp/a.log"));
/// ```
pub fn absolute(path: &str, cwd: &str) -> Option<String> {
    if let Some(device) = device(path) {
        return Some(format!(r"\\.\{device}"));
    }
    if is_absolute(path) {
        return Some(windows_clean(path));
    }
    if is_absolute(cwd) {
        return Some(windows_clean(&on_drive(path, cwd)));
    }
    if let Some(drive) = drive(path) {
        let rest = path.get(drive.len()..).unwrap_or_default();
        return Some(windows_clean(&format!(r"{drive}\{rest}")));
    }
    if path.starts_with('/') {
        return Some(unix_clean(path));
    }
    let path = path.replace('\\', "/");
    if path.starts_with('/') {
        return Some(unix_clean(&path));
    }
    cwd.starts_with('/')
        .then(|| unix_clean(&format!("{cwd}/{path}")))
}

/// Resolves a path that lacks its drive, or what comes after it, against a Windows `cwd`.
fn on_drive(path: &str, cwd: &str) -> String {
    let volume = cwd.get(..volume_len(cwd)).unwrap_or_default();
    match drive(path) {
        Some(letter) => {
            let rest = path.get(2..).unwrap_or_default();
            if letter.eq_ignore_ascii_case(volume) {
                format!(r"{cwd}\{rest}")
            } else {
                format!(r"{letter}\{rest}")
            }
        }
        None if path.starts_with(is_separator) => format!("{volume}{path}"),
        None => format!(r"{cwd}\{path}"),
    }
}

/// The device that a path is the bare name of, spelt as it is there.
fn device(path: &str) -> Option<&str> {
    let name = path.trim_end_matches(['.', ' ', ':']);
    let numbered = |name: &str| {
        let (stem, number) = name.split_at_checked(3).unwrap_or_default();
        let port = stem.eq_ignore_ascii_case("COM") || stem.eq_ignore_ascii_case("LPT");
        port && number.len() == 1 && number.bytes().all(|digit| (b'1'..=b'9').contains(&digit))
    };
    let known = ["CON", "PRN", "AUX", "NUL"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name));
    (known || numbered(name)).then_some(name)
}

fn is_separator(c: char) -> bool {
    matches!(c, '\\' | '/')
}

/// `C:`, if the path starts with a drive. Windows does not insist on a letter.
fn drive(path: &str) -> Option<&str> {
    path.get(..2)
        .filter(|drive| drive.ends_with(':') && !drive.starts_with(is_separator))
}

fn is_absolute(path: &str) -> bool {
    let volume = volume_len(path);
    if volume == 0 {
        return false;
    }
    path.starts_with(is_separator)
        || path
            .get(volume..)
            .is_some_and(|rest| rest.starts_with(is_separator))
}

/// How much of a path names its volume: `C:`, `\\server\share`, `\\.\pipe`, `\\?\C:`,
/// `\\?\UNC\server\share`. 0 where there is none.
fn volume_len(path: &str) -> usize {
    if drive(path).is_some() {
        return 2;
    }
    let bytes = path.as_bytes();
    let separator = |i: usize| matches!(bytes.get(i), Some(b'\\' | b'/'));
    if !separator(0) || !separator(1) || bytes.len() < 3 || separator(2) {
        return 0;
    }
    if separator(3) && matches!(bytes[2], b'.' | b'?') {
        let name = path.get(4..7).unwrap_or_default();
        return if separator(7) && name.eq_ignore_ascii_case("UNC") {
            after_components(path, 8, 2)
        } else {
            after_components(path, 4, 1)
        };
    }
    // `//x` without a share's name is rather a Unix path that was joined carelessly.
    if path.starts_with("//") && after_components(path, 2, 1) + 1 >= path.len() {
        return 0;
    }
    after_components(path, 2, 2)
}

/// The index of the separator that ends the `count`th component from `start`, or the path's end.
fn after_components(path: &str, start: usize, count: usize) -> usize {
    path.get(start..)
        .unwrap_or_default()
        .match_indices(is_separator)
        .nth(count - 1)
        .map_or(path.len(), |(i, _)| start + i)
}

fn windows_clean(path: &str) -> String {
    let volume_end = volume_len(path);
    let (volume, rest) = path.split_at_checked(volume_end).unwrap_or(("", path));
    let volume = volume.replace('/', r"\");
    if rest.is_empty() {
        return volume;
    }
    let components = trim_end(rest).split(is_separator).map(trim_dot);
    format!(r"{volume}\{}", resolve(components, r"\"))
}

/// Drops trailing dots and spaces as Windows does, but not a last `.` or `..`.
fn trim_end(path: &str) -> &str {
    let last = path.rsplit(is_separator).next().unwrap_or_default();
    if matches!(last, "." | "..") {
        path
    } else {
        path.trim_end_matches(['.', ' '])
    }
}

/// Drops the one dot that Windows drops from the end of a folder's name.
fn trim_dot(component: &str) -> &str {
    match component {
        "." | ".." => component,
        name => name.strip_suffix('.').unwrap_or(name),
    }
}

fn unix_clean(path: &str) -> String {
    format!("/{}", resolve(path.split('/'), "/"))
}

fn resolve<'a>(components: impl Iterator<Item = &'a str>, separator: &str) -> String {
    let mut kept = Vec::new();
    for component in components {
        match component {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    kept.join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Recorded {
        cwd: String,
        path: String,
        abs: String,
    }

    #[test]
    fn paths_become_what_go_makes_of_them_on_windows() {
        for line in include_str!("../tests/data/absolute.jsonl").lines() {
            let recorded: Recorded = serde_json::from_str(line).unwrap();
            let abs = absolute(&recorded.path, &recorded.cwd);
            assert_eq!(abs.as_deref(), Some(&*recorded.abs), "{}", recorded.path);
        }
    }

    #[test]
    fn unix_paths_stay_unix_paths_where_the_current_directory_is_one() {
        for (path, abs) in [
            ("/run/pid", "/run/pid"),
            ("/run/../a b//c/.", "/a b/c"),
            ("//run", "/run"),
            ("x/y.log", "/home/u/x/y.log"),
            (r"x\y.log", "/home/u/x/y.log"),
            (r"..\x", "/home/x"),
            (r"\x", "/x"),
            ("C:x", r"C:\x"),
            (r"\\.\pipe\x", r"\\.\pipe\x"),
            ("C:/x", r"C:\x"),
            ("Nul", r"\\.\Nul"),
        ] {
            assert_eq!(absolute(path, "/home/u").as_deref(), Some(abs), "{path}");
        }
    }

    #[test]
    fn a_relative_path_without_a_current_directory_has_no_answer() {
        assert_eq!(absolute("x", ""), None);
        assert_eq!(absolute("x", "y"), None);
        assert_eq!(absolute(r"C:\x", "").as_deref(), Some(r"C:\x"));
    }

    proptest::proptest! {
        #[test]
        fn no_path_is_too_odd(path in r"[a-zäC:./\\? ]{0,12}", cwd in r"(/|C:\\|\\)?[ab./\\]{0,6}") {
            if let Some(abs) = absolute(&path, &cwd) {
                proptest::prop_assert!(abs.starts_with('/') || is_absolute(&abs), "{abs}");
            }
        }
    }
}
