//! Which paths on a node a spec may name. The same rules twice: as CEL for the schema and as
//! Rust for whoever meets a path that the schema cannot see (a `config.json` on the node).
//!
//! They judge text alone, by Windows' rules on every platform. Whether the path lies below an
//! allowed root, and where its links lead, only the node can tell.

/// Longest path in characters, well below Windows' 32,767 so that files inside it fit as well.
pub const MAX_PATH: usize = 1024;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PathFault {
    /// Empty.
    #[error("must not be empty")]
    Empty,
    /// Longer than [`MAX_PATH`].
    #[error("must not be longer than {MAX_PATH} characters")]
    TooLong,
    /// Relative, relative to a drive (`C:x`) or to the current drive (`\x`).
    #[error(
        r"must be absolute: a drive letter, ':' and '\' (a leading '/' serves simulated nodes only)"
    )]
    NotAbsolute,
    /// `\\server\share`, `\\.\…` or `\\?\…`, with either slash.
    #[error(r"must not be a UNC or device path (one that begins with two slashes, '\\' or '//')")]
    UncOrDevice,
    /// A colon that is not the drive's.
    #[error("must not name an alternate data stream (a ':' that is not the drive's)")]
    AlternateDataStream,
    /// A control character, or one that no Windows file name has.
    #[error(r#"must not have control characters or any of < > " | ? *"#)]
    ForbiddenCharacter,
    /// A part that Windows would shorten, or that leads up.
    #[error("must not have a part that ends in a dot or a space ('.' and '..' are such)")]
    DotOrSpace,
    /// `CON`, `NUL`, `COM1` and so on, with any extension.
    #[error("must not have a part that Windows keeps for a device (CON, PRN, AUX, NUL, COM1, …)")]
    ReservedName,
    /// `PROGRA~1`: a second name for another folder.
    #[error("must not have 8.3 short names (a '~' and a digit)")]
    ShortName,
}

/// The schema's rule for each fault that is not a matter of length.
pub(crate) const RULES: [(PathFault, &str); 7] = [
    // Two leading slashes pass here: the next rule has the better message for them.
    (
        PathFault::NotAbsolute,
        r"self.matches(r'^([A-Za-z]:[\\/]|/|\\\\)')",
    ),
    (PathFault::UncOrDevice, r"!self.matches(r'^[\\/]{2}')"),
    (
        PathFault::AlternateDataStream,
        r"self.matches(r'^([A-Za-z]:)?[^:]*$')",
    ),
    (
        PathFault::ForbiddenCharacter,
        r"!self.matches(r'[\p{Cc}<>\x22|?*]')",
    ),
    (PathFault::DotOrSpace, r"!self.matches(r'[. ]([\\/]|$)')"),
    (
        PathFault::ReservedName,
        r"!self.matches(r'(?i)(^|[\\/])(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.[^\\/]*)?([\\/]|$)')",
    ),
    (PathFault::ShortName, r"!self.matches(r'~[0-9]')"),
];

/// Checks a path by the rules of the schema.
///
/// # Errors
/// The first fault found.
pub fn check(path: &str) -> Result<(), PathFault> {
    let is_slash = |c: char| c == '\\' || c == '/';
    if path.is_empty() {
        return Err(PathFault::Empty);
    }
    if path.chars().count() > MAX_PATH {
        return Err(PathFault::TooLong);
    }
    let mut chars = path.chars();
    let (first, second, third) = (chars.next(), chars.next(), chars.next());
    if first.is_some_and(is_slash) && second.is_some_and(is_slash) {
        return Err(PathFault::UncOrDevice);
    }
    let drive = first.is_some_and(|c| c.is_ascii_alphabetic()) && second == Some(':');
    if !(drive && third.is_some_and(is_slash) || first == Some('/')) {
        return Err(PathFault::NotAbsolute);
    }
    // A drive is two ASCII characters, so two bytes.
    let rest = if drive { &path[2..] } else { path };
    if rest.contains(':') {
        return Err(PathFault::AlternateDataStream);
    }
    if rest.contains(|c: char| c.is_control() || "<>\"|?*".contains(c)) {
        return Err(PathFault::ForbiddenCharacter);
    }
    rest.split(is_slash).try_for_each(check_part)
}

fn check_part(part: &str) -> Result<(), PathFault> {
    if part.ends_with(['.', ' ']) {
        return Err(PathFault::DotOrSpace);
    }
    if is_reserved(part) {
        return Err(PathFault::ReservedName);
    }
    let mut rest = part;
    while let Some((_, after)) = rest.split_once('~') {
        if after.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(PathFault::ShortName);
        }
        rest = after;
    }
    Ok(())
}

/// Windows opens the device for `NUL`, and for `NUL.txt` and `NUL .txt` as well.
fn is_reserved(part: &str) -> bool {
    let stem = part
        .split('.')
        .next()
        .unwrap_or(part)
        .trim_end_matches(' ')
        .to_ascii_lowercase();
    let numbered = |prefix: &str| {
        let mut number = stem.strip_prefix(prefix).unwrap_or_default().chars();
        matches!(number.next(), Some('0'..='9' | '¹' | '²' | '³')) && number.next().is_none()
    };
    matches!(
        stem.as_str(),
        "con" | "prn" | "aux" | "nul" | "conin$" | "conout$"
    ) || numbered("com")
        || numbered("lpt")
}
