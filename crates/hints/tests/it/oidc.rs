//! Tokens of CI jobs, signed with the keys of <https://www.rfc-editor.org/rfc/rfc7515#appendix-A>.

mod given;
mod keys;
mod tokens;

pub(crate) use given::receiver;
