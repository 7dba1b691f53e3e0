//! The hosts of ECR.

/// A host of ECR. The pattern is that of the credential provider of AWS:
/// <https://github.com/kubernetes/cloud-provider-aws/blob/master/cmd/ecr-credential-provider/main.go>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum EcrHost {
    /// A registry of an account.
    Private {
        region: String,
        fips: bool,
        dual_stack: bool,
    },
    /// The public gallery.
    Public,
}

/// The domains of hosts, and whether they are dual-stack.
const SUFFIXES: [(&str, bool); 9] = [
    ("amazonaws.com", false),
    ("amazonaws.com.cn", false),
    ("amazonaws.eu", false),
    ("on.aws", true),
    ("on.amazonwebservices.com.cn", true),
    ("sc2s.sgov.gov", false),
    ("c2s.ic.gov", false),
    ("cloud.adc-e.uk", false),
    ("csp.hci.ic.gov", false),
];

impl EcrHost {
    /// Parses a host without a port.
    pub(crate) fn parse(host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        if matches!(&*host, "public.ecr.aws" | "ecr-public.aws.com") {
            return Some(Self::Public);
        }
        let (account, rest) = host.split_at_checked(12)?;
        if !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let rest = rest
            .strip_prefix(".dkr.ecr")
            .or_else(|| rest.strip_prefix(".dkr-ecr"))?;
        let (fips, rest) = match rest.strip_prefix("-fips") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let (region, suffix) = rest.strip_prefix('.')?.split_once('.')?;
        let (_, dual_stack) = SUFFIXES.iter().find(|(known, _)| *known == suffix)?;
        super::is_region(region).then(|| Self::Private {
            region: region.to_owned(),
            fips,
            dual_stack: *dual_stack,
        })
    }
}
