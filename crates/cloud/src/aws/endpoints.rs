//! The endpoints of the AWS APIs: <https://docs.aws.amazon.com/general/latest/gr/ecr.html>,
//! <https://docs.aws.amazon.com/general/latest/gr/sts.html>, and
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html> for the variables.

use crate::environment::Environment;

/// The domain of a region's partition, and the one of its dual-stack endpoints.
fn domains(region: &str) -> (&'static str, &'static str) {
    match region {
        _ if region.starts_with("cn-") => ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        _ if region.starts_with("eusc-") => ("amazonaws.eu", "api.amazonwebservices.eu"),
        _ if region.starts_with("us-isob-") => ("sc2s.sgov.gov", "api.aws.scloud"),
        _ if region.starts_with("us-isof-") => ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
        _ if region.starts_with("us-iso-") => ("c2s.ic.gov", "api.aws.ic.gov"),
        _ if region.starts_with("eu-isoe-") => ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
        _ => ("amazonaws.com", "api.aws"),
    }
}

/// The variant of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variant {
    pub(super) fips: bool,
    pub(super) dual_stack: bool,
}

impl Variant {
    /// The variant that the environment selects.
    pub(super) fn of(environment: &Environment) -> Self {
        Self {
            fips: environment.is_true("AWS_USE_FIPS_ENDPOINT"),
            dual_stack: environment.is_true("AWS_USE_DUALSTACK_ENDPOINT"),
        }
    }

    /// Adds the variant of a host.
    pub(super) fn or(self, fips: bool, dual_stack: bool) -> Self {
        Self {
            fips: self.fips || fips,
            dual_stack: self.dual_stack || dual_stack,
        }
    }
}

/// The configured URL of a service, if its endpoint is overridden.
fn configured(environment: &Environment, variable: &str) -> Option<String> {
    if environment.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        return None;
    }
    let url = environment.get(variable);
    let url = url.or_else(|| environment.get("AWS_ENDPOINT_URL"))?;
    Some(format!("{}/", url.trim_end_matches('/')))
}

/// The URL of STS in a region.
pub(super) fn sts(environment: &Environment, region: &str) -> String {
    if let Some(url) = configured(environment, "AWS_ENDPOINT_URL_STS") {
        return url;
    }
    let (domain, dual_stack) = domains(region);
    let variant = Variant::of(environment);
    let service = if variant.fips { "sts-fips" } else { "sts" };
    let domain = if variant.dual_stack {
        dual_stack
    } else {
        domain
    };
    format!("https://{service}.{region}.{domain}/")
}

/// The URL of ECR's API in a region.
pub(super) fn ecr(environment: &Environment, region: &str, variant: Variant) -> String {
    if let Some(url) = configured(environment, "AWS_ENDPOINT_URL_ECR") {
        return url;
    }
    let (domain, dual_stack) = domains(region);
    let host = match (variant.fips, variant.dual_stack) {
        (false, false) => format!("api.ecr.{region}.{domain}"),
        (true, false) => format!("ecr-fips.{region}.{domain}"),
        (false, true) => format!("ecr.{region}.{dual_stack}"),
        (true, true) => format!("ecr-fips.{region}.{dual_stack}"),
    };
    format!("https://{host}/")
}

/// The URL of the public gallery's API, which has a single region.
pub(super) fn ecr_public(environment: &Environment) -> String {
    configured(environment, "AWS_ENDPOINT_URL_ECR_PUBLIC")
        .unwrap_or_else(|| format!("https://api.ecr-public.{PUBLIC_REGION}.amazonaws.com/"))
}

/// The region of the public gallery's API.
pub(super) const PUBLIC_REGION: &str = "us-east-1";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Environment::new(&variables.iter().map(owned).collect::<BTreeMap<_, _>>())
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn endpoints_are_those_of_the_partition_and_the_variant() {
        let none = environment(&[]);
        let plain = Variant::of(&none);
        let cases = [
            (
                "eu-central-1",
                plain,
                "https://api.ecr.eu-central-1.amazonaws.com/",
            ),
            (
                "cn-north-1",
                plain,
                "https://api.ecr.cn-north-1.amazonaws.com.cn/",
            ),
            (
                "eusc-de-east-1",
                plain,
                "https://api.ecr.eusc-de-east-1.amazonaws.eu/",
            ),
            (
                "us-iso-east-1",
                plain,
                "https://api.ecr.us-iso-east-1.c2s.ic.gov/",
            ),
            (
                "us-isob-east-1",
                plain,
                "https://api.ecr.us-isob-east-1.sc2s.sgov.gov/",
            ),
            (
                "us-isof-south-1",
                plain,
                "https://api.ecr.us-isof-south-1.csp.hci.ic.gov/",
            ),
            (
                "eu-isoe-west-1",
                plain,
                "https://api.ecr.eu-isoe-west-1.cloud.adc-e.uk/",
            ),
            (
                "us-gov-west-1",
                plain.or(true, false),
                "https://ecr-fips.us-gov-west-1.amazonaws.com/",
            ),
            (
                "eu-central-1",
                plain.or(false, true),
                "https://ecr.eu-central-1.api.aws/",
            ),
            (
                "us-east-1",
                plain.or(true, true),
                "https://ecr-fips.us-east-1.api.aws/",
            ),
            (
                "cn-north-1",
                plain.or(false, true),
                "https://ecr.cn-north-1.api.amazonwebservices.com.cn/",
            ),
        ];
        for (region, variant, url) in cases {
            assert_eq!(ecr(&none, region, variant), url);
        }
        assert_eq!(
            sts(&none, "eu-central-1"),
            "https://sts.eu-central-1.amazonaws.com/"
        );
        assert_eq!(
            sts(&none, "cn-north-1"),
            "https://sts.cn-north-1.amazonaws.com.cn/"
        );
        assert_eq!(
            ecr_public(&none),
            "https://api.ecr-public.us-east-1.amazonaws.com/"
        );
    }

    #[test]
    fn the_variables_of_the_sdks_count() {
        let flags = environment(&[
            ("AWS_USE_FIPS_ENDPOINT", "true"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "TRUE"),
        ]);
        assert_eq!(
            sts(&flags, "us-east-1"),
            "https://sts-fips.us-east-1.api.aws/"
        );
        let variant = Variant::of(&flags);
        assert_eq!((variant.fips, variant.dual_stack), (true, true));
        let one = environment(&[("AWS_ENDPOINT_URL", "http://localhost:4566")]);
        assert_eq!(sts(&one, "us-east-1"), "http://localhost:4566/");
        assert_eq!(
            ecr(&one, "us-east-1", Variant::of(&one)),
            "http://localhost:4566/"
        );
        let each = environment(&[
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_ENDPOINT_URL_STS", "http://sts/"),
            ("AWS_ENDPOINT_URL_ECR", "http://ecr/x"),
        ]);
        assert_eq!(sts(&each, "us-east-1"), "http://sts/");
        assert_eq!(ecr(&each, "us-east-1", Variant::of(&each)), "http://ecr/x/");
        assert_eq!(ecr_public(&each), "http://all/");
        let ignored = environment(&[
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
        ]);
        assert_eq!(
            sts(&ignored, "us-east-1"),
            "https://sts.us-east-1.amazonaws.com/"
        );
    }
}
