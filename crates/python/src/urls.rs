//! The canonical form of URLs.

use links::{Canonical, CanonicalRules, Wrapper};
use pyo3::prelude::*;

use crate::error::of_value;
use crate::pickle::{Reduced, reduced};

/// A URL in its two forms: the one that is fetched, and the key by which duplicates are found.
#[pyclass(frozen, module = "webtext", eq, hash, get_all)]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct CanonicalUrl {
    /// The URL to fetch.
    url: String,
    /// Equal for URLs of one page.
    key: String,
    /// Registrable domain by the public-suffix list.
    domain: String,
    /// Host in lower case.
    host: String,
    /// What follows the last dot of the path, in lower case; None without one.
    extension: Option<String>,
}

#[pymethods]
impl CanonicalUrl {
    /// A URL of these fields.
    #[staticmethod]
    fn _of(url: String, key: String, domain: String, host: String, extension: Option<String>) -> CanonicalUrl {
        CanonicalUrl { url, key, domain, host, extension }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let CanonicalUrl { url, key, domain, host, extension } = self;
        reduced(py, "canonical_url", (url, key, domain, host, extension))
    }

    fn __str__(&self) -> &str {
        &self.url
    }

    fn __repr__(&self) -> String {
        format!("CanonicalUrl(url={:?}, key={:?}, domain={:?})", self.url, self.key, self.domain)
    }
}

/// The canonical form of a URL.
#[pyfunction]
#[pyo3(signature = (url, *, unwrap=Vec::new()), text_signature = "(url, *, unwrap=())")]
pub(crate) fn canonical_url(url: &str, unwrap: Vec<String>) -> PyResult<CanonicalUrl> {
    let wrapper = |name: String| {
        let fault = || format!("unwrap has {name:?}; it takes search, redirect, archive, amp and mobile");
        serde_json::from_value::<Wrapper>(name.clone().into()).map_err(|_| of_value(fault()))
    };
    let wrappers = unwrap.into_iter().map(wrapper).collect::<PyResult<Vec<Wrapper>>>()?;
    let canonical = Canonical::parse_with(url, &CanonicalRules::unwrapping(wrappers));
    let Canonical { url, key, domain, host, extension } =
        canonical.map_err(|error| of_value(format!("{url:?}: {error}")))?;
    Ok(CanonicalUrl { url, key, domain, host, extension })
}
