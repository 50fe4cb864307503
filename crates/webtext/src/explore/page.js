// The frame: which view is shown, what the page says of itself, and the keys.

const VIEWS = ["documents", "limits", "recipe", "about"];

function showView() {
  const hash = location.hash.slice(1);
  const doc = byId.has(hash) ? hash : null;
  const view = VIEWS.includes(hash) ? hash : "documents";
  const is_same = !$(`view-${view}`).hidden;
  VIEWS.forEach(name => { $(`view-${name}`).hidden = name !== view; });
  document.querySelectorAll("nav a").forEach(link => {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  });
  const was_reading = document.body.classList.contains("reading");
  document.body.classList.toggle("reading", doc !== null);
  if (view === "documents") {
    // Limits may have changed while another view was shown.
    if (!is_same || doc === null) showDocuments();
    if (doc !== null || is_same) choose(doc, doc !== null && matchMedia("(max-width: 760px)").matches);
    if (was_reading !== (doc !== null) && matchMedia("(max-width: 760px)").matches) scrollTo(0, 0);
  }
  if (view === "limits") {
    if ($("rules").childElementCount === 0) showRules();
    showOutcome();
  }
}

function showAbout() {
  const { documents_of_run: whole, max_text_chars: text_chars, version } = data;
  $("lead").textContent = `${plural(whole, "document")}; ${IS_WHOLE ? "all" : grouped(documents.length)} of them are on this page.`;
  if (data.unfinished.length > 0) {
    $("unfinished").hidden = false;
    $("unfinished").textContent = `This run is not finished: ${data.unfinished.join(", ")} ${data.unfinished.length === 1 ? "is" : "are"} not done. What is here may change.`;
  }
  const rows = Object.entries(data.strata).sort(([, a], [, b]) => b.documents - a.documents);
  $("recipe-text").textContent = data.recipe;
  const item = text => element("li", {}, text);
  $("view-about").replaceChildren(element("h2", {}, "About this page"), element("ul", {},
    item("It is one file: nothing is loaded, and nothing leaves it. Links go to the pages that documents came from."),
    item("Documents are drawn by the hash that is their id, for each reason apart, so rare reasons are here too and the same run gives the same page. In numbers of the whole each stands for as many as its reason has."),
    item(`Texts are those that were extracted, before a rule edits them, cut after ${grouped(text_chars)} characters. Measures are of the whole text, as the rules before left it.`),
    item("Marks are found again on this page, line by line and word by word; in rare cases they differ from what the run counted. Rules that read lists or models have no marks."),
    item("Moved limits judge by the run's measures. What a changed edit would do to later rules, and what would become a duplicate, only a new run tells."),
    item("Keys: Tab and Enter go everywhere; / searches, j and k go to the next document and the one before, n to the next mark, Escape leaves a document.")),
  element("h3", {}, "What was drawn"), element("table", {},
    element("thead", {}, element("tr", {}, ["Reason", "Documents", "On this page"].map((head, i) => element("th", { scope: "col", class: i ? "number" : "" }, head)))),
    element("tbody", {}, rows.map(([reason, stratum]) => element("tr", {}, element("th", { scope: "row" }, reason, element("span", { class: "soft" }, ` ${meaning(reason) ?? ""}`)),
      element("td", { class: "number" }, grouped(stratum.documents)), element("td", { class: "number" }, grouped(stratum.sampled)))))),
  element("p", { class: "soft" }, `Written by webtext ${version}.`));
}

addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const is_typing = event.target.matches?.("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape") {
    if (is_typing) event.target.blur();
    else if (filters.chosen && !$("view-documents").hidden) location.hash = "documents";
  }
  if (is_typing) return;
  if (event.key === "/") {
    event.preventDefault();
    if ($("view-documents").hidden) location.hash = "documents";
    setTimeout(() => $("search").focus());
  }
  if (event.key === "n" && filters.chosen) nextMark();
  if ((event.key === "j" || event.key === "k") && !$("view-documents").hidden) step(event.key === "j" ? 1 : -1);
});
addEventListener("hashchange", showView);
if (matchMedia("(max-width: 1100px)").matches) $("facets").open = false;
showAbout();
showOutcome();
showView();
