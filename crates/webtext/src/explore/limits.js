// The view of limits: a slider for each, a histogram of its measure, what would change, and the lines of the recipe.

const POSITIONS = 1000;
const SVG = "http://www.w3.org/2000/svg";

function showRules() {
  const rules = data.rules.map((rule, ruleIndex) => {
    const own = measures.filter(measure => measure.ruleIndex === ruleIndex && measure.histogram);
    const cards = own.map(measureCard);
    return element("div", { class: "rule" }, element("h2", {}, rule.name), element("p", { class: "soft" }, `dropped ${plural(rule.dropped, "document")}; alone it would drop ${grouped(rule.dropped_alone)}`),
      element("div", { class: "grid" }, ...cards));
  });
  $("rules").replaceChildren(
    data.rules.length === 0 ? element("p", {}, "The recipe of this run has no rules.") : element("p", { class: "legend soft" },
      element("span", {}, element("span", { class: "key all" }), "all documents"),
      element("span", {}, element("span", { class: "key others" }), "those that every other rule keeps"),
      element("span", {}, "dashed: the recipe's limit; solid: this page's")), ...rules);
}

function measureCard(measure) {
  const card = element("div", { class: "measure", "data-measure": `${measure.rule.name}.${measure.name}` },
    element("h3", {}, measure.name.replaceAll("_", " ")), element("div", { class: "soft" }, measure.doc),
    drawing(measure),
    element("div", { class: "axis", "aria-hidden": "true" }, element("span", {}, shownNumber(scale(measure).low)), element("span", {}, shownNumber(scale(measure).high))));
  for (const side of sides(measure)) {
    if (measure[side].is_adjustable) card.append(limitControl(measure, side));
  }
  card.append(element("p", { class: "soft effect" }));
  measure.card = card;
  showMeasure(measure);
  return card;
}

// Positions on the axis from 0 to 1. Counts and lengths grow by powers, so do their sliders.
function scale(measure) {
  const edges = measure.histogram.edges;
  const limits = sides(measure).map(side => measure[side].limit).filter(limit => limit !== null);
  // A limit that no value reaches can be loosened, too; shares only up to 1.
  const looser = limit => measure.unit === "fraction" ? Math.max(limit, Math.min(1, limit * 1.25)) : limit * 1.25;
  const all = [measure.unit === "log_probability" ? edges[0] : 0, edges[0], edges.at(-1), ...limits, ...limits.map(looser)];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  if (isGrowing(measure)) {
    const top = Math.log1p(high);
    return { low: 0, high, at: value => Math.log1p(Math.max(0, value)) / top, value: at => Math.expm1(at * top) };
  }
  return { low, high, at: value => (value - low) / (high - low), value: at => low + at * (high - low) };
}

// A slider gives numbers that people would write.
function roundedLimit(measure, value) {
  if (measure.unit === "count") return Number(value.toPrecision(3)) | 0;
  if (measure.unit === "chars") return Number(value.toPrecision(3));
  return Number(value.toFixed(3));
}

function limitControl(measure, side) {
  const { key } = measure[side];
  const { at, value } = scale(measure);
  const id = `limit-${limitId(measure, side)}`;
  const none = side === "min" ? 0 : POSITIONS;
  const slider = element("input", { type: "range", id, min: 0, max: POSITIONS, step: 1, "data-key": key });
  const number = element("input", { type: "number", step: "any", placeholder: "none", "aria-label": `${key} as a number; empty is no limit` });
  const show = source => {
    const limit = limitOf(measure, side);
    if (source !== slider) slider.value = limit === null ? none : Math.round(at(limit) * POSITIONS);
    if (source !== number) number.value = limit ?? "";
    slider.setAttribute("aria-valuetext", limit === null ? "no limit" : String(limit));
  };
  const set = (limit, source) => {
    setLimit(measure, side, limit);
    show(source);
    showMeasure(measure);
    showOutcome();
  };
  slider.addEventListener("input", () => set(roundedLimit(measure, value(slider.value / POSITIONS)), slider));
  number.addEventListener("input", () => {
    const limit = number.value === "" ? null : Number(number.value);
    if (limit === null || Number.isFinite(limit)) set(limit, number);
  });
  measure[side].show = show;
  show(null);
  return element("div", { class: "limit" }, element("label", { for: id }, element("code", {}, breakable(key))), number, slider);
}

function svgElement(name, attributes) {
  const made = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
}

// Bins side by side joined until each can be seen; they count more finely than they are drawn.
const MIN_BAR_WIDTH = 16;
function joinedBins({ edges, all, others }, at) {
  const joined = { edges: [edges[0]], all: [], others: [] };
  let [sum, sumOfOthers] = [0, 0];
  for (let i = 0; i < all.length; i++) {
    sum += all[i];
    sumOfOthers += others[i];
    if ((at(edges[i + 1]) - at(joined.edges.at(-1))) * 1000 >= MIN_BAR_WIDTH || i === all.length - 1) {
      joined.edges.push(edges[i + 1]);
      joined.all.push(sum);
      joined.others.push(sumOfOthers);
      [sum, sumOfOthers] = [0, 0];
    }
  }
  return joined;
}

function drawing(measure) {
  const { at } = scale(measure);
  const histogram = joinedBins(measure.histogram, at);
  const whole = histogram.all.reduce((a, b) => a + b, 0);
  const svg = svgElement("svg", { viewBox: "0 0 1000 90", preserveAspectRatio: "none", role: "img",
    "aria-label": `Histogram of ${measure.name.replaceAll("_", " ")} over ${plural(whole, "document")}` });
  // A square root keeps the small bins in sight beside the large.
  const top = Math.sqrt(histogram.all.reduce((a, b) => Math.max(a, b), 1));
  for (const counts of ["all", "others"]) {
    histogram[counts].forEach((count, i) => {
      if (count === 0) return;
      const [from, to] = [at(histogram.edges[i]) * 1000, at(histogram.edges[i + 1]) * 1000];
      const height = Math.max(1, 86 * Math.sqrt(count) / top);
      const bar = svgElement("rect", { class: counts, x: from, y: 90 - height, width: Math.max(1, to - from - 2), height });
      const label = svgElement("title", {});
      label.textContent = `${shownNumber(histogram.edges[i])} to ${shownNumber(histogram.edges[i + 1])}: ${plural(histogram.all[i], "document")}, ${grouped(histogram.others[i])} that every other rule keeps`;
      bar.append(label);
      svg.append(bar);
    });
  }
  return svg;
}

// The limits on the drawing, and what they change for the whole when nothing else changes.
function showMeasure(measure) {
  const { card } = measure;
  const svg = card.querySelector("svg");
  svg.querySelectorAll("line, .outside").forEach(old => old.remove());
  const { at } = scale(measure);
  const x = limit => Math.max(1, Math.min(999, at(limit) * 1000));
  let is_changed = false;
  for (const side of sides(measure)) {
    const [now, before] = [limitOf(measure, side), measure[side].limit];
    is_changed ||= now !== before;
    if (now !== null) {
      const [from, to] = side === "min" ? [0, x(now)] : [x(now), 1000];
      svg.append(svgElement("rect", { class: "outside", x: from, y: 0, width: to - from, height: 90 }));
    }
    const line = (limit, name) => svg.append(svgElement("line", { class: name, x1: x(limit), x2: x(limit), y1: 0, y2: 90, "vector-effect": "non-scaling-stroke" }));
    if (before !== null) line(before, "");
    if (now !== null && now !== before) line(now, "now");
  }
  card.classList.toggle("changed", is_changed);
  card.querySelector(".effect").textContent = is_changed ? effect(measure) : "";
}

function effect(measure) {
  const histogram = measure.histogram;
  const bounds = of => ["min", "max"].map(side => measure[side] ? of(measure, side) : null);
  const lost = of => outside(histogram, histogram.others, ...bounds(of));
  const more = lost(limitOf) - lost(recipeLimit);
  if (Math.abs(more) < 0.5) return "This limit alone changes nothing for the whole run.";
  return `This limit alone ${more > 0 ? "drops" : "keeps"} about ${grouped(Math.abs(more))} more in the whole run, of those that every other rule keeps.`;
}

// The sum of all changes, from the sample.
function showOutcome() {
  const changed = documents.map(doc => [doc, change(doc)]);
  const kept = changed.filter(([, to]) => to === "kept").map(([doc]) => doc);
  const dropped = changed.filter(([, to]) => to === "dropped").map(([doc]) => doc);
  const before = documents.filter(doc => doc.reason === null);
  const [b, k, d] = [before, kept, dropped].map(total);
  const show = (docs, value) => element("button", { type: "button", class: "link", disabled: docs.length === 0, onclick: () => {
    FACETS.forEach(facet => facet.chosen.clear());
    FACETS[0].chosen.add(value);
    location.hash = "documents";
  } }, `${grouped(docs.length)} on this page`);
  const lines = changedRecipe();
  const copy = element("button", { type: "button", class: "primary", id: "copy", disabled: lines === "", onclick: () => copyText(lines) }, "Copy the changed lines");
  const reset = element("button", { type: "button", id: "reset", disabled: lines === "", onclick: resetLimits }, "Back to the recipe's limits");
  $("outcome").replaceChildren(
    element("div", { role: "status", id: "effect" },
      element("p", { class: "big" }, `Kept: ${about(b.whole)}`, lines === "" ? " documents" : ` → ${grouped(b.whole + k.whole - d.whole)}`),
      ...(lines === "" ? [] : [
        element("p", {}, `Newly kept: ${about(k.whole)} (`, show(kept, "kept now"), ")"),
        element("p", {}, `Newly dropped: ${about(d.whole)} (`, show(dropped, "dropped now"), ")"),
      ]),
      element("p", { class: "soft note" }, `${IS_WHOLE ? "" : "Estimated from the documents on this page. "}Duplicates stay as the run found them.`)),
    element("div", {}, lines === "" ? element("p", { class: "soft" }, "Move a slider: the lines of the recipe that change stand here.") : element("pre", { id: "lines", tabindex: "0" }, lines),
      element("div", { class: "tools" }, copy, reset, element("span", { id: "copied", role: "status" }))));
  const count = document.querySelector("nav [data-view=limits]");
  count.replaceChildren("Limits", changedLimits.size > 0 ? element("span", { class: "count", "aria-label": `${changedLimits.size} changed` }, String(changedLimits.size)) : "");
}

// Pages from disk may not use the clipboard everywhere; then the lines are selected.
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    $("copied").textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren($("lines"));
    $("copied").textContent = "Selected: press Ctrl+C.";
  }
}

function resetLimits() {
  changedLimits.clear();
  for (const measure of measures) {
    sides(measure).forEach(side => measure[side].show?.(null));
    if (measure.card) showMeasure(measure);
  }
  FACETS[0].chosen.clear();
  showOutcome();
  $("copied").textContent = "These are the recipe's limits.";
}
