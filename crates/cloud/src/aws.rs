//! AWS: credentials of the pod, and the passwords that ECR issues for them.

mod credentials;
mod ecr;
mod endpoints;
mod host;
mod sigv4;
mod sts;
mod xml;

pub(crate) use self::{
    ecr::{Ecr, fetch},
    host::EcrHost,
};

/// Whether a text may be a region, which becomes part of a host name.
pub fn is_region(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let ends_well = !text.starts_with('-') && !text.ends_with('-');
    (2..=32).contains(&text.len()) && text.bytes().all(inner) && ends_well
}

/// Whether a text is the ARN of a role:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>.
pub fn is_role_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, region) = (next(), next(), next(), next());
    let (account, resource) = (next(), next());
    let is_partition = partition == "aws" || partition.starts_with("aws-");
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let role = resource.strip_prefix("role/").unwrap_or_default();
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&byte);
    let is_role = !role.is_empty() && role.len() <= 512 && role.bytes().all(inner);
    arn == "arn" && is_partition && service == "iam" && region.is_empty() && is_account && is_role
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_can_be_part_of_a_host_and_of_nothing_else() {
        for region in ["eu-central-1", "us-gov-west-1", "eusc-de-east-1"] {
            assert!(is_region(region), "{region}");
        }
        for text in [
            "",
            "a",
            "EU-CENTRAL-1",
            "eu.central",
            "-eu",
            "eu-",
            "eu/x",
            "eu@evil",
            &"a".repeat(33),
        ] {
            assert!(!is_region(text), "{text}");
        }
    }

    #[test]
    fn a_role_is_named_by_its_whole_arn() {
        for arn in [
            "arn:aws:iam::123456789012:role/ecr-reader",
            "arn:aws-cn:iam::123456789012:role/path/to/ecr.reader@x",
        ] {
            assert!(is_role_arn(arn), "{arn}");
        }
        for text in [
            "",
            "ecr-reader",
            "arn:aws:iam::123456789012:user/ecr-reader",
            "arn:aws:iam::12345:role/ecr-reader",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:sts::123456789012:role/a",
            "arn:gcp:iam::123456789012:role/a",
        ] {
            assert!(!is_role_arn(text), "{text}");
        }
    }
}
