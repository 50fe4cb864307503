//! Verdicts on texts by the rules of recipes.

use std::borrow::Cow;
use std::num::NonZero;
use std::sync::Arc;

use filter::{About, RuleSettings};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use serde_json::Value;

use crate::error::{chain, of_value};
use crate::inputs;
use crate::numbers;
use crate::parallel;
use crate::pickle::{Reduced, reduced};

/// Rules in their order, with the files that they read.
#[pyclass(frozen, module = "webtext")]
pub(crate) struct Filter {
    filter: filter::Filter,
    names: Arc<Names>,
}

/// What all judgements of a filter have in common.
struct Names {
    rules: Vec<String>,
    /// `rule.measure` of each measure.
    measures: Vec<String>,
}

/// The verdict on a text.
#[pyclass(frozen, module = "webtext")]
pub(crate) struct Judgement {
    failure: Option<Failure>,
    /// The fault by each rule.
    faults: Vec<Option<Name>>,
    measures: Vec<f64>,
    names: Arc<Names>,
    text: Option<String>,
}

/// A name out of the rules' own code, or out of a pickled judgement.
type Name = Cow<'static, str>;

/// Why a text is dropped: rule, measure, fault, upstream's name and detail of a [`filter::Failure`], whose names a pickled
/// one cannot borrow.
struct Failure(Name, Name, Name, Name, String);

impl From<filter::Failure> for Failure {
    fn from(failure: filter::Failure) -> Failure {
        let filter::Failure { rule, measure, fault, upstream, detail } = failure;
        Failure(rule.into(), measure.into(), fault.into(), upstream.into(), detail)
    }
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
        let names = Arc::new(Names { rules: filter.rule_names().collect(), measures });
        Ok(Filter { filter, names })
    }

    /// The names of all rules that there are.
    #[staticmethod]
    fn known_rules() -> Vec<&'static str> {
        RuleSettings::NAMES.to_vec()
    }

    /// The names of the rules, in order.
    #[getter]
    fn rules(&self) -> Vec<String> {
        self.names.rules.clone()
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
        let Filter { filter, names } = slf.get();
        Ok(slf.py().detach(|| {
            let domain = domain_of(url);
            owned(filter.judge(bytes, About { url, domain: &domain, title, site, generator }), bytes, names)
        }))
    }

    /// The verdict on each text.
    #[pyo3(signature = (texts, *, urls=None, threads=None))]
    fn judge_batch(
        slf: &Bound<'_, Self>,
        texts: &Bound<'_, PyAny>,
        urls: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = numbers::threads)] threads: Option<NonZero<usize>>,
    ) -> PyResult<Vec<Judgement>> {
        let held = inputs::texts(texts)?;
        let texts = held.texts()?;
        let urls = inputs::of_each(urls, texts.len(), "text", "urls")?;
        let items: Vec<(&str, &str)> =
            std::iter::zip(texts, &urls).map(|(t, u)| (t, u.as_deref().unwrap_or(""))).collect();
        let Filter { filter, names } = slf.get();
        let judge = |&(text, url): &(&str, &str)| {
            let domain = domain_of(url);
            owned(filter.judge(text, About { url, domain: &domain, ..About::default() }), text, names)
        };
        parallel::map(slf.py(), &items, parallel::threads(threads), judge)
    }

    fn __repr__(&self) -> String {
        format!("<webtext.Filter of {}>", self.rules().join(", "))
    }
}

/// A judgement that borrows nothing; the text if a rule edited it.
fn owned(judgement: filter::Judgement<'_>, text: &str, names: &Arc<Names>) -> Judgement {
    let filter::Judgement { failure, failures, measures, text: edited, .. } = judgement;
    Judgement {
        failure: failure.map(Failure::from),
        faults: failures.into_iter().map(|failure| Some(failure?.fault.into())).collect(),
        measures,
        names: names.clone(),
        text: (edited != text).then(|| edited.into_owned()),
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
    fn rule(&self) -> Option<&str> {
        self.failure.as_ref().map(|Failure(rule, ..)| &**rule)
    }

    /// The measure that is out of its limits.
    #[getter]
    fn measure(&self) -> Option<&str> {
        self.failure.as_ref().map(|Failure(_, measure, ..)| &**measure)
    }

    /// The name of the fault, such as too_few_words.
    #[getter]
    fn reason(&self) -> Option<&str> {
        self.failure.as_ref().map(|Failure(_, _, fault, ..)| &**fault)
    }

    /// The name of the fault in the code that the rule follows, if it has one.
    #[getter]
    fn upstream_reason(&self) -> Option<&str> {
        self.failure.as_ref().map(|Failure(_, _, _, upstream, _)| &**upstream).filter(|name| !name.is_empty())
    }

    /// The value and the limit.
    #[getter]
    fn detail(&self) -> Option<&str> {
        self.failure.as_ref().map(|Failure(.., detail)| detail.as_str())
    }

    /// The reason of each rule that would drop the text if it were the only one.
    #[getter]
    fn failures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let failures = PyDict::new(py);
        for (rule, fault) in self.names.rules.iter().zip(&self.faults) {
            if let Some(fault) = fault {
                failures.set_item(rule, fault)?;
            }
        }
        Ok(failures)
    }

    /// Every measure by `rule.measure`; nan where one is not defined for the text.
    #[getter]
    fn measures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let measures = PyDict::new(py);
        for (name, value) in self.names.measures.iter().zip(&self.measures) {
            measures.set_item(name, value)?;
        }
        Ok(measures)
    }

    /// The text as the rules left it; None where no rule changed it.
    #[getter]
    fn edited_text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// A judgement of these fields: the failure, the fault by each rule, the measures, and the edited text.
    #[staticmethod]
    fn _of(
        failure: Option<(String, String, String, String, String)>,
        faults: Vec<(String, Option<String>)>,
        measures: Vec<(String, f64)>,
        text: Option<String>,
    ) -> Judgement {
        let (rules, faults): (Vec<String>, Vec<Option<String>>) = faults.into_iter().unzip();
        let (names, measures) = measures.into_iter().unzip();
        let faults = faults.into_iter().map(|fault| fault.map(Name::from)).collect();
        let failure = failure.map(|(a, b, c, d, detail)| Failure(a.into(), b.into(), c.into(), d.into(), detail));
        Judgement { failure, faults, measures, names: Arc::new(Names { rules, measures: names }), text }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let faults: Vec<(&String, &Option<Name>)> = self.names.rules.iter().zip(&self.faults).collect();
        let measures: Vec<(&String, f64)> = self.names.measures.iter().zip(self.measures.iter().copied()).collect();
        let failure = self.failure.as_ref().map(|Failure(a, b, c, d, e)| (&**a, &**b, &**c, &**d, e.as_str()));
        reduced(py, "judgement", (failure, faults, measures, &self.text))
    }

    fn __bool__(&self) -> bool {
        self.failure.is_none()
    }

    fn __repr__(&self) -> String {
        match &self.failure {
            None => "<webtext.Judgement: kept>".to_owned(),
            Some(Failure(rule, _, fault, _, detail)) => format!("<webtext.Judgement: {rule}.{fault}, {detail}>"),
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
