//! Injects the faults of a plan.

use std::time::Duration;

use futures::future;
use http::StatusCode;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    error::Error,
    plan::{End, Fault, Plan, Step},
    world::World,
};
use crate::{controller::Controller, environment, fault_proxy::Mode, node::Pods};

/// Runs all lanes to their end, each at its own pace.
pub(super) async fn run(world: &World<'_>, plan: &Plan, begun: Instant) -> Result<(), Error> {
    let lanes = plan.lanes.iter().map(|lane| self::lane(world, lane, begun));
    future::try_join_all(lanes).await.map(drop)
}

/// A step that takes longer than planned delays those after it.
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
        Fault::Registry { way, mode, lasts } => {
            in_modes(world, way, &[mode], lasts).await;
            Ok(())
        }
        Fault::BrownOut { way, lasts } => {
            let unavailable = Mode::Refuses(StatusCode::SERVICE_UNAVAILABLE);
            in_modes(world, way, &[unavailable, Mode::Silent], lasts).await;
            Ok(())
        }
        Fault::RealmMoves { way } => match world.ways.get(way) {
            Some(way) => Ok(way.move_realm().await?),
            None => Ok(()),
        },
        Fault::Unready { workload, lasts } => {
            unready(world, workload, lasts).await;
            Ok(())
        }
        Fault::NodeAway { node, lasts } => node_away(world, node, lasts).await,
        Fault::Admission { namespace, lasts } => world.redirect(namespace, lasts).await,
        Fault::MirrorLags { lasts } => {
            world.mirror.lag();
            sleep(lasts).await;
            world.mirror.catch_up();
            Ok(())
        }
        Fault::Controller { replica, end, away } => match world.replicas.get(replica) {
            Some(controller) => ends(controller, end, away).await,
            None => Ok(()),
        },
    }
}

/// Puts one of the registries into these modes, for equally long times.
async fn in_modes(world: &World<'_>, way: usize, modes: &[Mode], lasts: Duration) {
    let Some(way) = world.ways.get(way) else {
        return;
    };
    for mode in modes {
        way.set(*mode);
        sleep(lasts / u32::try_from(modes.len()).unwrap_or(1)).await;
    }
    way.set(Mode::Healthy);
}

async fn unready(world: &World<'_>, workload: usize, lasts: Duration) {
    let role = world.roles.get(workload);
    let Some((role, Ok(namespace))) = role.map(|role| (role, world.namespace(role))) else {
        return;
    };
    let pods = Pods::Of {
        namespace: namespace.name().to_owned(),
        workload: role.name(),
    };
    if role.never_ready(namespace.name()).as_ref() == Some(&pods) {
        return; // they are not ready as it is, and stay so
    }
    for nodes in world.all_nodes() {
        nodes.make_unready(pods.clone());
    }
    sleep(lasts).await;
    for nodes in world.all_nodes() {
        nodes.make_ready(&pods);
    }
}

async fn node_away(world: &World<'_>, node: usize, lasts: Duration) -> Result<(), Error> {
    let nodes = world.testbed.nodes();
    if let Some(node) = nodes.names().get(node) {
        nodes.go_away(node).map_err(environment::Error::from)?;
        sleep(lasts).await;
        nodes.come_back(node).map_err(environment::Error::from)?;
    }
    Ok(())
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
