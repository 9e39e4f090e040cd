//! What an agent is shown of the objects stands still, has gaps or is from the past, at each change: in the end the world is
//! where it would have been.

use std::time::Duration;

use hcs_tests::Result;

use super::crash::{CALM, SAMPLE, play_points};
use super::lifecycles::LIFECYCLES;
use super::points::Point;

fn is_view(point: &Point) -> bool {
    matches!(point, Point::View(_))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_a_perturbed_view_comes_to_where_it_would_have_been() -> Result {
    play_points(&LIFECYCLES[..1], is_view, SAMPLE, Duration::MAX).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: cargo xtask test --only faults"]
async fn an_agent_with_any_perturbed_view_comes_to_where_it_would_have_been() -> Result {
    play_points(LIFECYCLES, is_view, 1, CALM).await
}
