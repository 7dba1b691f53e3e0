//! How to find the pods of a workload's current template.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use serde::Deserialize;

/// How to recognise the pods of the current template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CurrentPods {
    /// The UID of the pods' controlling owner.
    pub(crate) owner: Box<str>,
    /// The value of their label `controller-revision-hash`, where the owner also has pods of other templates.
    pub(crate) revision: Option<Box<str>>,
    /// The lowest ordinal that is updated, where pods have ordinals: those below keep their template.
    pub(crate) from_ordinal: Option<i64>,
    /// They are created in order: none is while a pod of another template is not ready.
    pub(crate) in_order: bool,
}

impl CurrentPods {
    /// Whether one of the owner's pods, with this name and revision label, is a current one.
    pub(crate) fn contains(&self, name: &str, revision: Option<&str>) -> bool {
        self.is_of(revision) && self.reaches(name)
    }

    /// Whether such a pod will be replaced by a current one.
    pub(crate) fn will_replace(&self, name: &str, revision: Option<&str>) -> bool {
        !self.is_of(revision) && self.reaches(name)
    }

    /// Whether such a pod will be replaced by a current one, but never if it does not start.
    pub(crate) fn waits_for(&self, name: &str, revision: Option<&str>) -> bool {
        self.in_order && self.will_replace(name, revision)
    }

    fn is_of(&self, revision: Option<&str>) -> bool {
        self.revision.is_none() || self.revision.as_deref() == revision
    }

    fn reaches(&self, name: &str) -> bool {
        let ordinal = || name.rsplit_once('-')?.1.parse::<i64>().ok();
        self.from_ordinal
            .is_none_or(|first| ordinal().is_some_and(|ordinal| ordinal >= first))
    }
}

/// The selector of a workload's pods, formatted for list requests.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "LabelSelector")]
pub(crate) struct PodSelector(Result<Box<str>, Box<str>>);

impl From<LabelSelector> for PodSelector {
    fn from(selector: LabelSelector) -> Self {
        let selector = Selector::try_from(selector);
        Self(match selector {
            Ok(selector) => Ok(selector.to_string().into()),
            Err(error) => Err(error.to_string().into()),
        })
    }
}

impl PodSelector {
    /// The selector.
    ///
    /// # Errors
    ///
    /// When it has an unknown operator, which an API server refuses.
    pub(crate) fn as_str(&self) -> Result<&str, &str> {
        self.0.as_deref().map_err(|error| &**error)
    }
}
