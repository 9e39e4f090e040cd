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

fn is_separator(c: char) -> bool {
    matches!(c, '\\' | '/')
}

/// `C:`, if the path starts with a drive letter.
fn drive(path: &str) -> Option<&str> {
    let bytes = path.as_bytes();
    (bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':')
        .then(|| path.get(..2))
        .flatten()
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
    let device = separator(0)
        && separator(3)
        && (separator(1) && matches!(bytes.get(2), Some(b'.' | b'?'))
            || path.get(1..3) == Some("??"));
    if device {
        let unc = separator(7)
            && path
                .get(4..7)
                .is_some_and(|name| name.eq_ignore_ascii_case("UNC"));
        return if unc {
            after_components(path, 8, 2)
        } else {
            after_components(path, 4, 1)
        };
    }
    // `//x` is a Unix path that was joined carelessly; a share takes a server and a name.
    let share = separator(0)
        && separator(1)
        && bytes.len() > 2
        && !separator(2)
        && after_components(path, 2, 1) + 1 < path.len();
    if share {
        after_components(path, 2, 2)
    } else {
        0
    }
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
    let rest = if rest.ends_with(is_separator) {
        rest
    } else {
        trim_end(rest)
    };
    format!(r"{volume}\{}", resolve(rest.split(is_separator), r"\"))
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
