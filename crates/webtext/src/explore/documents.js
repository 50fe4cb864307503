// The view of documents: facets, search, list, reader.

const PAGE_DOCUMENTS = 50;
const FACET_VALUES = 8;

const FACETS = [
  { name: "With the changed limits", values: doc => [{ kept: "kept now", dropped: "dropped now" }[change(doc)]].filter(Boolean) },
  { name: "Reason", values: doc => [reasonName(doc.reason)] },
  { name: "Out of limits of", values: doc => [...new Set(failures(doc).map(measure => measure.rule.name))] },
  { name: "Language", values: doc => [doc.language ?? "none"] },
  { name: "Kind", values: doc => [doc.kind || "none"] },
  { name: "Domain", values: doc => [doc.domain || "none"] },
  { name: "Source", values: doc => [doc.file ?? doc.warc.split("/").at(-1)] },
];
FACETS.forEach(facet => { facet.chosen = new Set(); facet.shows_all = false; });

const filters = { terms: [], chosen: null, shown: PAGE_DOCUMENTS, mark: "auto" };
const byId = new Map(documents.map(doc => [doc.id, doc]));
const $ = id => document.getElementById(id);

// The words of a query, all of which must stand in a text; what stands in quotes is one.
const termsOf = query => [...query.toLowerCase().matchAll(/"([^"]+)"?|[^\s"]+/g)].map(found => found[1] ?? found[0]);
function searched(doc) {
  doc.searched ??= [doc.title ?? "", doc.url, doc.text].join("\n").toLowerCase();
  return doc.searched;
}
const hasTerms = doc => filters.terms.every(term => searched(doc).includes(term));
const hasFacet = (facet, doc) => facet.chosen.size === 0 || facet.values(doc).some(value => facet.chosen.has(value));
const foundDocuments = () => documents.filter(doc => hasTerms(doc) && FACETS.every(facet => hasFacet(facet, doc)));

function showDocuments() {
  showFacets();
  showList();
  showReader();
}

// Each facet counts what the other facets and the search leave.
function showFacets() {
  const focused = document.activeElement?.id;
  const groups = FACETS.map((facet, number) => {
    const counts = new Map([...facet.chosen].map(value => [value, 0]));
    for (const doc of documents) {
      if (hasTerms(doc) && FACETS.every(other => other === facet || hasFacet(other, doc))) {
        facet.values(doc).forEach(value => counts.set(value, (counts.get(value) ?? 0) + 1));
      }
    }
    if (counts.size === 0) return null;
    const values = [...counts].sort(([a, n], [b, m]) => facet.chosen.has(b) - facet.chosen.has(a) || m - n || (a < b ? -1 : 1));
    const shown = facet.shows_all ? values : values.slice(0, FACET_VALUES);
    const rows = shown.map(([value, count]) => element("label", { class: "facet" },
      element("input", { type: "checkbox", id: `facet-${number}-${value}`, checked: facet.chosen.has(value), onchange: event => {
        if (event.target.checked) facet.chosen.add(value); else facet.chosen.delete(value);
        filters.shown = PAGE_DOCUMENTS;
        showFacets();
        showList();
      } }),
      element("span", { title: meaning(value) }, breakable(value)), element("span", { class: "n" }, grouped(count))));
    const rest = values.length - FACET_VALUES;
    const more = rest > 0 ? element("button", { type: "button", class: "link soft", id: `facet-${number}-more`, onclick: () => {
      facet.shows_all = !facet.shows_all;
      showFacets();
    } }, facet.shows_all ? "show fewer" : `show ${grouped(rest)} more`) : null;
    return element("fieldset", {}, element("legend", {}, facet.name), rows, more);
  });
  $("facet-groups").replaceChildren(...groups.filter(Boolean));
  $("clear").hidden = filters.terms.length === 0 && FACETS.every(facet => facet.chosen.size === 0);
  if (focused?.startsWith("facet-")) $(focused)?.focus();
}

function showList() {
  const found = foundDocuments();
  const { whole } = total(found);
  $("found").textContent = found.length === 0 ? "No document is like that."
    : IS_WHOLE ? plural(found.length, "document") : `${plural(found.length, "document")}, standing for about ${grouped(whole)} of the run`;
  $("list").replaceChildren(...found.slice(0, filters.shown).map(doc => element("li", {}, listEntry(doc))));
  $("more").hidden = found.length <= filters.shown;
}

function verdictOf(doc) {
  const changed = change(doc);
  return changed ? `${reasonName(doc.reason)} → ${reasonName(reasonNow(doc))}` : reasonName(doc.reason);
}

function listEntry(doc) {
  return element("button", { type: "button", "data-id": doc.id, "aria-current": doc === filters.chosen ? "true" : null,
    onclick: () => { location.hash = doc.id; } },
  element("span", { class: "title" }, doc.title || doc.url),
  element("span", { class: "line" }, element("span", {}, doc.domain),
    element("span", { class: `verdict ${doc.reason === null ? "kept" : ""}` }, verdictOf(doc))),
  element("span", { class: "snippet" }, ...markedText(...snippet(doc))));
}

// The text around the first term of the search, or its beginning.
function snippet(doc) {
  const term = filters.terms.find(term => doc.text.toLowerCase().includes(term));
  const at = term ? doc.text.toLowerCase().indexOf(term) : 0;
  const from = Math.max(0, at - 40);
  const part = (from > 0 ? "…" : "") + doc.text.slice(from, from + 200).replace(/\s+/g, " ");
  return [part, [["search", "found", searchRanges(part)]]];
}
function searchRanges(text) {
  const lower = text.toLowerCase();
  const ranges = [];
  // Lower case may have another length in a few scripts; there nothing is marked.
  for (const term of lower.length === text.length ? filters.terms : []) {
    for (let at = lower.indexOf(term); at >= 0; at = lower.indexOf(term, at + term.length)) ranges.push([at, at + term.length]);
  }
  return ranges;
}

function showReader() {
  const doc = filters.chosen;
  if (!doc) {
    $("reader").replaceChildren(element("p", { class: "soft" }, documents.length ? "Choose a document to read it. " : "",
      element("kbd", {}, "j"), " and ", element("kbd", {}, "k"), " go to the next and the one before, ", element("kbd", {}, "/"), " to the search."));
    return;
  }
  const found = marks.map(mark => ({ ...mark, ranges: mark.find(doc.text) }));
  const shown = filters.mark === "auto" ? autoMark(doc, found) : filters.mark;
  const layers = found.filter((_, i) => shown === "all" || String(i) === shown).map(mark => ["rule", `${mark.rule.name}: ${mark.label}`, mark.ranges]);
  layers.push(["search", "found", searchRanges(doc.text)]);
  $("reader").replaceChildren(
    element("button", { type: "button", id: "back", onclick: () => { location.hash = "documents"; } }, "← All documents"),
    element("h2", {}, doc.title || doc.url),
    facts(doc),
    found.length === 0 ? "" : element("div", { class: "tools" }, markChoice(found, shown),
      element("button", { type: "button", onclick: nextMark }, "Next mark ", element("kbd", {}, "n"))),
    element("div", { class: "text", id: "text", tabindex: "0", role: "region", "aria-label": "Text" }, doc.text ? markedText(doc.text, layers) : "There is no text."),
    doc.text_chars > [...doc.text].length
      ? element("p", { class: "soft", id: "cut" }, `Cut here: ${grouped([...doc.text].length)} of ${grouped(doc.text_chars)} characters are on this page. Measures are of the whole text.`) : "",
    measureTables(doc));
}

// What led to the verdict is marked without being asked for.
function autoMark(doc, found) {
  const failed = failures(doc).map(measure => measure.index);
  const at = found.findIndex(mark => mark.ranges.length > 0 && mark.measures.some(index => failed.includes(index)));
  return at < 0 ? "none" : String(at);
}

function markChoice(found, shown) {
  const option = (value, label, disabled) => element("option", { value, selected: value === shown, disabled }, label);
  const groups = data.rules.map(rule => {
    const options = found.map((mark, i) => mark.rule === rule ? option(String(i), `${mark.label} (${mark.ranges.length})`, mark.ranges.length === 0) : null);
    return options.some(Boolean) ? element("optgroup", { label: rule.name }, ...options) : null;
  });
  const choose = event => { filters.mark = event.target.value; showReader(); $("mark").focus(); };
  return element("label", {}, "Mark ", element("select", { id: "mark", onchange: choose }, option("none", "nothing"), option("all", "everything"), ...groups.filter(Boolean)));
}

function facts(doc) {
  const row = (name, ...value) => value.every(part => part === null || part === "") ? [] : [element("dt", {}, name), element("dd", {}, ...value)];
  const why = meaning(doc.reason);
  const now = change(doc);
  return element("dl", { class: "facts" },
    row("Verdict", element("span", { class: `verdict ${doc.reason === null ? "kept" : ""}` }, doc.reason === null ? "kept" : `dropped: ${doc.reason}`), why ? ` – ${why}` : ""),
    row("Detail", doc.detail),
    row("With the changed limits", now ? (now === "kept" ? "kept" : `dropped: ${reasonNow(doc)}`) : ""),
    row("Edited", doc.edited_text_chars === null ? "" : `the rules left ${grouped(doc.edited_text_chars)} of ${grouped(doc.text_chars)} characters`),
    // A link somewhere else is followed only when it is asked for.
    row("URL", /^https?:/.test(doc.url) ? element("a", { href: doc.url, rel: "noreferrer noopener", target: "_blank" }, doc.url) : doc.url),
    row("Place", doc.file ?? `${doc.warc} at byte ${grouped(doc.offset)}`),
    row("Text", `${plural(doc.words, "word")}, ${plural(doc.text_bytes, "byte")}, ${doc.language ?? "no language"}, ${doc.kind || "no kind"}`),
    row("Id", element("code", {}, doc.id)));
}

function measureTables(doc) {
  if (!isJudged(doc)) return data.rules.length ? element("p", { class: "soft" }, "Dropped before the rules: nothing was measured.") : "";
  return element("div", { class: "measures" }, element("h3", {}, "Measures"), data.rules.map(rule => {
    const rows = measures.filter(measure => measure.rule === rule).map(measure => {
      const value = doc.measures[measure.index];
      const broken = brokenSide(measure, value);
      return element("tr", {},
        element("th", { scope: "row", title: measure.doc }, measure.name.replaceAll("_", " ")),
        element("td", { class: "number" }, shownNumber(value)), element("td", { class: "number" }, limitsText(measure)),
        element("td", { class: broken ? "out" : "" }, broken ? `${broken === "min" ? "below" : "above"} the limit` : ""));
    });
    const out = failures(doc).some(measure => measure.rule === rule);
    return element("details", { open: out }, element("summary", {}, rule.name, out ? element("span", { class: "out" }, " – out of limits") : ""),
      element("table", {}, element("thead", {}, element("tr", {}, ["Measure", "Value", "Limit", ""].map((head, i) => element("th", { scope: "col", class: i === 1 || i === 2 ? "number" : "" }, head)))),
        element("tbody", {}, rows)));
  }));
}
function limitsText(measure) {
  const text = sides(measure).filter(side => limitOf(measure, side) !== null).map(side => `${side === "min" ? "≥" : "≤"}\u00a0${shownNumber(limitOf(measure, side))}`);
  return text.join(", ") || "none";
}

// Goes to the first mark behind the one before, round and round.
let lastMark = null;
function nextMark() {
  const found = [...document.querySelectorAll("#text mark")];
  const next = found[(found.indexOf(lastMark) + 1) % found.length];
  if (!next) return;
  lastMark?.classList.remove("here");
  next.classList.add("here");
  next.scrollIntoView({ block: "center" });
  lastMark = next;
}

function choose(id, takes_focus) {
  filters.chosen = byId.get(id) ?? null;
  filters.mark = "auto";
  document.querySelectorAll("#list [data-id]").forEach(button => {
    if (button.dataset.id === id) button.setAttribute("aria-current", "true"); else button.removeAttribute("aria-current");
  });
  showReader();
  $("reader").scrollTop = 0;
  if (takes_focus) $("reader").focus({ preventScroll: true });
}

// The next document of the list, or the one before.
function step(by) {
  const found = foundDocuments();
  const at = found.indexOf(filters.chosen);
  const next = found[at < 0 ? 0 : Math.max(0, Math.min(found.length - 1, at + by))];
  if (!next) return;
  if (found.indexOf(next) >= filters.shown) { filters.shown += PAGE_DOCUMENTS; showList(); }
  location.hash = next.id;
  document.querySelector(`#list [data-id="${next.id}"]`)?.scrollIntoView({ block: "nearest" });
}

let searchTimer = null;
$("search").addEventListener("input", () => {
  clearTimeout(searchTimer);
  searchTimer = setTimeout(() => {
    filters.terms = termsOf($("search").value);
    filters.shown = PAGE_DOCUMENTS;
    showDocuments();
  }, 120);
});
$("clear").addEventListener("click", () => {
  $("search").value = "";
  filters.terms = [];
  FACETS.forEach(facet => facet.chosen.clear());
  showDocuments();
  $("search").focus();
});
$("more").addEventListener("click", () => {
  const before = filters.shown;
  filters.shown += PAGE_DOCUMENTS;
  showList();
  document.querySelectorAll("#list button")[before]?.focus();
});
