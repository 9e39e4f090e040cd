//! A short load: `cargo xtask load` is the long one.

use std::time::Duration;

use hcs_tests::load::Load;
use hcs_tests::{Result, Scenario};

#[tokio::test]
async fn nothing_is_lost_and_nothing_grows_while_the_agent_is_killed_under_load() -> Result {
    let scenario = Scenario::named("load").await?;
    let relist = Duration::from_secs(1);
    let node = scenario.node_with(Load::node_options(relist)).await?;
    let load = Load {
        kill_every: Duration::from_secs(10),
        changes_per_minute: 60,
        patience: Duration::from_mins(2),
        ..Load::of(40, Duration::from_secs(45))
    };
    let figures = load.run(&scenario, &node).await?;
    println!("{figures}");
    assert_eq!(figures.problems(), Vec::<String>::new());
    scenario.leaves_nothing_on(&node).await
}
