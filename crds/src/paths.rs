//! Which paths of a node a spec may name, as CEL rules.
//!
//! They judge text alone, by Windows' rules whatever system the node simulates. Whether a path
//! lies below an allowed root, and where its links lead, only the node's agent can tell; it also
//! checks the paths in a `config.json` that the API server never sees.

/// Longest path in characters: so far below Windows' 32,767 that files inside it fit as well.
pub(crate) const LONGEST: usize = 1024;

/// The message and the rule of each check.
pub(crate) const RULES: [(&str, &str); 8] = [
    // Two leading slashes pass here: the next rule has the better message for them.
    (
        r"must be absolute: a drive letter, ':' and '\' (a leading '/' is for simulated nodes)",
        r"self.matches(r'^([A-Za-z]:[\\/]|/|\\\\)')",
    ),
    (
        r"must not be a UNC or device path (one that begins with two slashes, '\\' or '//')",
        r"!self.matches(r'^[\\/]{2}')",
    ),
    (
        r"must not name an alternate data stream (a ':' that is not the drive's)",
        r"self.matches(r'^([A-Za-z]:)?[^:]*$')",
    ),
    (
        r#"must not have control characters or any of < > " | ? *"#,
        r"!self.matches(r'[\p{Cc}<>\x22|?*]')",
    ),
    (
        r"must not have an empty part (two slashes in a row)",
        r"!self.matches(r'[^\\/][\\/]{2}')",
    ),
    (
        r"must not have a part that ends in a dot or a space ('.' and '..' are such)",
        r"!self.matches(r'[. ]([\\/]|$)')",
    ),
    (
        r"must not have a part that is a device's name (CON, PRN, AUX, NUL, COM1, …), with or without an extension",
        r"!self.matches(r'(?i)(^|[\\/])(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³]) *(\.[^\\/]*)?([\\/]|$)')",
    ),
    (
        r"must not have a part that looks like a short (8.3) name (PROGRA~1)",
        r"!self.matches(r'(^|[\\/])[^\\/.]*~[0-9]+(\.[^\\/]*)?([\\/]|$)')",
    ),
];
