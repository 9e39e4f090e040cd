//! What the agent knows of its node, gathered from its parts.

use hcs_crds::{ContainerCounts, HcsContainer, Phase, RunhcsInfo};

use super::status::Facts;
use super::{Page, abilities, disk};
use crate::agent::runtime::Runtime;

impl<R: Runtime> Page<'_, R> {
    /// As it is now.
    pub(super) fn facts(&self) -> Facts {
        let ctx = self.ctx;
        let objects = ctx.store.state();
        let room = disk::room(&ctx.data);
        if let Ok(room) = &room {
            ctx.metrics.disk_room(room.free, room.total);
        }
        for object in &objects {
            self.witnessed.note(object);
        }
        let known = ctx.capabilities.subscribe().borrow().clone();
        Facts {
            runhcs: RunhcsInfo {
                path: self.settings.runhcs.clone(),
                version: known.version.clone(),
            },
            os_build: Some(self.os_build.clone()),
            boot_id: ctx.boot_id.clone(),
            capabilities: abilities::capabilities(&known, &self.witnessed),
            defect: known.defect().map(ToString::to_string),
            containers: counts(objects.iter().map(|object| phase(object))),
            inventory: ctx.inventory.borrow().clone(),
            health: ctx.relist.health().borrow().clone(),
            room,
            limits: self.settings.disk,
            now: ctx.now(),
        }
    }
}

fn phase(object: &HcsContainer) -> Phase {
    object.status.as_ref().map_or(Phase::Pending, |s| s.phase)
}

/// How many objects are in each phase.
pub(super) fn counts(phases: impl Iterator<Item = Phase>) -> ContainerCounts {
    let mut counts = ContainerCounts::default();
    for phase in phases {
        counts.total += 1;
        *match phase {
            Phase::Pending => &mut counts.pending,
            Phase::Creating => &mut counts.creating,
            Phase::Created => &mut counts.created,
            Phase::Running => &mut counts.running,
            Phase::Paused => &mut counts.paused,
            Phase::Stopping => &mut counts.stopping,
            Phase::Stopped => &mut counts.stopped,
            Phase::Failed => &mut counts.failed,
            Phase::Deleted => &mut counts.deleted,
            Phase::Unknown => &mut counts.unknown,
        } += 1;
    }
    counts
}
