//! Filters of rows, from the query of a URL.

use std::borrow::Cow;

use kube_autorollout_core::state::State;

/// The longest name of a namespace (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>).
const MAX_NAME: usize = 63;

/// The requested rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only rows of this namespace.
    pub namespace: Option<Box<str>>,
    /// Only rows in this state.
    pub state: Option<State>,
    /// Only this page, starting at 1.
    pub page: Option<u32>,
}

/// An invalid query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// An unknown parameter.
    #[error("unknown parameter; allowed: namespace, state and page")]
    Parameter,
    /// A repeated parameter.
    #[error("{0} is set more than once")]
    Repeated(&'static str),
    /// An invalid name of a namespace.
    #[error("invalid namespace: it has up to 63 lower case letters, digits and hyphens")]
    Namespace,
    /// An unknown state.
    #[error("invalid state; allowed: {}", states())]
    State,
    /// An invalid page.
    #[error("invalid page: the first is 1")]
    Page,
}

fn states() -> String {
    let states: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
    states.join(", ")
}

impl Filter {
    /// Parses the query of a URL. Parameters without a value are ignored.
    ///
    /// # Errors
    ///
    /// [`InvalidFilter`], which repeats nothing of the query.
    pub fn parse(query: &str) -> Result<Self, InvalidFilter> {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let (name, is_repeated) = match &*name {
                "namespace" => ("namespace", set(&mut filter.namespace, &value, namespace)?),
                "state" => ("state", set(&mut filter.state, &value, state)?),
                "page" => ("page", set(&mut filter.page, &value, page)?),
                _ => return Err(InvalidFilter::Parameter),
            };
            if is_repeated {
                return Err(InvalidFilter::Repeated(name));
            }
        }
        Ok(filter)
    }

    /// The query for these rows, with a leading `?`, or an empty string.
    pub fn query(&self) -> String {
        let page = self.page.map(|page| page.to_string());
        let parameters = [
            ("namespace", self.namespace.as_deref().map(Cow::Borrowed)),
            ("state", self.state.map(|state| state.as_str().into())),
            ("page", page.map(Cow::Owned)),
        ];
        let mut query = String::new();
        for (name, value) in parameters {
            if let Some(value) = value {
                query.push(if query.is_empty() { '?' } else { '&' });
                query.push_str(name);
                query.push('=');
                query.extend(form_urlencoded::byte_serialize(value.as_bytes()));
            }
        }
        query
    }

    /// Whether a row matches, on any page.
    pub fn matches(&self, namespace: &str, state: State) -> bool {
        self.matches_namespace(namespace) && self.matches_state(state)
    }

    /// Whether the namespace matches.
    pub fn matches_namespace(&self, namespace: &str) -> bool {
        let wanted = self.namespace.as_deref();
        wanted.is_none_or(|wanted| wanted == namespace)
    }

    /// Whether the state matches.
    pub fn matches_state(&self, state: State) -> bool {
        self.state.is_none_or(|wanted| wanted == state)
    }
}

/// Sets a parameter; returns whether it was set already.
fn set<T>(
    parameter: &mut Option<T>,
    value: &str,
    parse: fn(&str) -> Result<T, InvalidFilter>,
) -> Result<bool, InvalidFilter> {
    if value.is_empty() {
        return Ok(false);
    }
    let before = parameter.replace(parse(value)?);
    Ok(before.is_some())
}

fn namespace(value: &str) -> Result<Box<str>, InvalidFilter> {
    let is_allowed =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let is_name = value.len() <= MAX_NAME && value.chars().all(is_allowed);
    is_name
        .then(|| value.into())
        .ok_or(InvalidFilter::Namespace)
}

fn state(value: &str) -> Result<State, InvalidFilter> {
    State::parse(value).ok_or(InvalidFilter::State)
}

fn page(value: &str) -> Result<u32, InvalidFilter> {
    let page = value.parse().ok().filter(|page| *page > 0);
    page.ok_or(InvalidFilter::Page)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_names_what_is_asked_for() {
        let filter = Filter::parse("namespace=shop&state=Held&page=2").expect("a filter");
        assert_eq!(filter.namespace.as_deref(), Some("shop"));
        assert_eq!((filter.state, filter.page), (Some(State::Held), Some(2)));
        assert!(filter.matches("shop", State::Held) && !filter.matches("shop", State::Paused));
        assert!(!filter.matches("web", State::Held));
        assert_eq!(Filter::parse("namespace=&state="), Ok(Filter::default()));
        assert_eq!(Filter::default().query(), "");
    }

    #[test]
    fn errors_name_the_allowed_values() {
        let cases = [
            (
                "colour=red",
                "unknown parameter; allowed: namespace, state and page",
            ),
            ("page=0", "invalid page: the first is 1"),
            ("page=-1", "invalid page: the first is 1"),
            ("page=99999999999", "invalid page: the first is 1"),
            ("page=1&page=2", "page is set more than once"),
            ("namespace=a&namespace=a", "namespace is set more than once"),
        ];
        for (query, expected) in cases {
            let error = Filter::parse(query).expect_err(query);
            assert_eq!(error.to_string(), expected, "{query}");
        }
        let error = Filter::parse("state=held").expect_err("another case");
        assert!(error.to_string().contains("Held, Paused"), "{error}");
        for namespace in ["A", "%3Cscript%3E", "a.b", &"a".repeat(64)] {
            let query = format!("namespace={namespace}");
            assert_eq!(Filter::parse(&query), Err(InvalidFilter::Namespace));
        }
    }

    proptest! {
        #[test]
        fn a_filter_is_read_back_from_its_query(
            namespace in proptest::option::of("[a-z0-9-]{1,63}"),
            state in proptest::option::of(proptest::sample::select(State::ALL)),
            page in proptest::option::of(1..u32::MAX),
        ) {
            let namespace = namespace.map(String::into_boxed_str);
            let filter = Filter { namespace, state, page };
            let query = filter.query();
            prop_assert_eq!(Filter::parse(query.trim_start_matches('?')), Ok(filter));
        }

        #[test]
        fn any_query_is_read_without_a_panic_and_never_repeated(query in ".*") {
            if let Err(error) = Filter::parse(&query) {
                prop_assert!(query.len() < 12 || !error.to_string().contains(&query));
            }
        }
    }
}
