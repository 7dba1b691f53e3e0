//! How soon a push is followed that the registry itself announces.

use std::{path::Path, time::Duration};

use kube_autorollout_testbed::{
    Testbed, clock::now, hints::Hooks, image::Pusher, program::Failure,
};
use serde_json::json;

use super::{grant, many, patches};
use crate::{arguments::PROGRAM, ready::up_to_date};

/// How many pushes are timed.
const PUSHES: usize = 20;

/// The durations.
pub(super) struct Hinted {
    pub(super) median: Duration,
    pub(super) longest: Duration,
}

/// From the end of each push to the patch, with a schedule of an hour.
pub(super) async fn hinted(testbed: &Testbed, program: &Path) -> Result<Hinted, Failure> {
    PROGRAM.progress("pushes that the registry announces");
    let hooks = Hooks::new(testbed.programs())?;
    testbed.registry().notify(&hooks.notifications()).await?;
    let namespace = testbed.namespace("hinted").await?;
    let many = many("hinted", (1, 1));
    let host = testbed.registry().host();
    let pusher = Pusher::new(host)?;
    many.push_all(&pusher, "first", "build").await?;
    many.deploy(&namespace, host).await?;
    grant(&namespace).await?;
    let configuration = json!({
        "interval": "1h",
        "hints": hooks.configuration([]),
        "registries": [{"hostnamePattern": host, "plainHttp": true}],
    });
    let configuration = configuration.to_string();
    let started = testbed.start_controller(&namespace, program, &configuration, "/readyz");
    let controller = started.await?;
    up_to_date(&controller, 1).await?;
    let mut took = Vec::new();
    for number in 0..PUSHES {
        many.push(&pusher, 0, &format!("hinted {number}"), "build")
            .await?;
        let begun = now();
        let patched = patches(testbed, &namespace, (begun, 1)).await?;
        let first = patched.into_iter().min().unwrap_or(begun);
        took.push(first.duration_since(begun).unsigned_abs());
        up_to_date(&controller, 1).await?;
    }
    took.sort_unstable();
    let at = |index: usize| took.get(index).copied().unwrap_or_default();
    Ok(Hinted {
        median: at(PUSHES / 2),
        longest: at(PUSHES - 1),
    })
}
