//! How a container's life can go.

use std::fs;

use serde_json::json;

use crate::Result;
use crate::player::Player;

/// Ends a running container by a signal, and waits until its shim has gone.
pub fn stop(player: &mut Player, id: &str) -> Result {
    player.ends(id, |player| player.run(&["kill", id]))
}

/// `exec` in all its forms.
pub fn processes_in_a_container(player: &mut Player) -> Result {
    player.section("exec");
    player.bundle("w", &[])?;
    player.create("w")?;
    player.start("w")?;
    let ends_with_3 = player.workload(&["--exit-code=3", "--after=0"]);
    for flags in [
        &["exec"][..],
        &["exec", "--tty"],
        &["exec", "--env", "A=b", "-e", "C=d"],
    ] {
        let words = flags
            .iter()
            .map(|flag| (*flag).to_owned())
            .chain(["w".to_owned()]);
        player.run(&words.chain(ends_with_3.clone()).collect::<Vec<_>>())?;
    }
    for line in [
        "exec w",
        "exec w nosuch.exe",
        "exec w nosuch.exe with arguments",
        "exec --detach w nosuch.exe",
        "exec --process @none.json w",
        "exec --process @w w",
        "exec --cwd @none w nosuch.exe",
        "exec --user nobody w nosuch.exe",
        "exec --pid-file @nowhere/e.pid w nosuch.exe",
    ] {
        player.say(line)?;
    }
    let process = json!({"args": player.workload(&["--exit-code=9", "--after=0"]), "cwd": player.path(""), "user": {}});
    fs::write(player.file("p.json"), process.to_string())?;
    player.say("exec --process @p.json w")?;
    let process = json!({"args": [], "cwd": player.path(""), "user": {}});
    fs::write(player.file("p.json"), process.to_string())?;
    player.say("exec --process @p.json w")?;
    let process = json!({"args": ["nosuch.exe"], "user": {}});
    fs::write(player.file("p.json"), process.to_string())?;
    player.say("exec --process @p.json w")?;
    fs::write(player.file("p.json"), "{bad")?;
    player.say("exec --process @p.json w")?;
    player.note_processes("w");
    detached(player)?;
    stop(player, "w")?;
    player.say("delete w")?;
    player.note_what_is_left()
}

fn detached(player: &mut Player) -> Result {
    let (began, end) = (player.path("w/e-began"), player.path("w/e-end"));
    let flags = ["--write", &began, "--until", &end, "--exit-code=5"];
    let mut words: Vec<String> = ["exec", "--detach", "--pid-file", "@e.pid", "w"]
        .map(str::to_owned)
        .to_vec();
    words.extend(player.workload(&flags));
    player.run(&words)?;
    player.file_appears("w/e-began")?;
    player.note_pid_file("e.pid");
    player.say("ps w")?;
    let pid = player.pid("e")?.to_string();
    player.run(&["resize-tty", "--pid", &pid, "w", "132", "43"])?;
    player.run(&["resize-tty", "--pid", "4294967295", "w", "132", "43"])?;
    player.note_processes("w");
    player.process_ends("w", "e", |player| {
        Ok(fs::write(player.file("w/e-end"), "")?)
    })?;
    player.run(&["resize-tty", "--pid", &pid, "w", "132", "43"])?;
    player.say("ps w")
}

/// Every way for a container to end, and the exit code that its shim ends with.
pub fn ends(player: &mut Player) -> Result {
    player.section("ends");
    player.bundle("x", &["--exit-code=7", "--after=0"])?;
    player.create("x")?;
    player.ends("x", |player| player.say("start x"))?;
    end_of(player, "x")?;
    player.bundle("x", &["--exit-code=7", "--after=0"])?;
    player.say("run --bundle @x x")?;
    player.say("run --detach --bundle @x --pid-file @x.pid y")?;
    player.becomes("y", "stopped")?;
    player.say("delete y")?;
    player.bundle("x", &[])?;
    for line in ["kill x KILL", "delete --force x"] {
        player.create("x")?;
        player.start("x")?;
        player.ends("x", |player| player.say(line))?;
        end_of(player, "x")?;
        player.bundle("x", &[])?;
    }
    player.create("x")?;
    player.start("x")?;
    player.say("pause x")?;
    player.ends("x", |player| player.say("delete --force x"))?;
    player.create("x")?;
    player.ends("x", |player| player.say("delete x"))?;
    player.create("x")?;
    player.ends("x", |player| player.say("delete --force x"))?;
    player.note_what_is_left()
}

fn end_of(player: &mut Player, id: &str) -> Result {
    player.note_processes(id);
    player.run(&["state", id])?;
    player.run(&["delete", id])
}

/// A container that is told to have a terminal.
pub fn a_terminal(player: &mut Player) -> Result {
    player.section("a terminal");
    player.bundle_with("t", &[], |config| {
        config["process"]["terminal"] = true.into();
        config["process"]["consoleSize"] = json!({"height": 30, "width": 100});
    })?;
    player.create("t")?;
    player.start("t")?;
    player.note_processes("t");
    player.say("resize-tty t 120 40")?;
    player.note_processes("t");
    stop(player, "t")?;
    player.note_processes("t");
    player.say("delete t")
}

/// The order and the columns of a list, and one root that does not see another's.
pub fn several_in_a_list(player: &mut Player) -> Result {
    player.section("several");
    for id in ["several-b", "several-a", "several-c"] {
        player.bundle(id, &[])?;
        player.create(id)?;
    }
    player.start("several-a")?;
    player.say("--root other create --bundle @several-b several-d")?;
    for line in [
        "list",
        "list -f json",
        "list -q",
        "--root other list",
        "--root other state several-a",
    ] {
        player.say(line)?;
    }
    player.say("--root other delete several-d")?;
    for id in ["several-b", "several-a", "several-c"] {
        player.run(&["delete", "--force", id])?;
    }
    player.say("list")
}
