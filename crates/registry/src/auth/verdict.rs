//! What a response implies for the credential, the repository, and the manifest: never more than was refused. Decided
//! without I/O.

use http::StatusCode;

/// A response other than 401, and its circumstances.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "the facts are independent")]
pub(crate) struct Facts {
    pub(crate) status: StatusCode,
    /// A credential was used, itself or for a token.
    pub(crate) authenticated: bool,
    /// The credential itself was presented.
    pub(crate) presented: bool,
    /// The credential was accepted recently.
    pub(crate) recently_accepted: bool,
    /// A caller with access to the repository requested a manifest by its digest.
    pub(crate) of_manifest: bool,
    /// The server is an Artifactory.
    pub(crate) is_artifactory: bool,
}

/// What a response implies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The credential has access.
    Granted,
    /// The registry accepts the credential, whatever the status of the repository.
    CredentialAccepted,
    /// Nothing: the server failed.
    Inconclusive,
    /// The manifest alone is denied.
    ManifestDenied,
    /// The repository is denied without credentials.
    AnonymousDenied,
    /// The repository is denied to a valid credential.
    RepositoryDenied,
    /// The repository is denied, or the credential refused: a request to the registry's base distinguishes them.
    RequestBase,
}

/// What a response implies.
pub(crate) fn of_response(facts: Facts) -> Verdict {
    match facts.status {
        StatusCode::FORBIDDEN if facts.of_manifest => Verdict::ManifestDenied,
        StatusCode::FORBIDDEN if !facts.authenticated => Verdict::AnonymousDenied,
        // Artifactory responds with 403, not 401, while a login is suspended.
        StatusCode::FORBIDDEN
            if facts.presented && facts.is_artifactory && !facts.recently_accepted =>
        {
            Verdict::RequestBase
        }
        StatusCode::FORBIDDEN => Verdict::RepositoryDenied,
        status if status.is_success() || status == StatusCode::NOT_MODIFIED => Verdict::Granted,
        status if status.is_client_error() && facts.presented => Verdict::CredentialAccepted,
        _ => Verdict::Inconclusive,
    }
}

/// What Artifactory's base implies for a credential to which the response was just 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BaseVerdict {
    Accepted,
    Refused,
    /// The login may be suspended.
    Suspended,
}

/// What the status of Artifactory's base implies. Without a clear result the credential is not presented for a while, as if
/// it were suspended.
pub(crate) fn of_base(status: Option<StatusCode>) -> BaseVerdict {
    match status {
        Some(StatusCode::UNAUTHORIZED) => BaseVerdict::Refused,
        Some(StatusCode::NOT_FOUND) => BaseVerdict::Accepted,
        Some(status) if status.is_success() => BaseVerdict::Accepted,
        _ => BaseVerdict::Suspended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response to a password that is not known to be valid.
    fn facts(status: u16) -> Facts {
        Facts {
            status: StatusCode::from_u16(status).expect("a status"),
            authenticated: true,
            presented: true,
            recently_accepted: false,
            of_manifest: false,
            is_artifactory: false,
        }
    }

    #[test]
    fn a_response_implies_no_more_than_was_refused() {
        let token = |status| Facts {
            presented: false,
            ..facts(status)
        };
        let anonymous = |status| Facts {
            authenticated: false,
            ..token(status)
        };
        let artifactory = Facts {
            is_artifactory: true,
            ..facts(403)
        };
        let cases = [
            (facts(200), Verdict::Granted),
            (token(304), Verdict::Granted),
            (anonymous(200), Verdict::Granted),
            (facts(404), Verdict::CredentialAccepted),
            (token(404), Verdict::Inconclusive),
            (facts(503), Verdict::Inconclusive),
            (facts(403), Verdict::RepositoryDenied),
            (token(403), Verdict::RepositoryDenied),
            (anonymous(403), Verdict::AnonymousDenied),
            (artifactory, Verdict::RequestBase),
            (
                Facts {
                    recently_accepted: true,
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
            assert_eq!(of_response(facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn artifactorys_base_distinguishes_a_refused_login_from_a_suspended_one() {
        let cases = [
            (Some(200), BaseVerdict::Accepted),
            (Some(404), BaseVerdict::Accepted),
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
