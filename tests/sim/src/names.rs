//! Names of files for ids and roots that may hold any character, and that differ in case only.

use std::fmt::Write as _;

/// Longest name that is kept readable; longer ones end in a hash.
const READABLE: usize = 150;

/// A file name for `id`, the same for ids that differ in case only (registry keys do not tell
/// them apart). No id, however odd, leaves its folder or meets a reserved name of Windows.
pub fn file_name(id: &str) -> String {
    let folded: String = id.chars().flat_map(char::to_lowercase).collect();
    let mut name = String::from("c-");
    for byte in folded.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => {
                let _ = write!(name, "%{byte:02x}");
            }
        }
    }
    if name.len() > READABLE {
        name.truncate(READABLE);
        let _ = write!(name, "~{:016x}", fnv(folded.as_bytes()));
    }
    name
}

/// `text` as Go's `url.PathEscape` writes it: the name of the registry key.
pub fn path_escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => escaped.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b'=' | b':' | b'@' => {
                escaped.push(char::from(byte));
            }
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

/// FNV-1a, 64 bits: stable across builds, unlike the standard library's hashers.
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A random identifier in the form of a GUID.
///
/// The standard library's hasher keys are the only randomness needed: it has to be unlike every
/// other on this machine, not unguessable.
pub fn unique_id() -> String {
    use std::hash::{BuildHasher, Hasher};
    let half = || {
        let mut hasher = std::hash::RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        hasher.write_u128(now.unwrap_or_default().as_nanos());
        hasher.finish()
    };
    let (high, low) = (half(), half());
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_differ_in_case_have_one_file() {
        assert_eq!(file_name("Web"), file_name("wEB"));
        assert_ne!(file_name("a"), file_name("b"));
    }

    #[test]
    fn no_id_leaves_the_folder() {
        for id in ["..", "a/b", "a\\b", "con", "nul.", " ", "é", "%2e"] {
            let name = file_name(id);
            assert!(
                name.starts_with("c-") && !name.contains(['/', '\\', '.', ' ']),
                "{name}"
            );
        }
    }

    #[test]
    fn long_ids_stay_apart() {
        let (a, b) = ("x".repeat(400), "x".repeat(401));
        assert!(file_name(&a).len() < 200);
        assert_ne!(file_name(&a), file_name(&b));
    }

    #[test]
    fn keys_are_escaped_as_go_does() {
        assert_eq!(path_escape("m/4 @x"), "m%2F4%20@x");
        assert_eq!(path_escape("é"), "%C3%A9");
    }
}
