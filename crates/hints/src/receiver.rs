//! Receivers: the entries of `hints.receivers`.

mod settings;
mod validate;

pub use settings::ReceiverSettings;
pub use validate::{Problem, receivers};

use crate::{
    authentication::{self, Authenticated, Secrets, Unauthenticated},
    hint::{Ignored, Parsed},
    images::ImagePatterns,
    malformed::Malformed,
    request::Request,
};

/// A receiver with valid settings.
#[derive(Debug, Clone)]
pub struct Receiver {
    settings: ReceiverSettings,
    images: ImagePatterns,
}

impl Receiver {
    /// The configuration.
    pub fn settings(&self) -> &ReceiverSettings {
        &self.settings
    }

    /// Authenticates a request before it is parsed. `secrets` are the current contents of the files, if there are any.
    ///
    /// # Errors
    ///
    /// [`Unauthenticated`] for the log; the response is 401.
    pub fn authenticate<'a>(
        &self,
        secrets: Option<&Secrets>,
        request: &Request<'a>,
    ) -> Result<Authenticated<'a>, Unauthenticated> {
        let ReceiverSettings {
            sender,
            authentication,
            oidc,
            ..
        } = &self.settings;
        let takes_tokens = oidc.is_some();
        authentication::authenticate(*sender, *authentication, takes_tokens, secrets, request)
    }

    /// Parses the hints in an authenticated request, and removes those that are not permitted.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for a request that the sender would not send.
    pub fn read(&self, request: &Request<'_>) -> Result<Parsed, Malformed> {
        let settings = &self.settings;
        let mut parsed = settings.sender.read(request, &settings.naming)?;
        let before = parsed.hints.len();
        parsed.hints.retain(|hint| self.images.permit(hint));
        let refused = before - parsed.hints.len();
        if refused > 0 {
            *parsed.ignored.entry(Ignored::NotPermitted).or_default() += refused;
        }
        Ok(parsed)
    }
}
