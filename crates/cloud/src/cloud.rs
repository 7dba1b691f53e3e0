//! The clouds and the hosts of their registries.

use std::{fmt, str::FromStr};

use crate::{aws::EcrHost, azure, gcp};

/// A cloud that issues credentials for its registries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cloud {
    /// Amazon Web Services: ECR.
    Aws,
    /// Google Cloud: Artifact Registry and its `gcr.io` hosts.
    Gcp,
    /// Microsoft Azure: ACR.
    Azure,
}

impl Cloud {
    /// All clouds.
    pub const ALL: [Self; 3] = [Self::Aws, Self::Gcp, Self::Azure];

    /// The name in the configuration and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
        }
    }

    /// The cloud whose registry `host` (without a port) is. The whole name must match:
    /// `123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example` belongs to no cloud.
    pub fn of_host(host: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cloud| cloud.has_host(host))
    }

    /// Whether `host` is a registry of this cloud.
    pub fn has_host(self, host: &str) -> bool {
        match self {
            Self::Aws => EcrHost::parse(host).is_some(),
            Self::Gcp => gcp::is_host(host),
            Self::Azure => azure::is_host(host),
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Cloud {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|cloud| cloud.as_str() == text)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_is_a_clouds_by_its_whole_name() {
        let aws = [
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
            "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
            "123456789012.dkr-ecr.eu-central-1.on.aws",
            "123456789012.dkr-ecr-fips.us-east-1.on.aws",
            "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
            "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov",
            "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
            "123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk",
            "123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov",
            "123456789012.DKR.ECR.eu-central-1.amazonaws.com",
            "public.ecr.aws",
            "ecr-public.aws.com",
        ];
        let gcp = [
            "gcr.io",
            "eu.gcr.io",
            "europe-west3-docker.pkg.dev",
            "docker.s3nsregistry.fr",
        ];
        let azure = [
            "acme.azurecr.io",
            "acme-d4f2.azurecr.io",
            "acme.azurecr.cn",
            "acme.azurecr.us",
            "acme.azurecr.de",
        ];
        for (cloud, hosts) in [
            (Cloud::Aws, &aws[..]),
            (Cloud::Gcp, &gcp),
            (Cloud::Azure, &azure),
        ] {
            for host in hosts {
                assert_eq!(Cloud::of_host(host), Some(cloud), "{host}");
                for other in [
                    format!("{host}.evil.example"),
                    format!("evil-{host}.example"),
                    format!("evil.example/{host}"),
                    format!("{host}@evil.example"),
                    format!("{host}:443"),
                    format!("{host}:5000"),
                    format!("{host}."),
                    format!(" {host}"),
                    format!("{host}\n"),
                ] {
                    assert_eq!(Cloud::of_host(&other), None, "{other:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_a_pattern_takes_ends_in_the_domain_of_its_cloud(host in "[a-z0-9.@/:é-]{0,40}(\\.dkr\\.ecr\\.eu-central-1\\.amazonaws\\.com|\\.azurecr\\.io|-docker\\.pkg\\.dev|\\.gcr\\.io)?[a-z.]{0,3}") {
            let end = match Cloud::of_host(&host) {
                None => return Ok(()),
                Some(Cloud::Aws) => ".dkr.ecr.eu-central-1.amazonaws.com",
                Some(Cloud::Azure) => ".azurecr.io",
                Some(Cloud::Gcp) if host == "gcr.io" => "gcr.io",
                Some(Cloud::Gcp) if host.ends_with(".gcr.io") => ".gcr.io",
                Some(Cloud::Gcp) => "-docker.pkg.dev",
            };
            let name = host.strip_suffix(end);
            let name = name.ok_or_else(|| TestCaseError::fail(host.clone()))?;
            prop_assert!(!name.contains(['.', '@', '/', ':']), "{}", host);
        }
    }

    #[test]
    fn similar_hosts_belong_to_no_cloud() {
        for host in [
            "",
            "evil.example",
            "23456789012.dkr.ecr.eu-central-1.amazonaws.com",
            "evil.123456789012.dkr.ecr.eu-central-1.amazonaws.com",
            "123456789012.dkr.ecr.eu.central-1.amazonaws.com",
            "123456789012.dkr.ecr..amazonaws.com",
            "123456789012.dkr.ecr.-eu.amazonaws.com",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.org",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil",
            "123456789012xdkr.ecr.eu-central-1.amazonaws.com",
            "evil.public.ecr.aws",
            "azurecr.io",
            ".azurecr.io",
            "a.b.azurecr.io",
            "acme.azurecr.com",
            "evilazurecr.io",
            "acme.data.azurecr.io",
            "evilgcr.io",
            "a.b.gcr.io",
            "docker.pkg.dev.evil",
            "evil.pkg.dev",
            "a.europe-docker.pkg.dev",
            "-docker.pkg.dev",
        ] {
            assert_eq!(Cloud::of_host(host), None, "{host}");
        }
    }

    #[test]
    fn the_names_are_those_of_configurations() {
        for cloud in Cloud::ALL {
            assert_eq!(cloud.as_str().parse(), Ok(cloud));
        }
        assert_eq!("AWS".parse::<Cloud>(), Err(()));
    }
}
