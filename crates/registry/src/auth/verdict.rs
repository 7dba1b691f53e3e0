//! What a response says of the credential, of the repository, and of the manifest: no more than what was refused.
//! Decided without I/O.

use http::StatusCode;

/// A response other than 401, and what is known beside it.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Facts {
    pub(crate) status: StatusCode,
    /// A credential was used, itself or for a token.
    pub(crate) authenticated: bool,
    /// The credential itself was presented.
    pub(crate) presented: bool,
    /// It was accepted lately.
    pub(crate) is_good: bool,
    /// A caller that has access to the repository asked for a manifest by its digest.
    pub(crate) of_manifest: bool,
    /// Artifactory answers.
    pub(crate) is_artifactory: bool,
}

/// What a response says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The credential has access.
    LetIn,
    /// The credential is good, whatever is with the repository.
    Good,
    /// Nothing: a server's own failure.
    Nothing,
    /// The manifest alone is refused.
    ManifestDenied,
    /// The repository is refused to anybody.
    DeniedToAnybody,
    /// The repository is refused to a good credential.
    RepositoryDenied,
    /// The repository or the credential is refused: the registry's base knows.
    AskBase,
}

/// What a response says.
pub(crate) fn of(facts: Facts) -> Verdict {
    match facts.status {
        StatusCode::FORBIDDEN if facts.of_manifest => Verdict::ManifestDenied,
        StatusCode::FORBIDDEN if !facts.authenticated => Verdict::DeniedToAnybody,
        // Artifactory answers so, not with 401, while a login is suspended.
        StatusCode::FORBIDDEN if facts.presented && facts.is_artifactory && !facts.is_good => {
            Verdict::AskBase
        }
        StatusCode::FORBIDDEN => Verdict::RepositoryDenied,
        status if status.is_success() || status == StatusCode::NOT_MODIFIED => Verdict::LetIn,
        status if status.is_client_error() && facts.presented => Verdict::Good,
        _ => Verdict::Nothing,
    }
}

/// What Artifactory's base says of a credential that it has just answered with 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BaseVerdict {
    Good,
    Refused,
    /// The login may be suspended.
    Suspended,
}

/// What the status of Artifactory's base says. If that cannot be said, the credential is not presented for a while, as if
/// it were suspended.
pub(crate) fn of_base(status: Option<StatusCode>) -> BaseVerdict {
    match status {
        Some(StatusCode::UNAUTHORIZED) => BaseVerdict::Refused,
        Some(status) if status.is_success() || status == StatusCode::NOT_FOUND => BaseVerdict::Good,
        _ => BaseVerdict::Suspended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response to a password that is not known to be good.
    fn facts(status: u16) -> Facts {
        Facts {
            status: StatusCode::from_u16(status).expect("a status"),
            authenticated: true,
            presented: true,
            is_good: false,
            of_manifest: false,
            is_artifactory: false,
        }
    }

    #[test]
    fn a_response_says_no_more_than_what_was_refused() {
        let token = |status| Facts {
            presented: false,
            ..facts(status)
        };
        let nobody = |status| Facts {
            authenticated: false,
            ..token(status)
        };
        let artifactory = Facts {
            is_artifactory: true,
            ..facts(403)
        };
        let cases = [
            (facts(200), Verdict::LetIn),
            (token(304), Verdict::LetIn),
            (nobody(200), Verdict::LetIn),
            (facts(404), Verdict::Good),
            (token(404), Verdict::Nothing),
            (facts(503), Verdict::Nothing),
            (facts(403), Verdict::RepositoryDenied),
            (token(403), Verdict::RepositoryDenied),
            (nobody(403), Verdict::DeniedToAnybody),
            (artifactory, Verdict::AskBase),
            (
                Facts {
                    is_good: true,
                    ..artifactory
                },
                Verdict::RepositoryDenied,
            ),
            (
                Facts {
                    presented: false,
                    ..artifactory
                },
                Verdict::RepositoryDenied,
            ),
            (
                Facts {
                    of_manifest: true,
                    ..artifactory
                },
                Verdict::ManifestDenied,
            ),
        ];
        for (facts, expected) in cases {
            assert_eq!(of(facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn artifactorys_base_tells_a_refused_login_from_a_suspended_one() {
        let cases = [
            (Some(200), BaseVerdict::Good),
            (Some(404), BaseVerdict::Good),
            (Some(401), BaseVerdict::Refused),
            (Some(403), BaseVerdict::Suspended),
            (Some(500), BaseVerdict::Suspended),
            (None, BaseVerdict::Suspended),
        ];
        for (status, expected) in cases {
            let code = status.map(|status| StatusCode::from_u16(status).expect("a status"));
            assert_eq!(of_base(code), expected, "{status:?}");
        }
    }
}
