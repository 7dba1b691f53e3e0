//! Which rows are asked for, by the query of a URL.

use std::{borrow::Cow, fmt};

use kube_autorollout_core::state::State;

/// The longest name of a namespace (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>).
const LONGEST: usize = 63;

/// Which rows are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of a namespace.
    pub namespace: Option<Box<str>>,
    /// Only those in a state.
    pub state: Option<State>,
    /// Only one page, from 1 on.
    pub page: Option<u32>,
}

/// A query that asks for nothing that there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// No parameter of this name.
    #[error("unknown parameter; allowed: namespace, state and page")]
    Parameter,
    /// A parameter more than once.
    #[error("{0} is set more than once")]
    Twice(&'static str),
    /// Not the name of a namespace.
    #[error("invalid namespace: it has up to 63 lower case letters, digits and hyphens")]
    Namespace,
    /// Not a state.
    #[error("invalid state; allowed: {}", Words)]
    State,
    /// Not a page.
    #[error("invalid page: the first is 1")]
    Page,
}

/// All states, for people.
struct Words;

impl fmt::Display for Words {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
        formatter.write_str(&words.join(", "))
    }
}

impl Filter {
    /// Reads the query of a URL. Parameters without a value count as left out.
    ///
    /// # Errors
    ///
    /// [`InvalidFilter`], which repeats nothing of the query.
    pub fn parse(query: &str) -> Result<Self, InvalidFilter> {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let is_twice = match &*name {
                "namespace" => set(&mut filter.namespace, &value, namespace)?,
                "state" => set(&mut filter.state, &value, state)?,
                "page" => set(&mut filter.page, &value, page)?,
                _ => return Err(InvalidFilter::Parameter),
            };
            if let Some(name) = is_twice.then_some(&*name) {
                let known = ["namespace", "state", "page"];
                let known = known.into_iter().find(|known| *known == name);
                return Err(InvalidFilter::Twice(known.unwrap_or_default()));
            }
        }
        Ok(filter)
    }

    /// The query that asks for these rows, with the `?` before it; nothing where it is empty.
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

    /// Whether a row is asked for, whatever its page.
    pub fn admits(&self, namespace: &str, state: State) -> bool {
        self.admits_namespace(namespace) && self.admits_state(state)
    }

    /// Whether rows of this namespace are asked for.
    pub fn admits_namespace(&self, namespace: &str) -> bool {
        self.namespace
            .as_deref()
            .is_none_or(|wanted| wanted == namespace)
    }

    /// Whether rows in this state are asked for.
    pub fn admits_state(&self, state: State) -> bool {
        self.state.is_none_or(|wanted| wanted == state)
    }
}

/// Sets a parameter; returns whether it was set before.
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
    let is_name = value.len() <= LONGEST && value.chars().all(is_allowed);
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
        assert!(filter.admits("shop", State::Held) && !filter.admits("shop", State::Paused));
        assert!(!filter.admits("web", State::Held));
        assert_eq!(Filter::parse("namespace=&state="), Ok(Filter::default()));
        assert_eq!(Filter::default().query(), "");
    }

    #[test]
    fn what_is_not_known_is_an_error_that_says_what_is() {
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
