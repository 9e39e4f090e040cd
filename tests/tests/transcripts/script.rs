//! The script: what is said to runhcs, in which order.

mod matrix;
mod oddities;
mod ways;

use crate::Result;
use crate::player::Player;

/// All of it.
pub fn play(player: &mut Player) -> Result {
    matrix::nothing_is_there(player)?;
    oddities::usage(player)?;
    oddities::creates_that_fail(player)?;
    oddities::a_create_that_panics(player)?;
    oddities::ids(player)?;
    oddities::bundles(player)?;
    oddities::pid_files(player)?;
    oddities::sizes(player)?;
    oddities::signals(player)?;
    ways::processes_in_a_container(player)?;
    ways::ends(player)?;
    ways::a_terminal(player)?;
    ways::several_in_a_list(player)?;
    matrix::every_verb_in_every_state(player)
}
