//! Verdicts on texts by the rules of recipes.

use std::num::NonZero;

use filter::{About, RuleSettings};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use serde_json::Value;

use crate::error::{chain, of_value};
use crate::inputs;
use crate::parallel;

/// Rules in their order, with the files that they read.
#[pyclass(frozen, module = "webtext")]
pub(crate) struct Filter {
    filter: filter::Filter,
    /// `rule.measure` of each measure.
    measures: Vec<String>,
}

/// The verdict on a text.
#[pyclass(frozen, module = "webtext")]
pub(crate) struct Judgement {
    failure: Option<filter::Failure>,
    failures: Vec<Option<filter::Failure>>,
    measures: Vec<f64>,
    filter: Py<Filter>,
    text: Option<String>,
}

#[pymethods]
impl Filter {
    /// A filter with these rules.
    #[new]
    fn new(rules: &Bound<'_, PyAny>) -> PyResult<Filter> {
        if rules.is_instance_of::<PyString>() || rules.is_instance_of::<PyDict>() {
            return Err(PyTypeError::new_err("rules are a list, such as [\"gopher_quality\"]"));
        }
        let settings = rules.try_iter()?.map(|rule| settings(&rule?)).collect::<PyResult<Vec<RuleSettings>>>()?;
        let filter = filter::Filter::new(&settings).map_err(|error| of_value(chain(&error)))?;
        let measures = filter.measures().iter().map(filter::FilterMeasure::name).collect();
        Ok(Filter { filter, measures })
    }

    /// The names of all rules that there are.
    #[staticmethod]
    fn known_rules() -> Vec<&'static str> {
        RuleSettings::NAMES.to_vec()
    }

    /// The names of the rules, in order.
    #[getter]
    fn rules(&self) -> Vec<String> {
        self.filter.rule_names().collect()
    }

    /// The verdict on a text.
    #[pyo3(signature = (text, *, url="", title="", site="", generator=""))]
    fn judge(
        slf: &Bound<'_, Self>,
        text: &Bound<'_, PyString>,
        url: &str,
        title: &str,
        site: &str,
        generator: &str,
    ) -> PyResult<Judgement> {
        let text = inputs::readable(text)?;
        let bytes = text.to_str()?;
        let filter = &slf.get().filter;
        let judgement = slf.py().detach(|| {
            let domain = domain_of(url);
            owned(filter.judge(bytes, About { url, domain: &domain, title, site, generator }), bytes)
        });
        Ok(judgement.with(slf))
    }

    /// The verdict on each text.
    #[pyo3(signature = (texts, *, urls=None, threads=None))]
    fn judge_batch(
        slf: &Bound<'_, Self>,
        texts: &Bound<'_, PyAny>,
        urls: Option<Vec<Option<String>>>,
        threads: Option<NonZero<usize>>,
    ) -> PyResult<Vec<Judgement>> {
        let held = inputs::texts(texts)?;
        let texts = held.texts()?;
        let urls = urls.unwrap_or_else(|| vec![None; texts.len()]);
        if urls.len() != texts.len() {
            return Err(of_value(format!("urls has {} values for {} texts", urls.len(), texts.len())));
        }
        let items: Vec<(&str, &str)> =
            std::iter::zip(texts, &urls).map(|(t, u)| (t, u.as_deref().unwrap_or(""))).collect();
        let filter = &slf.get().filter;
        let judge = |&(text, url): &(&str, &str)| {
            let domain = domain_of(url);
            owned(filter.judge(text, About { url, domain: &domain, ..About::default() }), text)
        };
        let judgements = parallel::map(slf.py(), &items, parallel::threads(threads), judge)?;
        Ok(judgements.into_iter().map(|judgement| judgement.with(slf)).collect())
    }

    fn __repr__(&self) -> String {
        format!("<webtext.Filter of {}>", self.rules().join(", "))
    }
}

/// A judgement that borrows nothing; the text if a rule edited it.
struct Owned {
    failure: Option<filter::Failure>,
    failures: Vec<Option<filter::Failure>>,
    measures: Vec<f64>,
    text: Option<String>,
}

fn owned(judgement: filter::Judgement<'_>, text: &str) -> Owned {
    let filter::Judgement { failure, failures, measures, text: edited, .. } = judgement;
    Owned { failure, failures, measures, text: (edited != text).then(|| edited.into_owned()) }
}

impl Owned {
    fn with(self, filter: &Bound<'_, Filter>) -> Judgement {
        let Owned { failure, failures, measures, text } = self;
        Judgement { failure, failures, measures, text, filter: filter.clone().unbind() }
    }
}

#[pymethods]
impl Judgement {
    /// Whether the text is kept.
    #[getter]
    fn kept(&self) -> bool {
        self.failure.is_none()
    }

    /// The rule that drops the text.
    #[getter]
    fn rule(&self) -> Option<&'static str> {
        self.failure.as_ref().map(|failure| failure.rule)
    }

    /// The measure that is out of its limits.
    #[getter]
    fn measure(&self) -> Option<&'static str> {
        self.failure.as_ref().map(|failure| failure.measure)
    }

    /// The name of the fault, such as too_few_words.
    #[getter]
    fn reason(&self) -> Option<&'static str> {
        self.failure.as_ref().map(|failure| failure.fault)
    }

    /// The name of the fault in the code that the rule follows, if it has one.
    #[getter]
    fn upstream_reason(&self) -> Option<&'static str> {
        self.failure.as_ref().map(|failure| failure.upstream).filter(|name| !name.is_empty())
    }

    /// The value and the limit.
    #[getter]
    fn detail(&self) -> Option<&str> {
        self.failure.as_ref().map(|failure| failure.detail.as_str())
    }

    /// The reason of each rule that would drop the text if it were the only one.
    #[getter]
    fn failures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let failures = PyDict::new(py);
        let names = self.filter.get().filter.rule_names();
        for (rule, failure) in names.zip(&self.failures).filter_map(|(rule, failure)| Some((rule, failure.as_ref()?))) {
            failures.set_item(rule, failure.fault)?;
        }
        Ok(failures)
    }

    /// Every measure by `rule.measure`; nan where one is not defined for the text.
    #[getter]
    fn measures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let measures = PyDict::new(py);
        for (name, value) in self.filter.get().measures.iter().zip(&self.measures) {
            measures.set_item(name, value)?;
        }
        Ok(measures)
    }

    /// The text as the rules left it; None where no rule changed it.
    #[getter]
    fn edited_text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    fn __bool__(&self) -> bool {
        self.failure.is_none()
    }

    fn __repr__(&self) -> String {
        match &self.failure {
            None => "<webtext.Judgement: kept>".to_owned(),
            Some(failure) => format!("<webtext.Judgement: {}.{}, {}>", failure.rule, failure.fault, failure.detail),
        }
    }
}

/// A rule by its name, or a table of settings as a recipe has it.
fn settings(rule: &Bound<'_, PyAny>) -> PyResult<RuleSettings> {
    if let Ok(name) = rule.cast::<PyString>() {
        return RuleSettings::published(name.to_str()?).map_err(|error| of_value(error.to_string()));
    }
    if !rule.is_instance_of::<PyDict>() {
        return Err(PyTypeError::new_err(
            "a rule is its name, or a dict with its settings and its name under \"rule\"",
        ));
    }
    let json: String = PyModule::import(rule.py(), "json")?.call_method1("dumps", (rule,))?.extract()?;
    let fault = |error: String| PyValueError::new_err(format!("the rule {json}: {error}"));
    let table: Value = serde_json::from_str(&json).map_err(|error| fault(error.to_string()))?;
    let Some(name) = table.get("rule").and_then(Value::as_str) else {
        return Err(fault("it has no name under \"rule\"".to_owned()));
    };
    RuleSettings::check_name(name).map_err(|error| fault(error.to_string()))?;
    let settings: RuleSettings = serde_json::from_value(table).map_err(|error| fault(error.to_string()))?;
    settings.check().map_err(|error| fault(error.to_string()))?;
    Ok(settings)
}

/// The registrable domain of a URL; nothing where it has none.
fn domain_of(url: &str) -> String {
    links::Canonical::parse(url).map_or_else(|_| String::new(), |canonical| canonical.domain)
}
