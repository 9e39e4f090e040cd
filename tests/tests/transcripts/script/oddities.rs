//! What a person may say wrongly, or a program oddly.

use std::fs;

use super::ways::stop;
use crate::Result;
use crate::player::Player;

/// Wrong numbers of arguments, unknown verbs and flags.
pub fn usage(player: &mut Player) -> Result {
    player.section("usage");
    for line in [
        "state",
        "state a b",
        "create",
        "create a b",
        "start",
        "start a b",
        "run",
        "delete",
        "delete a b",
        "kill",
        "kill a BOGUS",
        "kill a TERM c",
        "pause",
        "resume",
        "ps",
        "exec",
        "resize-tty",
        "resize-tty a",
        "resize-tty a 80",
        "resize-tty a 80 25 1",
        "resize-tty --pid x a 80 25",
        "list a",
        "list -f xml",
        "ps -f xml a",
        "bogus",
        "create-scratch",
        "create-scratch a",
        "create-scratch --destpath @s --sizeGB x",
        "list --bogus",
        "delete --bogus a",
        "--bogus list",
        "--log-format xml list",
        "--log-format json list -q",
        "--root other list -q",
        "--owner me list -q",
        "--debug list -q",
        "--log @log list -q",
        "--log @no/log list -q",
    ] {
        player.say(line)?;
    }
    player.note_what_is_left()
}

/// Bundles that are wrong: nothing is left of their containers.
pub fn creates_that_fail(player: &mut Player) -> Result {
    player.section("creates that fail leave nothing");
    player.bundle("c", &[])?;
    fs::create_dir_all(player.file("empty"))?;
    fs::create_dir_all(player.file("bad"))?;
    fs::write(player.file("bad/config.json"), "{bad")?;
    fs::create_dir_all(player.file("array"))?;
    fs::write(player.file("array/config.json"), "[]")?;
    fs::create_dir_all(player.file("wrong-type"))?;
    fs::write(player.file("wrong-type/config.json"), r#"{"process": 7}"#)?;
    fs::create_dir_all(player.file("folder/config.json"))?;
    fs::write(player.file("a-file"), "")?;
    player.bundle_with("no-windows", &[], |config| {
        config
            .as_object_mut()
            .map(|config| config.remove("windows"));
    })?;
    player.bundle_with("one-layer", &[], |config| {
        config["windows"]["layerFolders"]
            .as_array_mut()
            .map(Vec::pop);
    })?;
    player.bundle_with("gone-layer", &[], |config| {
        let layer = config["windows"]["layerFolders"][0]
            .as_str()
            .unwrap_or_default();
        config["windows"]["layerFolders"][0] = format!("{layer}-gone").into();
    })?;
    for bundle in [
        "@missing",
        "@a-file",
        "@empty",
        "@bad",
        "@array",
        "@wrong-type",
        "@folder",
        "@no-windows",
        "@one-layer",
        "@gone-layer",
    ] {
        player.run(&["create", "--bundle", bundle, "c"])?;
    }
    player.run(&[
        "create",
        "--bundle",
        "@c",
        "--pid-file",
        "@nowhere/c.pid",
        "c",
    ])?;
    player.run(&["create", "--bundle", "@c", ""])?;
    player.say("list -q")?;
    player.note_what_is_left()
}

/// An empty list of layers makes runhcs panic, and leaves a container that is half made.
pub fn a_create_that_panics(player: &mut Player) -> Result {
    player.section("a create that panics");
    player.bundle_with("c", &[], |config| {
        config["windows"]["layerFolders"] = [""; 0].into();
    })?;
    player.say("create --bundle @c c")?;
    player.say("state c")?;
    player.say("delete c")?;
    player.bundle_with("c", &[], |config| {
        config["process"]["args"] = [""; 0].into();
    })?;
    player.say("create --bundle @c c")?;
    player.say("state c")?;
    player.say("start c")?;
    player.say("delete --force c")?;
    player.bundle_with("c", &[], |config| {
        config
            .as_object_mut()
            .map(|config| config.remove("process"));
    })?;
    player.say("create --bundle @c c")?;
    player.say("state c")?;
    player.say("start c")?;
    player.say("delete --force c")?;
    player.say("list -q")
}

/// Ids of all kinds.
pub fn ids(player: &mut Player) -> Result {
    player.section("ids");
    player.bundle("i", &[])?;
    let long = "x".repeat(200);
    let ids = [
        "UPPER",
        "a b",
        " a",
        "a ",
        "a\"b",
        "it's",
        "a\\",
        "a\\b",
        "a/b",
        "a:b",
        "a*b?",
        "a|b",
        "a%41",
        "a,b",
        "$HOME",
        "%PATH%",
        "a.",
        ".",
        "..",
        "...",
        "nul",
        "COM1",
        "\u{fc}n\u{ef}",
        "\u{65e5}\u{672c}",
        "\u{1f600}",
        "-dash",
        "--",
        "--force",
        "@at",
        long.as_str(),
    ];
    for id in ids {
        // Words that begin with @ are paths here.
        let id = if id == "@at" { "at@" } else { id };
        player.run(&["create", "--bundle", "@i", id])?;
        player.run(&["state", id])?;
        player.say("list -f json")?;
        player.run(&["start", id])?;
        if player.last_exit() == Some(0) {
            player.begins("i")?;
        }
        player.run(&["delete", "--force", id])?;
        player.bundle("i", &[])?;
    }
    player.say("create --bundle @i Upper")?;
    player.say("state upper")?;
    player.say("create --bundle @i UPPER")?;
    player.say("delete uPPER")?;
    player.say("list -q")
}

/// Paths of bundles of all kinds.
pub fn bundles(player: &mut Player) -> Result {
    player.section("paths of bundles");
    for name in ["b", "b c", "\u{fc}n\u{ef}", "it's", "dot.d", "b&c", "b%20c"] {
        player.bundle(name, &[])?;
    }
    for path in [
        "@b",
        "@b/",
        "@b c",
        "@\u{fc}n\u{ef}",
        "@it's",
        "@dot.d",
        "@b&c",
        "@b%20c",
        "@b/../b",
        "b",
        "./b",
        "",
        ".",
    ] {
        player.run(&["create", "--bundle", path, "b"])?;
        player.say("state b")?;
        player.say("delete --force b")?;
    }
    player.say("create b")?;
    player.say("list -q")
}

/// Paths of pid files of all kinds.
pub fn pid_files(player: &mut Player) -> Result {
    player.section("pid files");
    player.bundle("b", &[])?;
    fs::create_dir_all(player.file("pids/folder.pid"))?;
    fs::write(player.file("pids/there.pid"), "old and longer than any pid")?;
    for path in [
        "pids/new.pid",
        "pids/there.pid",
        "pids/folder.pid",
        "pids/with space.pid",
        "nowhere/x.pid",
    ] {
        player.run(&[
            "create",
            "--bundle",
            "@b",
            "--pid-file",
            &format!("@{path}"),
            "b",
        ])?;
        player.note_pid_file(path);
        player.say("list -q")?;
        player.say("delete --force b")?;
    }
    player.say("create --bundle @b --pid-file relative.pid b")?;
    player.note_pid_file("b/relative.pid");
    player.note_pid_file("relative.pid");
    player.say("delete --force b")?;
    player.note_what_is_left()
}

/// Sizes of terminals.
pub fn sizes(player: &mut Player) -> Result {
    player.section("sizes");
    player.bundle("b", &[])?;
    player.create("b")?;
    player.start("b")?;
    for size in [
        "80 25",
        "1 1",
        "65535 65535",
        "65536 25",
        "80 65536",
        "0 25",
        "80 0",
        "x 25",
        "80 x",
        "-1 25",
        "80 -1",
        "99999999999 25",
        "0x10 010",
        "+80 25",
        "8e1 25",
        "80.0 25",
        "1_0 25",
    ] {
        player.say(&format!("resize-tty b {size}"))?;
        player.note_processes("b");
    }
    player.run(&["resize-tty", "b", "", ""])?;
    player.run(&["resize-tty", "b", " 80", "25 "])?;
    stop(player, "b")?;
    player.say("delete b")
}

/// Signals of all kinds, each to a container of its own.
pub fn signals(player: &mut Player) -> Result {
    player.section("signals");
    for signal in [
        "TERM",
        "KILL",
        "SIGTERM",
        "term",
        "kill",
        "CtrlC",
        "ctrlc",
        "CTRLC",
        "CtrlBreak",
        "CtrlClose",
        "CtrlLogOff",
        "CtrlShutdown",
        "HUP",
        "INT",
        "QUIT",
        "USR1",
        "0",
        "1",
        "2",
        "5",
        "6",
        "9",
        "15",
        "16",
        "-1",
        "999",
        "x",
        "",
    ] {
        player.bundle("b", &[])?;
        player.create("b")?;
        player.start("b")?;
        player.may_end("b", |player| player.run(&["kill", "b", signal]))?;
        player.note_processes("b");
        player.say("delete --force b")?;
    }
    Ok(())
}
