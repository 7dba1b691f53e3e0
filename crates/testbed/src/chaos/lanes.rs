//! Lets the faults of a plan happen.

use std::time::Duration;

use futures::future;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Error,
    plan::{End, Fault, Plan, Step},
    world::World,
};
use crate::{controller::Controller, liar::Mood};

/// Runs all lanes to their end, each at its own pace.
pub(super) async fn run(world: &World<'_>, plan: &Plan, begun: Instant) -> Result<(), Error> {
    let lanes = plan.lanes.iter().map(|lane| self::lane(world, lane, begun));
    future::try_join_all(lanes).await.map(drop)
}

/// What takes longer than planned delays what comes after it.
async fn lane(world: &World<'_>, steps: &[Step], begun: Instant) -> Result<(), Error> {
    for step in steps {
        sleep_until(begun + step.at).await;
        world.notes.happened(&step.fault);
        happen(world, step.fault).await?;
    }
    Ok(())
}

async fn happen(world: &World<'_>, fault: Fault) -> Result<(), Error> {
    match fault {
        Fault::Push { tag, content } => {
            if let Some(tag) = world.tags.get(tag) {
                let mut tag = tag.lock().await;
                tag.push(content, &world.pusher, &world.notes).await?;
            }
            Ok(())
        }
        Fault::Edit { workload, edit } => world.edit(workload, edit).await,
        Fault::DeletePods { workload } => world.delete_pod(workload).await,
        Fault::ApiServer { away, compacted } => api_server(world, away, compacted).await,
        Fault::RegistryDown { away } => {
            let registry = world.testbed.registry();
            registry.stop();
            sleep(away).await;
            Ok(registry.restart().await?)
        }
        Fault::Registry { mood, lasts } => {
            world.liar.set(mood);
            sleep(lasts).await;
            world.liar.set(Mood::Honest);
            Ok(())
        }
        Fault::Controller { replica, end, away } => match world.replicas.get(replica) {
            Some(controller) => ends(controller, end, away).await,
            None => Ok(()),
        },
    }
}

async fn api_server(world: &World<'_>, away: Duration, compacted: bool) -> Result<(), Error> {
    let control_plane = world.testbed.control_plane();
    control_plane.stop_api_server();
    if compacted {
        control_plane.compact().await?;
    }
    sleep(away).await;
    Ok(control_plane.start_api_server().await?)
}

async fn ends(controller: &Controller, end: End, away: Duration) -> Result<(), Error> {
    let server = controller.server();
    match end {
        End::Frozen => {
            server.pause().await?;
            sleep(away).await;
            return Ok(server.resume().await?);
        }
        End::Killed => server.kill(),
        End::Stopped => drop(server.stop().await?),
    }
    sleep(away).await;
    Ok(server.start().await?)
}
