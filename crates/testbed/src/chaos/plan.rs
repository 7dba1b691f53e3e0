//! The faults of a run and their times, drawn from a seed before it starts.

mod draw;
mod fault;

use std::fmt;

use super::rng::Rng;

pub use fault::Scale;
pub(super) use fault::{Content, Edit, End, Fault, RETRY_AFTER, Step};

/// All faults of a run, in lanes: sequential within each lane, and independent of the other lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The size of a run.
    pub scale: Scale,
    pub(super) lanes: Vec<Vec<Step>>,
}

impl Plan {
    /// Draws a plan.
    pub fn new(seed: u64, scale: Scale) -> Self {
        let mut rng = Rng::new(seed);
        let lanes = draw::LANES.map(|draw| draw(&mut rng.apart(), scale));
        let lanes = lanes.into();
        Self { seed, scale, lanes }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps: Vec<&Step> = self.lanes.iter().flatten().collect();
        steps.sort_by_key(|step| step.at);
        writeln!(
            formatter,
            "seed {}: {} faults in {} s",
            self.seed,
            steps.len(),
            self.scale.faults.as_secs()
        )?;
        for Step { at, fault } in steps {
            writeln!(formatter, "{:8.3} s  {fault:?}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
