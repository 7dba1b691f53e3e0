//! The status of a workload: a [`State`] and a [`Reason`], the same words in logs, Events, metrics and tests.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Declares an enum whose words are the names of its variants.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $word:ident,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$meaning])* $word,)+
        }

        impl $name {
            /// All variants, in order.
            pub const ALL: &[Self] = &[$(Self::$word),+];

            /// The word, which is a stable part of the user interface.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => stringify!($word),)+
                }
            }

            /// The variant of this name.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = Cow::<str>::deserialize(deserializer)?;
                let unknown = || D::Error::custom(format_args!("unknown word {word:?}"));
                Self::parse(&word).ok_or_else(unknown)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// The state of a workload.
    State {
        /// Every checked container runs its tag's image.
        UpToDate,
        /// Some container is stale, and a limit or another container delays its rollout.
        Outdated,
        /// A rollout is in flight, ours or another.
        RollingOut,
        /// The digest was rolled out, but the pods do not run it.
        NotConverging,
        /// Some container is stale, but the user holds rollouts, or rolled that digest back.
        Held,
        /// The workload itself is paused.
        Paused,
        /// There is nothing to check.
        Skipped,
        /// It is undetermined whether the workload is stale.
        Unknown,
        /// An annotation of the workload is invalid.
        InvalidConfiguration,
    }
}

words! {
    /// Why a workload is in its [`State`].
    ///
    /// If several apply, their order here decides which is reported: for `UpToDate` the last, otherwise the first.
    Reason {
        /// The digest behind the tag is the one that runs.
        Current,
        /// The index has another digest, but the manifests of the platforms that count are the same.
        IndexChangedOnly,
        /// The manifests have other digests, but the image configuration, and so the image, is the same.
        SameConfig,
        /// The tag's image runs, but some pod is not pinned that should be.
        NotPinned,
        /// The configured maximum number of rollouts is in flight.
        WaitingForBudget,
        /// The last rollout of the workload is too recent.
        MinInterval,
        /// The tag has not named the digest for long enough.
        Settling,
        /// The image of another container of the same pods is unavailable, so new pods could not start.
        WaitingForOtherContainer,
        /// A rollout of the tag's digest was rolled back.
        RolledBack,
        /// Not all pods run the current template yet.
        InFlight,
        /// A pod waits: its image could not be pulled.
        ErrImagePull,
        /// A pod waits before its image is pulled again.
        ImagePullBackOff,
        /// A pod waits: the kubelet cannot parse the image name.
        InvalidImageName,
        /// A pod waits before its container is started again.
        CrashLoopBackOff,
        /// The rollout took longer than the workload's `progressDeadlineSeconds`.
        ProgressDeadlineExceeded,
        /// The image pull policy is not `Always`, so a restart does not pull.
        PullPolicy,
        /// The runtime reports another digest, although a rollout of the tag's is complete.
        RuntimeReportsAlias,
        /// The image has a digest, which never moves.
        Pinned,
        /// The update strategy is `OnDelete`: a rollout would replace no pod.
        OnDelete,
        /// There are no pods, and none are wanted.
        NoPods,
        /// The user excluded the container.
        Excluded,
        /// The image reference is invalid.
        InvalidReference,
        /// The registry has no such tag.
        TagNotFound,
        /// The registry requires other credentials (401).
        Unauthorized,
        /// The registry denies access with these credentials (403).
        Denied,
        /// The credentials were rejected before and are not retried for now.
        CredentialQuarantined,
        /// The cloud issued no token for the controller's own identity.
        CloudIdentity,
        /// The registry limits the rate of requests (429).
        RateLimited,
        /// The registry requires an unsupported authentication scheme.
        UnsupportedChallenge,
        /// The token server issued no token.
        TokenServer,
        /// The response is not an image manifest or index, or the tag names no container image.
        UnsupportedMediaType,
        /// The registry has the image only as Docker schema 1.
        Schema1,
        /// The content does not match the requested digest.
        DigestMismatch,
        /// The manifest is too large.
        ManifestTooLarge,
        /// The registry redirects to a forbidden address.
        RedirectRefused,
        /// The registry did not respond in time.
        Timeout,
        /// No trusted TLS connection to the registry.
        Tls,
        /// The connection to the registry failed.
        Transport,
        /// The registry failed (5xx).
        Server,
        /// The image has no manifest for a platform of the pods.
        NoMatchingPlatform,
        /// No container has started yet, or its image ID cannot be compared.
        NotStarted,
        /// A request to the Kubernetes API server failed or was denied.
        ApiServer,
    }
}

impl Reason {
    /// Whether the failure may be temporary, so that it is retried before the next tick.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::CloudIdentity
                | Self::TokenServer
                | Self::Timeout
                | Self::Transport
                | Self::Server
                | Self::ApiServer
        )
    }

    /// Whether a container with this error would keep new pods from starting, so that a rollout of another container of the
    /// same pods must wait.
    ///
    /// Rejected credentials do not: they are ours, and the nodes may have others. Neither does a response of another media type,
    /// which may come from a proxy or concern the running image; a tag that certainly names something no pod could start has a
    /// separate verdict:
    /// [`Verdict::CannotStart`](crate::compare::Verdict::CannotStart).
    pub const fn blocks_new_pods(self) -> bool {
        matches!(
            self,
            Self::TagNotFound
                | Self::NoMatchingPlatform
                | Self::Timeout
                | Self::Transport
                | Self::Server
                | Self::RateLimited
                | Self::Tls
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_credentials_do_not_keep_new_pods_from_starting() {
        let blocking: Vec<&str> = Reason::ALL
            .iter()
            .filter(|reason| reason.blocks_new_pods())
            .map(|reason| reason.as_str())
            .collect();
        let expected = [
            "TagNotFound",
            "RateLimited",
            "Timeout",
            "Tls",
            "Transport",
            "Server",
            "NoMatchingPlatform",
        ];
        assert_eq!(blocking, expected);
    }

    #[test]
    fn the_states_are_the_words_that_users_know() {
        let words: Vec<String> = State::ALL.iter().map(State::to_string).collect();
        let expected = [
            "UpToDate",
            "Outdated",
            "RollingOut",
            "NotConverging",
            "Held",
            "Paused",
            "Skipped",
            "Unknown",
            "InvalidConfiguration",
        ];
        assert_eq!(words, expected);
    }
}
