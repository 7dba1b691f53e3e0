//! The query of a token request.

#[derive(Default)]
pub(super) struct Parameters {
    pub(super) service: String,
    pub(super) scopes: Vec<String>,
}

impl Parameters {
    pub(super) fn read(query: &str) -> Self {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "service" => parameters.service = value.into_owned(),
                "scope" => {
                    let scopes = value.split_whitespace().map(str::to_owned);
                    parameters.scopes.extend(scopes);
                }
                _ => {}
            }
        }
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_with_several_scopes_in_one_or_more_parameters() {
        let query = "service=testbed-registry&scope=repository%3Aa%2Fb%3Apull+repository:c:pull%2Cpush&scope=x:y:z";
        let parameters = Parameters::read(query);
        assert_eq!(parameters.service, "testbed-registry");
        let expected = ["repository:a/b:pull", "repository:c:pull,push", "x:y:z"];
        assert_eq!(parameters.scopes, expected);
    }
}
