"use strict";
// The run's data, the limits as they are set on this page, and the verdicts that follow from them.

const data = JSON.parse(document.getElementById("data").textContent);
const documents = data.documents;

// Every measure of every rule, in the order of a document's values.
const measures = data.rules.flatMap((rule, ruleIndex) => rule.measures.map(measure => ({ ...measure, rule, ruleIndex })));
measures.forEach((measure, index) => { measure.index = index; });

// A bound is one side of a measure that has a limit: {key, limit, is_adjustable}.
const sides = measure => ["min", "max"].filter(side => measure[side]);
const limitId = (measure, side) => `${measure.index}.${side}`;

// Limits that differ from the recipe's, by limitId; null is no limit.
const changedLimits = new Map();
const limitOf = (measure, side) => {
  const id = limitId(measure, side);
  return changedLimits.has(id) ? changedLimits.get(id) : measure[side].limit;
};
function setLimit(measure, side, limit) {
  if (limit === measure[side].limit) changedLimits.delete(limitId(measure, side));
  else changedLimits.set(limitId(measure, side), limit);
}

// The side of a measure that a value breaks, as the program decides it: a value that is not defined breaks none.
function brokenSide(measure, value, limitOfSide = limitOf) {
  if (value === null || value === undefined || (value === 0 && measure.zero_passes)) return null;
  for (const side of sides(measure)) {
    const limit = limitOfSide(measure, side);
    if (limit !== null && (side === "min" ? value < limit : value > limit)) return side;
  }
  return null;
}
const recipeLimit = (measure, side) => measure[side].limit;
const isJudged = doc => doc.measures.length > 0;

// The measures that are out of these limits, in order.
const failures = (doc, limitOfSide = limitOf) =>
  isJudged(doc) ? measures.filter(measure => brokenSide(measure, doc.measures[measure.index], limitOfSide)) : [];

// What becomes of a document with the limits of this page: a reason, or null for kept. What was dropped before the rules
// stays dropped; a document that was kept by the rules and is a duplicate stays one.
function reasonNow(doc) {
  const failure = failures(doc)[0];
  if (failure) return `${failure.rule.name}.${failure.name}`;
  return isJudged(doc) && doc.is_dropped_by_rule ? null : doc.reason;
}
// "kept" and "dropped" where the limits of this page change a document's verdict, null elsewhere.
function change(doc) {
  if (!isJudged(doc) || changedLimits.size === 0) return null;
  const now = reasonNow(doc);
  if ((now === null) === (doc.reason === null)) return null;
  return now === null ? "kept" : "dropped";
}

// Each document stands for so many of its reason.
const KEPT = "kept";
const reasonName = reason => reason ?? KEPT;
const weight = doc => {
  const stratum = data.strata[reasonName(doc.reason)];
  return stratum.documents / stratum.sampled;
};
function total(docs) {
  return { sample: docs.length, whole: docs.reduce((sum, doc) => sum + weight(doc), 0) };
}

// What a reason says of a document: what the measure is that a rule's reason names, or the reason's own explanation.
const measureOfReason = reason => measures.find(measure => `${measure.rule.name}.${measure.name}` === reason);
const meaning = reason => measureOfReason(reason)?.doc ?? data.reasons[reason] ?? null;

// A measure's histogram over the whole run has `edges`, one number more than `all` and `others`: the counts of all documents
// and of those that every other rule keeps. Counts and lengths grow by powers.
const isGrowing = measure => measure.unit === "count" || measure.unit === "chars";
// How many of a histogram's values lie outside of these limits; inside of a bin they are taken to lie evenly.
function outside(histogram, counts, min, max) {
  let sum = 0;
  counts.forEach((count, i) => {
    const [from, to] = [histogram.edges[i], histogram.edges[i + 1]];
    const part = limit => Math.max(0, Math.min(1, (limit - from) / (to - from)));
    sum += count * Math.min(1, (min === null ? 0 : part(min)) + (max === null ? 0 : 1 - part(max)));
  });
  return sum;
}

// The lines of the recipe that the changed limits make, with the entry that each belongs to.
function changedRecipe() {
  const seen = new Map();
  return data.rules.map(rule => {
    const repeat = (seen.get(rule.name) ?? 0) + 1;
    seen.set(rule.name, repeat);
    const lines = new Map();
    for (const measure of measures.filter(measure => measure.rule === rule)) {
      for (const side of sides(measure)) {
        if (changedLimits.has(limitId(measure, side))) {
          const [now, before] = [limitOf(measure, side), measure[side].limit].map(tomlLimit);
          lines.set(measure[side].key, `${measure[side].key} = ${now}  # was ${before}`);
        }
      }
    }
    if (lines.size === 0) return "";
    const which = repeat > 1 ? `  # number ${repeat} of this rule` : "";
    return `[[filter]]\nrule = "${rule.name}"${which}\n${[...lines.values()].join("\n")}\n`;
  }).filter(block => block).join("\n");
}
const tomlLimit = limit => limit === null ? '"none"' : String(limit);

// Whether the page has every document, so that it counts where it would estimate.
const IS_WHOLE = documents.length === data.documents_of_run;
const about = n => `${IS_WHOLE ? "" : "about "}${grouped(n)}`;
const grouped = n => Math.round(n).toLocaleString("en");
function shownNumber(value) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return value.toLocaleString("en", { maximumSignificantDigits: Math.abs(value) >= 100 ? 5 : 3 });
}
const plural = (n, one) => `${grouped(n)} ${one}${Math.round(n) === 1 ? "" : "s"}`;

// A name that may be broken behind its full stops and underscores.
const breakable = name => name.split(/(?<=[._])/).flatMap((part, i) => i === 0 ? part : [element("wbr"), part]);

// An element with attributes and children; text stays text.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter(child => child !== null && child !== undefined));
  return made;
}
