//! What is said about a workload: a [`State`] and a [`Reason`], the same words in logs, Events, metrics and tests.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Declares an enum whose words are the names of its variants, so that no list of them can fall behind another.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $word:ident,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$meaning])* $word,)+
        }

        impl $name {
            /// Every word of the list, in order.
            pub const ALL: &[Self] = &[$(Self::$word),+];

            /// The word itself. It is part of what users rely on and never changes.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => stringify!($word),)+
                }
            }

            /// The word of this name.
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
    /// Where a workload stands.
    State {
        /// Every checked container runs what its tag means.
        UpToDate,
        /// Some container is stale, and a limit or another container keeps it from being rolled out.
        Outdated,
        /// A rollout is in flight, ours or somebody else's.
        RollingOut,
        /// The digest was rolled out, and the pods do not run it.
        NotConverging,
        /// Some container is stale, and the user asked to hold, or went back from what would be rolled out.
        Held,
        /// The workload itself is paused.
        Paused,
        /// There is nothing to check.
        Skipped,
        /// Whether it is stale cannot be known now.
        Unknown,
        /// An annotation of the workload does not parse.
        InvalidConfiguration,
    }
}

words! {
    /// Why a workload is in its [`State`].
    ///
    /// Where one of several has to be said, their order here decides: of those for `UpToDate` the last, of others the
    /// first.
    Reason {
        /// The digest behind the tag is the one that runs.
        Current,
        /// The index has another digest, but the manifests of the platforms that count are the same.
        IndexChangedOnly,
        /// The manifests have other digests, but the image configuration, and so the image, is the same.
        SameConfig,
        /// What runs is what the tag means, and some pod that should be pinned to it is not.
        NotPinned,
        /// As many rollouts are in flight as the configuration allows at once.
        WaitingForBudget,
        /// The workload was rolled out not long enough ago.
        MinInterval,
        /// The tag has not named the digest for long enough.
        Settling,
        /// Another container of the same pods cannot be had from its registry, so new pods could not start.
        WaitingForOtherContainer,
        /// Somebody went back from a rollout of what the tag names.
        RolledBack,
        /// The pods do not all run the current template yet.
        InFlight,
        /// A pod waits: its image could not be pulled.
        ErrImagePull,
        /// A pod waits before its image is pulled again.
        ImagePullBackOff,
        /// A pod waits: its node cannot make sense of the image name.
        InvalidImageName,
        /// A pod waits before its container is started again.
        CrashLoopBackOff,
        /// The rollout took longer than the workload's `progressDeadlineSeconds`.
        ProgressDeadlineExceeded,
        /// A restart does not pull: the image pull policy is not `Always`.
        PullPolicy,
        /// The runtime names another digest for the image, although a rollout for the right one is complete.
        RuntimeReportsAlias,
        /// The image is named by digest, which never moves.
        Pinned,
        /// The update strategy is `OnDelete`: a rollout would replace no pod.
        OnDelete,
        /// No pod runs and none is wanted.
        NoPods,
        /// The user left the container out.
        Excluded,
        /// The image is not a reference that a registry could be asked for.
        InvalidReference,
        /// The registry has no such tag.
        TagNotFound,
        /// The registry wants other credentials (401).
        Unauthorized,
        /// The registry forbids it with these credentials (403).
        Denied,
        /// The credentials were refused before and are not tried again for now.
        CredentialQuarantined,
        /// The cloud issued no token for the controller's own identity.
        CloudIdentity,
        /// The registry asks for fewer requests (429).
        RateLimited,
        /// The registry asks for a way of authentication that is not supported.
        UnsupportedChallenge,
        /// The token server gave no token.
        TokenServer,
        /// The registry answered with something that is no image manifest or index, or the tag names no container image.
        UnsupportedMediaType,
        /// The registry has the image only as Docker schema 1.
        Schema1,
        /// The content does not have the digest it was asked for.
        DigestMismatch,
        /// The manifest is larger than any that is sensible.
        ManifestTooLarge,
        /// The registry redirects to where requests must not go.
        RedirectRefused,
        /// The registry did not answer in time.
        Timeout,
        /// No trusted TLS connection to the registry.
        Tls,
        /// No connection to the registry, or it broke.
        Transport,
        /// The registry failed (5xx).
        Server,
        /// The image has no manifest for a platform that the pods run on.
        NoMatchingPlatform,
        /// No container has started yet, or what it runs has no name that could be compared.
        NotStarted,
        /// The Kubernetes API server failed or refused.
        ApiServer,
    }
}

impl Reason {
    /// Whether what failed may pass by itself, so that it is tried again before the next tick.
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

    /// Whether a container with this error would keep new pods from starting, so that a rollout for the sake of
    /// another container of the same pods has to wait.
    ///
    /// Refused credentials do not: they are ours, and the nodes may well have others. Nor does an answer of another media
    /// type, which may come from a proxy in between or concern the image that runs; where the tag is known to name
    /// what no pod could start, that is a verdict of its own:
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
