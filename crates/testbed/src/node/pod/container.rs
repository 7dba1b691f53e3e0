//! The lifecycle of one container as a pure state machine, advanced by events with their times and by time itself.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;

use crate::image::Behaviour;
use crate::node::{
    images::{failure::PullFailure, store::Provided},
    options::Speed,
};

/// How long a container with [`Behaviour::CrashesLater`] is ready.
const CRASH_DELAY: Duration = Duration::from_secs(1);

/// When a container runs relative to the others of its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the next one starts.
    Init,
    /// Started in its turn among the init containers, and keeps running.
    Sidecar,
    /// Started after all others.
    Regular,
}

/// Whether the registry is asked before a container starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

/// Whether a pod's containers are started again when they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    Always,
    OnFailure,
    Never,
}

/// The state of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing has been tried since the pod came, or since it crashed for the first time.
    Waiting,
    /// Its image cannot be pulled. The failure is shown until `quiet`, then the wait for the next attempt.
    Unpullable {
        failure: PullFailure,
        quiet: Timestamp,
        retry: Timestamp,
    },
    /// Its image is here, its process is not yet.
    Starting { until: Timestamp, image: Provided },
    /// Its process runs.
    Running {
        since: Timestamp,
        /// When it becomes ready, if ever.
        ready: Option<Timestamp>,
        /// When it crashes, if ever.
        crashes: Option<Timestamp>,
    },
    /// It crashed more than once and is started again later.
    BackingOff { until: Timestamp },
    /// Its process has ended and is not started again.
    Finished,
}

/// How a container's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) exit_code: i32,
    pub(crate) since: Timestamp,
    pub(crate) at: Timestamp,
    pub(crate) run: u32,
}

/// One container of a pod.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) name: String,
    /// The reference as the pod has it.
    pub(crate) image: String,
    pub(crate) role: Role,
    pub(crate) policy: PullPolicy,
    pub(crate) state: State,
    /// The image that runs, or that ran last.
    pub(crate) runs: Option<Provided>,
    /// The end of the last process.
    pub(crate) ended: Option<Ended>,
    /// How many processes have been started.
    pub(crate) starts: u32,
    /// Whether it runs as a process, whose probes and exit decide its state.
    pub(crate) real: bool,
    /// Whether its probes fail, whatever the behaviour of its image.
    pub(crate) fails_probes: bool,
    /// Whether it is started again after an end with this exit code.
    restart: Restart,
    crashes: u32,
    pull_failures: u32,
}

impl Container {
    /// A container of a pod's spec, before anything was done about it.
    pub(crate) fn new(spec: &core::Container, role: Role, restart: Restart) -> Self {
        Self {
            name: spec.name.clone(),
            image: spec.image.clone().unwrap_or_default(),
            role,
            policy: match spec.image_pull_policy.as_deref() {
                Some("Never") => PullPolicy::Never,
                Some("IfNotPresent") => PullPolicy::IfNotPresent,
                _ => PullPolicy::Always,
            },
            state: State::Waiting,
            runs: None,
            ended: None,
            starts: 0,
            real: false,
            fails_probes: false,
            restart,
            crashes: 0,
            pull_failures: 0,
        }
    }

    /// Whether it is to be started now.
    pub(crate) fn wants_start(&self, now: Timestamp) -> bool {
        match &self.state {
            State::Waiting => true,
            State::Unpullable { retry: at, .. } | State::BackingOff { until: at } => *at <= now,
            State::Starting { .. } | State::Running { .. } | State::Finished => false,
        }
    }

    /// When time alone changes it next.
    pub(crate) fn wakes(&self, now: Timestamp) -> Option<Timestamp> {
        let times = match &self.state {
            State::Waiting | State::Finished => [None, None],
            State::Unpullable { quiet, retry, .. } => [Some(*quiet), Some(*retry)],
            State::Starting { until, .. } | State::BackingOff { until } => [Some(*until), None],
            State::Running { ready, crashes, .. } => [*ready, *crashes],
        };
        times.into_iter().flatten().filter(|time| *time > now).min()
    }

    /// Whether the next one in the order of init containers may start.
    pub(crate) fn lets_next_start(&self) -> bool {
        match self.role {
            Role::Init => self.state == State::Finished,
            Role::Sidecar | Role::Regular => self.starts > 0,
        }
    }

    /// Whether it is ready.
    pub(crate) fn is_ready(&self, now: Timestamp) -> bool {
        match &self.state {
            State::Running { ready, .. } => {
                !self.fails_probes && ready.is_some_and(|ready| ready <= now)
            }
            State::Finished => self.role == Role::Init,
            _ => false,
        }
    }

    /// Its image is on the node.
    pub(crate) fn image_is_here(&mut self, image: Provided, now: Timestamp, speed: Speed) {
        self.pull_failures = 0;
        self.state = State::Starting {
            until: now + speed.start,
            image,
        };
        self.pass_time(now, speed);
    }

    /// Its image cannot be pulled.
    pub(crate) fn image_failed(&mut self, failure: PullFailure, now: Timestamp, speed: Speed) {
        self.pull_failures = self.pull_failures.saturating_add(1);
        let pause = speed.back_off.after(self.pull_failures);
        self.state = State::Unpullable {
            failure,
            quiet: now + pause / 2,
            retry: now + pause,
        };
    }

    /// Starts it, or lets it crash or finish by its behaviour, when it is time.
    pub(crate) fn pass_time(&mut self, now: Timestamp, speed: Speed) {
        match &self.state {
            State::Starting { until, image } if *until <= now => {
                let image = image.clone();
                self.start(image, now, speed);
            }
            State::Running {
                since,
                crashes: Some(at),
                ..
            } if *at <= now => {
                let since = *since;
                self.crash(1, since, now, speed);
            }
            _ => {}
        }
    }

    /// The readiness of its process has changed.
    pub(crate) fn set_ready(&mut self, is_ready: bool, now: Timestamp) {
        if let State::Running { ready, .. } = &mut self.state {
            *ready = is_ready.then_some(now);
        }
    }

    /// Its process has ended.
    pub(crate) fn exited(&mut self, exit_code: i32, now: Timestamp, speed: Speed) {
        let State::Running { since, .. } = &self.state else {
            return;
        };
        let since = *since;
        let stays = match (self.role, self.restart) {
            (Role::Init, _) | (_, Restart::OnFailure) => exit_code == 0,
            (Role::Sidecar, _) | (_, Restart::Always) => false,
            (Role::Regular, Restart::Never) => true,
        };
        if stays {
            self.end(exit_code, since, now);
            self.state = State::Finished;
        } else {
            self.crash(exit_code, since, now, speed);
        }
    }

    fn start(&mut self, image: Provided, now: Timestamp, speed: Speed) {
        let behaviour = image.facts.behaviour;
        self.starts = self.starts.saturating_add(1);
        self.runs = Some(image);
        if self.real {
            self.state = State::Running {
                since: now,
                ready: None,
                crashes: None,
            };
            return;
        }
        match (behaviour, self.role) {
            (Behaviour::Crashes, _) => self.crash(1, now, now, speed),
            (_, Role::Init) => {
                self.end(0, now, now);
                self.state = State::Finished;
            }
            (_, Role::Sidecar | Role::Regular) => {
                let ready = now + speed.ready;
                self.state = State::Running {
                    since: now,
                    ready: (behaviour != Behaviour::NeverReady).then_some(ready),
                    crashes: (behaviour == Behaviour::CrashesLater).then_some(ready + CRASH_DELAY),
                };
            }
        }
    }

    /// The first crash is followed by a start at once, every further one by a pause
    /// (`doBackOff` in <https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kuberuntime/kuberuntime_manager.go>).
    fn crash(&mut self, exit_code: i32, since: Timestamp, now: Timestamp, speed: Speed) {
        self.end(exit_code, since, now);
        let pause = speed.back_off.after(self.crashes);
        self.crashes = self.crashes.saturating_add(1);
        self.state = if pause.is_zero() {
            State::Waiting
        } else {
            State::BackingOff { until: now + pause }
        };
    }

    fn end(&mut self, exit_code: i32, since: Timestamp, now: Timestamp) {
        self.ended = Some(Ended {
            exit_code,
            since,
            at: now,
            run: self.starts,
        });
    }
}
