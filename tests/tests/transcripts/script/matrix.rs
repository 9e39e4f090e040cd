//! Every verb in every state.

use super::ways::stop;
use crate::Result;
use crate::player::Player;

/// Verbs that take an id, with what each needs after it. `@` is the id, `@@` its bundle.
const VERBS: [&str; 15] = [
    "state @",
    "start @",
    "pause @",
    "resume @",
    "ps @",
    "ps -f table @",
    "exec @ @workload",
    "exec --detach @ @workload",
    "resize-tty @ 80 25",
    "kill @",
    "kill @ KILL",
    "delete @",
    "delete --force @",
    "create --bundle @@ @",
    "run --detach --bundle @@ @",
];

/// Those of them that only look.
const LOOKS: [&str; 3] = ["state @", "ps @", "ps -f table @"];

/// What makes a container of this id, in some state.
type Make = fn(&mut Player, &str) -> Result;

const STATES: [(&str, Make); 9] = [
    ("created", create),
    ("running", running),
    ("paused", |player, id| {
        running(player, id)?;
        player.run(&["pause", id])
    }),
    ("stopped", |player, id| {
        running(player, id)?;
        stop(player, id)
    }),
    ("shutting-down", |player, id| {
        player.bundle(id, &[])?;
        player.create_to_shut_down_slowly(id)?;
        player.start(id)?;
        player.run(&["kill", id])?;
        player.init_has_ended(id)
    }),
    ("shim-killed", |player, id| {
        running(player, id)?;
        player.ends(id, |player| player.kill_shim(id))
    }),
    ("killed-before-start", |player, id| {
        create(player, id)?;
        player.ends(id, |player| player.kill_shim(id))
    }),
    ("not-started", |player, id| {
        player.bundle_with(id, &[], |config| {
            config["process"]["args"][0] = "nosuch.exe".into();
        })?;
        player.create(id)?;
        player.ends(id, |player| player.run(&["start", id]))
    }),
    ("half-made", |player, id| {
        player.bundle(id, &[])?;
        player.create_and_die(id)
    }),
];

fn create(player: &mut Player, id: &str) -> Result {
    player.bundle(id, &[])?;
    player.create(id)
}

fn running(player: &mut Player, id: &str) -> Result {
    create(player, id)?;
    player.start(id)
}

/// Every verb with an id that is not known.
pub fn nothing_is_there(player: &mut Player) -> Result {
    player.section("no container");
    player.bundle("nope", &[])?;
    for verb in VERBS.iter().filter(|verb| !verb.contains("--bundle")) {
        say(player, verb, "nope")?;
    }
    for line in ["list", "list -q", "list -f table", "list -f json"] {
        player.say(line)?;
    }
    player.note_what_is_left()
}

/// Each verb in each state; then what it did. Where that is nothing, the next verb has the same container.
pub fn every_verb_in_every_state(player: &mut Player) -> Result {
    for (state, make) in STATES {
        let mut untouched = None;
        let mut unused: Option<String> = None;
        for (number, verb) in VERBS.iter().enumerate() {
            player.section(&format!("{state}: {verb}"));
            let id = if let Some(id) = unused.take() {
                id
            } else {
                let id = format!("{state}-{number}");
                make(player, &id)?;
                id
            };
            if state == "running" && verb.starts_with("kill") {
                player.may_end(&id, |player| say(player, verb, &id))?;
            } else {
                say(player, verb, &id)?;
            }
            let answered = player.last_exit() == Some(0) && !LOOKS.contains(verb);
            player.others_have_ended(&id)?;
            player.run(&["state", &id])?;
            player.note_processes(&id);
            let now = (player.last_status(), player.processes(&id));
            // The first verb only looks.
            let before = untouched.get_or_insert_with(|| now.clone());
            if !answered && now == *before {
                unused = Some(id);
            } else {
                remove(player, &id)?;
            }
        }
        if let Some(id) = unused {
            remove(player, &id)?;
        }
    }
    Ok(())
}

fn remove(player: &mut Player, id: &str) -> Result {
    player.run(&["delete", "--force", id])?;
    player.forget(id)
}

fn say(player: &mut Player, verb: &str, id: &str) -> Result {
    let mut words = Vec::new();
    for word in verb.split(' ') {
        match word {
            "@" => words.push(id.to_owned()),
            "@@" => words.push(format!("@{id}")),
            "@workload" => words.extend(player.workload(&["--exit-code=3", "--after=0"])),
            other => words.push(other.to_owned()),
        }
    }
    player.run(&words)
}
