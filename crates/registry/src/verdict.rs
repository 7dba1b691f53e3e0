//! What an answer says of the credential, of the repository, and of the manifest: no more than what was refused.

use http::StatusCode;

use crate::{
    artifactory::is_artifactory,
    error::Error,
    exchange::{Answer, Call, Question},
    fault::Fault,
    head_support::counts_as_pull,
    negotiation::Next,
    observer::Operation,
    proof::Proof,
    quarantine::Trial,
    session::{AuthMethod, Reply, Session},
    target::Object,
};

impl Session<'_> {
    /// What an answer other than 401 says, and whether it is one.
    pub(crate) async fn conclude(
        &self,
        proof: Proof,
        answer: Answer,
        call: &mut Call<'_>,
    ) -> Result<Reply, Error> {
        let authentication = match (&proof, self.credential) {
            (Proof::None, _) | (_, None) => AuthMethod::Anonymous,
            (Proof::Basic(..), _) => AuthMethod::Basic,
            (Proof::Static(..) | Proof::Token { .. }, _) => AuthMethod::Bearer,
        };
        let (answer, operation) = self.without_head(&proof, answer, call).await;
        if answer.status == StatusCode::FORBIDDEN {
            return Err(self.forbidden(proof, &answer, call).await);
        }
        let found = answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED;
        match (found, proof) {
            (true, proof) => self.let_in(proof),
            (false, Proof::Basic(_, trial) | Proof::Static(_, trial))
                if answer.status.is_client_error() =>
            {
                trial.accept();
            }
            // A server's own failure is no verdict.
            _ => {}
        }
        Ok(Reply {
            answer,
            authentication,
            operation,
        })
    }

    /// What becomes of a question that was refused for good.
    pub(crate) fn refused(&self, next: Next, proof: Proof, answer: &Answer) -> Error {
        if let Next::Unsupported(fault) = next {
            return Error::answered(answer, fault);
        }
        if self.concerns_the_manifest_alone(answer) {
            return Error::answered(answer, Fault::ManifestDenied(answer.status));
        }
        match (next, proof.into_trial()) {
            (Next::RefuseCredential, Some(trial)) => {
                trial.refuse();
                self.unauthorized(Some(answer))
            }
            (Next::Unauthorized, _) => self.unauthorized(Some(answer)),
            _ => self.refuse_repository(Some(answer)),
        }
    }

    /// The registry redirects: it lets in who asked.
    pub(crate) fn redirected(&self, proof: Proof) {
        self.let_in(proof);
    }

    /// The registry accepts the credential and does not let it read the repository.
    pub(crate) fn refuse_repository(&self, answer: Option<&Answer>) -> Error {
        if let Some(credential) = self.fingerprint() {
            let (registry, repository) = (&self.host.origin, &self.target.repository);
            self.quarantine
                .refuse_repository(registry, repository, credential);
        }
        self.unauthorized(answer)
    }

    fn let_in(&self, proof: Proof) {
        let (registry, repository) = (&self.host.origin, &self.target.repository);
        let credential = self.fingerprint().filter(|_| !matches!(proof, Proof::None));
        if matches!(self.target.object, Object::Tag(_)) {
            let mut memory = self.host.memory();
            memory.learn_let_in(repository, self.fingerprint());
        }
        if let Some(credential) = credential {
            self.quarantine
                .accept_repository(registry, repository, credential);
        }
        if let Some(trial) = proof.into_trial() {
            trial.accept();
        }
    }

    /// A 403: of the manifest, the repository, or the credential.
    async fn forbidden(&self, proof: Proof, answer: &Answer, call: &mut Call<'_>) -> Error {
        let had_credentials = self.credential.is_some() && !matches!(proof, Proof::None);
        if self.concerns_the_manifest_alone(answer) {
            return Error::answered(answer, Fault::ManifestDenied(answer.status));
        }
        let denied = Error::answered(answer, Fault::Denied { had_credentials });
        let (Some(credential), true) = (self.fingerprint(), had_credentials) else {
            return denied;
        };
        let header = proof.header();
        if let Some(trial) = proof.into_trial() {
            // Artifactory answers so, not with 401, while a login is suspended.
            if is_artifactory(&answer.headers) && !trial.is_good() {
                let base = Question {
                    uri: self.target.base(),
                    unless: None,
                    ..self.question(Operation::Get, header)
                };
                let base = self.transport.ask(self.host, base, call).await;
                if !judge_base(trial, base.map(|answer| answer.status).ok()) {
                    return denied;
                }
            } else {
                trial.accept();
            }
        }
        let (registry, repository) = (&self.host.origin, &self.target.repository);
        self.quarantine
            .refuse_repository(registry, repository, credential);
        denied
    }

    /// Whether a refusal is about a manifest alone, as who asks was let in to the repository's tag.
    pub(crate) fn concerns_the_manifest_alone(&self, answer: &Answer) -> bool {
        let (repository, credential) = (&self.target.repository, self.fingerprint());
        let mut memory = self.host.memory();
        if matches!(self.target.object, Object::Tag(_)) {
            memory.forget_let_in(repository, credential);
            return false;
        }
        let refused = answer.status == StatusCode::UNAUTHORIZED;
        memory.is_let_in(repository, credential, refused)
    }

    /// Asks by GET after a failure of HEAD of which GET may tell more: some registries do not know HEAD, and the body
    /// has the reason.
    async fn without_head(
        &self,
        proof: &Proof,
        answer: Answer,
        call: &mut Call<'_>,
    ) -> (Answer, Operation) {
        let repository = &self.target.repository;
        if self.operation != Operation::Head
            || is_artifactory(&answer.headers) // its HEAD is right, and it may have suspended the login
            || !self.host.memory().heads.may_know_more(repository, answer.status)
        {
            return (answer, self.operation);
        }
        let question = self.question(Operation::Get, proof.header());
        let told = self.transport.ask(self.host, question, call).await;
        let heads = &mut self.host.memory().heads;
        match told {
            Ok(told) if told.status.is_success() => {
                heads.is_useless(repository, !counts_as_pull(&self.host.origin));
                (told, Operation::Get)
            }
            Ok(told) if told.status == answer.status => {
                heads.asked_in_vain(repository);
                (told, Operation::Get)
            }
            _ => {
                heads.asked_in_vain(repository);
                (answer, self.operation)
            }
        }
    }

    fn unauthorized(&self, answer: Option<&Answer>) -> Error {
        let had_credentials = self.credential.is_some();
        let fault = Fault::Unauthorized { had_credentials };
        match answer {
            Some(answer) => Error::answered(answer, fault),
            None => self.error(fault),
        }
    }
}

/// What an Artifactory's base says of a credential that it has just answered with 403, and whether it is good. If that
/// cannot be told, it is left alone as if it were suspended.
fn judge_base(trial: Trial, status: Option<StatusCode>) -> bool {
    match status {
        Some(StatusCode::UNAUTHORIZED) => trial.refuse(),
        Some(status) if status.is_success() || status == StatusCode::NOT_FOUND => {
            trial.accept();
            return true;
        }
        _ => trial.suspend(),
    }
    false
}
