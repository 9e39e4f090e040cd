//! Fuzz targets: whatever runhcs prints and whatever is handed to it. `cargo xtask fuzz` plays them for longer than
//! `cargo test` does; `docs/testing.md` has how.

use std::path::Path;

use hcs_fuzz::target;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    Command, ContainerState, CreateOpts, ErrorKind, Help, InputError, Runhcs, ShimPid, Signal,
    absolute,
};

fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// What is read is what is there: no container is lost, doubled or given another's id or pid.
fn same(read: &ContainerState, raw: &Value) {
    assert_eq!(raw["id"].as_str(), Some(&*read.id));
    match (read.pid, raw["pid"].as_i64()) {
        (ShimPid::Known(pid), raw) => assert_eq!(raw, Some(i64::from(pid.get()))),
        (ShimPid::Gone, raw) => assert!(matches!(raw, None | Some(0)), "{raw:?}"),
        (ShimPid::HalfMade, raw) => assert!(raw.is_some_and(|pid| pid < 0), "{raw:?}"),
        (ShimPid::Invalid(pid), raw) => assert_eq!(raw, Some(pid)),
    }
    let status = raw["status"].as_str().unwrap_or_default();
    assert_eq!(read.status.as_str(), status);
}

target!(answers, |text| {
    if let Some(states) = read::<Option<Vec<ContainerState>>>(text) {
        let raw = read::<Option<Vec<Value>>>(text)
            .flatten()
            .unwrap_or_default();
        let states = states.unwrap_or_default();
        assert_eq!(states.len(), raw.len());
        states
            .iter()
            .zip(&raw)
            .for_each(|(state, raw)| same(state, raw));
    }
    if let (Some(state), Some(raw)) = (read::<ContainerState>(text), read(text)) {
        same(&state, &raw);
    }
    if let Some(Some(pids)) = read::<Option<Vec<u32>>>(text) {
        assert_eq!(
            read::<Vec<u64>>(text).map(|raw| raw.len()),
            Some(pids.len())
        );
    }
});

target!(words, |text| {
    for verb in ["create", "exec", "list"] {
        let kind = ErrorKind::classify(verb, text);
        let of_windows = text.replace("\r\n", "\n").replace('\n', "\r\n");
        assert_eq!(ErrorKind::classify(verb, &of_windows), kind);
        let after_a_log_line = format!("time=\"now\" level=info\n{text}");
        assert_eq!(ErrorKind::classify(verb, &after_a_log_line), kind);
    }
});

target!(help, |text| {
    let help = Help::parse(text);
    let words = help.verbs.iter().chain(&help.flags).chain(&help.version);
    words.for_each(|word| assert!(text.contains(word), "{word}"));
});

target!(paths, |text| {
    for cwd in [r"C:\hcs", r"\\server\share\x", "/home/u", "", "x", text] {
        let Some(path) = absolute(text, cwd) else {
            assert!(!cwd.starts_with('/'), "{text:?} has no answer in {cwd:?}");
            continue;
        };
        // Where it leads, it leads from anywhere.
        let rooted = path.starts_with(['/', '\\']) || path.chars().nth(1) == Some(':');
        assert!(rooted, "{path:?}");
    }
});

target!(command_lines, |text| {
    let mut parts = text.splitn(3, '\n');
    let mut part = || parts.next().unwrap_or_default();
    let (id, file, value) = (part(), part(), part());
    let client = Runhcs {
        root: Some(value.to_owned()),
        ..Runhcs::default()
    };
    let opts = CreateOpts {
        pid_file: Some(file.into()),
        ..CreateOpts::default()
    };
    let signal: Option<Signal> = value.parse().ok();
    let create = Command::Create {
        id,
        bundle: Path::new(file),
        opts: &opts,
    };
    let commands = [create, Command::Start { id }, Command::Ps { id }];
    let kill = signal.as_ref().map(|signal| Command::Kill { id, signal });
    for command in commands.into_iter().chain(kill) {
        match client.argv(&command, Path::new(r"C:\x")) {
            Ok(argv) => is_sound(&argv, &command, id, value),
            Err(InputError::EmptyId) => assert!(id.is_empty()),
            Err(InputError::IdLikeFlag { .. }) => assert!(id.starts_with('-')),
            Err(InputError::Nul { argument }) => assert!(argument.contains('\0')),
            Err(error) => assert!(matches!(command, Command::Kill { .. }), "{error}"),
        }
    }
});

/// Each value stands after its flag, and what follows the flags is the id.
fn is_sound(argv: &[String], command: &Command<'_>, id: &str, root: &str) {
    assert!(argv.iter().all(|arg| !arg.contains('\0')));
    let skip = if root.is_empty() { 0 } else { 2 };
    assert!(skip == 0 || argv[..2] == ["--root", root]);
    assert_eq!(argv[skip], command.verb());
    let id_at = argv.len()
        - if matches!(command, Command::Kill { .. }) {
            2
        } else {
            1
        };
    assert_eq!(argv[id_at], id);
    assert!(!argv[id_at].starts_with('-'));
}
