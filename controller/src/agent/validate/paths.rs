//! Which paths of the host a spec may name.
//!
//! A path is judged twice: by its text, which refuses every form that Windows would read as
//! another place than it seems, and on the disk, where no link may lead out of the allowed root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Longest path that is accepted, in UTF-16 units on Windows and bytes elsewhere.
const LONGEST: usize = 1024;

/// By which system's rules a path is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Drive letters, both slashes, no case.
    Windows,
    /// One slash, case matters.
    Posix,
}

impl Rules {
    /// Those of the system that the agent runs on.
    pub const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else {
        Self::Posix
    };
}

/// Why a path is refused.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// Not absolute, or a UNC or device path.
    #[error("{path:?} is not an absolute path on a local drive")]
    NotAbsolute {
        /// The path.
        path: String,
    },
    /// Too long.
    #[error("the path that starts with {start:?} is longer than {LONGEST} characters")]
    TooLong {
        /// Its start.
        start: String,
    },
    /// A part that the system would read as something else.
    #[error("{path:?} has the part {part:?}, which {why}")]
    Part {
        /// The path.
        path: String,
        /// The part of it.
        part: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Below none of the roots.
    #[error("{path:?} lies below no allowed root; the agent allows {roots} ({setting})")]
    Outside {
        /// The path.
        path: String,
        /// The roots, for a person.
        roots: String,
        /// The setting that lists them.
        setting: &'static str,
    },
    /// A link on the way.
    #[error("{path:?} passes through the link {link:?}, which could lead out of the allowed root")]
    Link {
        /// The path.
        path: String,
        /// The link.
        link: PathBuf,
    },
    /// Not there.
    #[error("{path:?} does not exist")]
    Missing {
        /// The path.
        path: String,
    },
    /// The disk cannot be read.
    #[error("failed to look at {path:?}")]
    Io {
        /// The path.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// Folders below which a spec may name paths, and the setting that lists them.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    /// The setting's flag.
    pub setting: &'static str,
    /// The folders; none allows nothing.
    pub folders: Vec<PathBuf>,
}

impl Roots {
    /// The path as the system will read it, if it lies below a root by its text.
    pub fn admit(&self, path: &str) -> Result<PathBuf, PathError> {
        self.admit_by(path, Rules::HERE)
    }

    pub(crate) fn admit_by(&self, path: &str, rules: Rules) -> Result<PathBuf, PathError> {
        let parts = parts(path, rules)?;
        let below = |root: &PathBuf| {
            let root = root.to_string_lossy();
            let Ok(root) = self::parts(&root, rules) else {
                return false;
            };
            root.len() <= parts.len() && root.iter().zip(&parts).all(|(a, b)| same(a, b, rules))
        };
        if self.folders.iter().any(below) {
            return Ok(join(&parts, rules));
        }
        let names: Vec<_> = self
            .folders
            .iter()
            .map(|root| root.display().to_string())
            .collect();
        let roots = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        Err(PathError::Outside {
            path: path.to_owned(),
            roots,
            setting: self.setting,
        })
    }

    /// As [`admit`](Self::admit), and what is there can be reached from the root through no link.
    pub fn admit_existing(&self, path: &str) -> Result<PathBuf, PathError> {
        let admitted = self.admit(path)?;
        let root = self.folders.iter().find(|root| is_below(&admitted, root));
        let root = root.cloned().unwrap_or_default();
        let io = |source: io::Error| match source.kind() {
            // Windows says "not found" also of what would lie in a file.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => PathError::Missing {
                path: path.to_owned(),
            },
            _ => PathError::Io {
                path: path.to_owned(),
                source,
            },
        };
        let mut steps: Vec<&Path> = admitted
            .ancestors()
            .take_while(|step| !same_path(step, &root))
            .collect();
        steps.reverse();
        for step in steps {
            if is_link(&fs::symlink_metadata(step).map_err(io)?) {
                return Err(PathError::Link {
                    path: path.to_owned(),
                    link: step.to_owned(),
                });
            }
        }
        fs::metadata(&admitted).map_err(io)?;
        Ok(admitted)
    }
}

/// Whether both are the same place by their text.
pub fn same_path(a: &Path, b: &Path) -> bool {
    is_below(a, b) && is_below(b, a)
}

/// Whether `path` is `root` or lies below it by its text.
pub fn is_below(path: &Path, root: &Path) -> bool {
    let (path, root) = (path.to_string_lossy(), root.to_string_lossy());
    let (Ok(path), Ok(root)) = (parts(&path, Rules::HERE), parts(&root, Rules::HERE)) else {
        return false;
    };
    root.len() <= path.len() && root.iter().zip(&path).all(|(a, b)| same(a, b, Rules::HERE))
}

/// One name for one place: what two spellings of a path have in common.
pub fn canonical(path: &Path) -> String {
    let text = path.to_string_lossy();
    match Rules::HERE {
        Rules::Windows => text.replace('/', "\\").to_lowercase(),
        Rules::Posix => text.into_owned(),
    }
}

#[cfg(windows)]
fn is_link(meta: &fs::Metadata) -> bool {
    use std::os::windows::fs::MetadataExt as _;
    const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x400;
    meta.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0
}

#[cfg(unix)]
fn is_link(meta: &fs::Metadata) -> bool {
    meta.is_symlink()
}

fn same(a: &str, b: &str, rules: Rules) -> bool {
    match rules {
        // Windows tells the Kelvin sign from a k, which is its only lower case: both ways count.
        Rules::Windows => {
            a.to_lowercase() == b.to_lowercase() && a.to_uppercase() == b.to_uppercase()
        }
        Rules::Posix => a == b,
    }
}

fn join(parts: &[&str], rules: Rules) -> PathBuf {
    match rules {
        Rules::Windows if parts.len() == 1 => PathBuf::from(format!("{}\\", parts[0])),
        Rules::Windows => PathBuf::from(parts.join("\\")),
        Rules::Posix => PathBuf::from(format!("/{}", parts.join("/"))),
    }
}

/// The parts of an absolute path, each checked; on Windows the drive is the first.
fn parts(path: &str, rules: Rules) -> Result<Vec<&str>, PathError> {
    if path.encode_utf16().count() > LONGEST {
        let start = path.chars().take(40).collect();
        return Err(PathError::TooLong { start });
    }
    let not_absolute = || PathError::NotAbsolute {
        path: path.to_owned(),
    };
    let (drive, rest) = match rules {
        Rules::Posix => (None, path.strip_prefix('/').ok_or_else(not_absolute)?),
        Rules::Windows => {
            let (drive, rest) = path.split_at_checked(2).ok_or_else(not_absolute)?;
            let letter = drive
                .bytes()
                .next()
                .is_some_and(|b| b.is_ascii_alphabetic());
            let rest = rest.strip_prefix(['\\', '/']);
            match rest {
                Some(rest) if letter && drive.ends_with(':') => (Some(drive), rest),
                _ => return Err(not_absolute()),
            }
        }
    };
    let separators: &[char] = if rules == Rules::Windows {
        &['\\', '/']
    } else {
        &['/']
    };
    // One separator at the end is only a way to say that a folder is meant.
    let rest = rest.strip_suffix(separators).unwrap_or(rest);
    let mut parts: Vec<&str> = drive.into_iter().collect();
    if rest.is_empty() {
        return Ok(parts);
    }
    for part in rest.split(separators) {
        if let Some(why) = objection(part, rules) {
            return Err(PathError::Part {
                path: path.to_owned(),
                part: part.to_owned(),
                why,
            });
        }
        parts.push(part);
    }
    Ok(parts)
}

fn objection(part: &str, rules: Rules) -> Option<&'static str> {
    if part.is_empty() {
        return Some("is empty");
    }
    if part == "." || part == ".." {
        return Some("is relative");
    }
    if part.chars().any(char::is_control) {
        return Some("has a control character");
    }
    if rules == Rules::Posix {
        return None;
    }
    if part.contains(':') {
        return Some("names an alternate data stream");
    }
    if part.contains(['<', '>', '"', '|', '?', '*']) {
        return Some("has a character that Windows does not allow");
    }
    if part.ends_with(['.', ' ']) {
        return Some("ends with a dot or a space, which Windows drops");
    }
    if is_short_name(part) {
        return Some("looks like a short (8.3) name");
    }
    is_reserved(part).then_some("is a device's name")
}

/// `PROGRA~1`: a tilde and a digit, which Windows may have made up for a longer name.
fn is_short_name(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part);
    stem.rsplit_once('~')
        .is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn is_reserved(part: &str) -> bool {
    let stem = part
        .split('.')
        .next()
        .unwrap_or(part)
        .trim_end()
        .to_uppercase();
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"].contains(&stem.as_str()) {
        return true;
    }
    let after_name = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    let mut digits = after_name.unwrap_or_default().chars();
    matches!(
        (digits.next(), digits.next()),
        (Some('0'..='9' | '¹' | '²' | '³'), None)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(folders: &[&str]) -> Roots {
        Roots {
            setting: "--bundle-roots",
            folders: folders.iter().map(PathBuf::from).collect(),
        }
    }

    #[test]
    fn windows_paths_below_a_root_are_admitted_in_any_case_and_with_either_slash() {
        let roots = roots(&[r"C:\hcs\Bundles", r"D:\"]);
        for path in [
            r"C:\hcs\bundles\web",
            r"c:\HCS\BUNDLES\Web site\ünï",
            "C:/hcs/bundles/web",
            r"C:\hcs\bundles",
            r"C:\hcs\bundles\",
            r"D:\anything",
            r"C:\hcs\bundles\a~b",
            r"C:\hcs\bundles\a~",
        ] {
            assert!(roots.admit_by(path, Rules::Windows).is_ok(), "{path}");
        }
        let admitted = roots
            .admit_by("C:/hcs/bundles/web/", Rules::Windows)
            .unwrap();
        assert_eq!(admitted.to_str(), Some(r"C:\hcs\bundles\web"));
        let drive = roots.admit_by("D:/", Rules::Windows).unwrap();
        assert_eq!(drive.to_str(), Some(r"D:\"));
    }

    #[test]
    fn windows_paths_that_mean_another_place_are_refused() {
        let roots = roots(&[r"C:\hcs\bundles"]);
        for path in [
            "",
            "web",
            r"\hcs\bundles\web",
            r"C:hcs\bundles\web",
            r"C:\hcs\bundles2\web",
            r"C:\hcs",
            r"\\server\share\web",
            "//server/share/web",
            r"\\?\C:\hcs\bundles\web",
            r"\\.\C:\hcs\bundles\web",
            r"\\.\pipe\web",
            r"C:\hcs\bundles\..\..\Windows",
            "C:/hcs/bundles/../x",
            r"C:\hcs\bundles\.\web",
            r"C:\hcs\bundles\\web",
            r"C:\hcs\bundles\web.",
            r"C:\hcs\bundles\web ",
            r"C:\hcs\bundles\web \x",
            r"C:\hcs\bundles\web:stream",
            r"C:\hcs\bundles\web::$DATA",
            r"C:\hcs\bundles\LONGNA~1",
            r"C:\hcs\bundles\LONGNA~1.TXT",
            r"C:\hcs\bundles\nul",
            r"C:\hcs\bundles\COM1.log",
            r"C:\hcs\bundles\lpt²",
            r"C:\hcs\bundles\a*b",
            "C:\\hcs\\bundles\\a\u{0}b",
            "C:\\hcs\\bundles\\a\nb",
            "1:\\hcs\\bundles",
        ] {
            assert!(roots.admit_by(path, Rules::Windows).is_err(), "{path:?}");
        }
        let long = format!(r"C:\hcs\bundles\{}", "x".repeat(LONGEST));
        assert!(matches!(
            roots.admit_by(&long, Rules::Windows),
            Err(PathError::TooLong { .. })
        ));
        let longest = format!(r"C:\hcs\bundles\{}", "x".repeat(LONGEST - 15));
        assert!(roots.admit_by(&longest, Rules::Windows).is_ok());
    }

    #[test]
    fn a_drive_is_a_letter_and_a_colon_whatever_the_roots_say() {
        let roots = roots(&[r"1:\hcs", r"C?\hcs"]);
        for path in [r"1:\hcs\web", r"C?\hcs\web"] {
            assert!(roots.admit_by(path, Rules::Windows).is_err(), "{path}");
        }
    }

    #[test]
    fn a_letter_that_only_shares_its_lower_or_upper_case_with_the_roots_is_another_place() {
        for (root, path) in [
            (r"C:\work", "C:\\wor\u{212a}\\web"),
            (r"C:\ångstrom", "C:\\\u{212b}ngstrom\\web"),
            (r"C:\Ωmega", "C:\\\u{2126}mega\\web"),
            (r"C:\layers", "C:\\layer\u{17f}\\web"),
        ] {
            let refused = roots(&[root]).admit_by(path, Rules::Windows);
            assert!(refused.is_err(), "{path:?} lies below {root:?}");
        }
        let same = roots(&[r"C:\Äpfel"]).admit_by(r"c:\äPFEL\web", Rules::Windows);
        assert!(same.is_ok());
    }

    #[test]
    fn posix_paths_are_judged_by_case_and_parts() {
        let roots = roots(&["/var/bundles"]);
        assert!(roots.admit_by("/var/bundles/a b", Rules::Posix).is_ok());
        for path in [
            "/var/Bundles/a",
            "/var/bundlesx",
            "/var/bundles/../x",
            "var/bundles",
            "/",
        ] {
            assert!(roots.admit_by(path, Rules::Posix).is_err(), "{path}");
        }
    }

    #[test]
    fn no_roots_allow_nothing_and_the_message_names_the_setting() {
        let error = roots(&[]).admit_by("/a", Rules::Posix).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"/a\" lies below no allowed root; the agent allows none (--bundle-roots)"
        );
    }

    #[test]
    fn two_spellings_of_a_place_have_one_name_and_two_places_have_two() {
        let name = |path: &str| canonical(Path::new(path));
        assert_ne!(name("/srv/a"), name("/srv/b"));
        assert_eq!(name("/srv/a") == name("/SRV/A"), cfg!(windows));
        assert_eq!(name("C:/srv/a") == name(r"C:\srv\a"), cfg!(windows));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_below_the_root_is_refused_and_one_above_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        fs::create_dir_all(real.join("bundle")).unwrap();
        let linked_root = dir.path().join("root");
        std::os::unix::fs::symlink(&real, &linked_root).unwrap();
        std::os::unix::fs::symlink("/etc", real.join("out")).unwrap();
        let roots = Roots {
            setting: "--bundle-roots",
            folders: vec![linked_root.clone()],
        };
        let admit = |name: &str| roots.admit_existing(linked_root.join(name).to_str().unwrap());
        assert!(admit("bundle").is_ok());
        assert!(matches!(admit("out"), Err(PathError::Link { .. })));
        assert!(matches!(admit("out/passwd"), Err(PathError::Link { .. })));
        assert!(matches!(admit("none"), Err(PathError::Missing { .. })));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_or_leaves_its_root(text in ".{0,60}", suffix in "[a-z./\\\\:~ ]{0,20}") {
            let roots = roots(&[r"C:\hcs\bundles"]);
            for path in [text, format!(r"C:\hcs\bundles\{suffix}")] {
                if let Ok(admitted) = roots.admit_by(&path, Rules::Windows) {
                    let admitted = admitted.to_string_lossy().to_lowercase();
                    proptest::prop_assert!(admitted.starts_with(r"c:\hcs\bundles"));
                    proptest::prop_assert!(!admitted.split('\\').any(|part| part == ".."));
                }
            }
        }
    }
}
