// What the rules count in a text, found again line by line and word by word to be marked. The run's measures are exact;
// these places are told by plain expressions and may differ from them in rare cases (words of other scripts, say).

// The lines of a text as ranges, without those of white space alone.
function linesOf(text, separator = /\n/g) {
  const lines = [];
  let start = 0;
  const push = end => { if (text.slice(start, end).trim()) lines.push([start, end]); };
  for (const found of text.matchAll(separator)) {
    push(found.index);
    start = found.index + found[0].length;
  }
  push(text.length);
  return lines;
}
const linesThat = test => text => linesOf(text).filter(([start, end]) => test(text.slice(start, end)));
const matchesOf = expression => text => [...text.matchAll(expression)].map(found => [found.index, found.index + found[0].length]);

// Every copy after the first; for DCLM, which counts all, the first one, too.
const isDclm = rule => rule.settings.dialect === "dclm";
const copies = (separator, rule) => text => {
  const lines = linesOf(text, separator).map(([start, end]) => [start, end, text.slice(start, end).trim()]);
  const all = Map.groupBy(lines, ([, , line]) => line);
  const isCopy = line => all.get(line[2]).length > 1 && (isDclm(rule) || all.get(line[2])[0] !== line);
  return lines.filter(isCopy).map(([start, end]) => [start, end]);
};
const wordsOf = matchesOf(/[\p{L}\p{N}]+(?:['’][\p{L}]+)*|[^\s\p{L}\p{N}]/gu);
// The places of each n-gram, by its words.
function ngrams(text, n) {
  const words = wordsOf(text);
  const places = new Map();
  for (let i = 0; i + n <= words.length; i++) {
    const ngram = words.slice(i, i + n).map(([start, end]) => text.slice(start, end)).join(" ");
    if (!places.has(ngram)) places.set(ngram, []);
    places.get(ngram).push([words[i][0], words[i + n - 1][1]]);
  }
  return places;
}
// The n-gram that takes most characters of those that stand there twice or more.
const topNgram = n => text => {
  let [top, most] = [[], 1];
  for (const [ngram, places] of ngrams(text, n)) {
    if (places.length > 1 && places.length * ngram.length > most) [top, most] = [places, places.length * ngram.length];
  }
  return top;
};
const seenNgrams = (n, rule) => text =>
  [...ngrams(text, n).values()].filter(places => places.length > 1).flatMap(places => isDclm(rule) ? places : places.slice(1));

const endsAsSentence = line => /[.!?\u3002\uff01\uff0e\uff1f\u0964\u06d4\u061f]$/u.test(line);
const stopWords = rule => {
  const words = rule.settings.stop_words ?? [];
  const escaped = words.map(word => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return words.length === 0 ? () => [] : matchesOf(new RegExp(`(?<![\\p{L}\\p{N}])(?:${escaped.join("|")})(?![\\p{L}\\p{N}])`, "gu"));
};
const share = (line, expression) => (line.match(expression) ?? []).length / [...line].length;

// For each rule: [what is marked, the measures that count it, how it is found].
const MARKS = {
  gopher_repetition: rule => [
    ["duplicate lines", ["duplicate_line_fraction", "duplicate_line_char_fraction"], copies(/\n+/g, rule)],
    ["duplicate paragraphs", ["duplicate_paragraph_fraction", "duplicate_paragraph_char_fraction"], copies(/\n{2,}/g, rule)],
    ...[2, 3, 4].map(n => [`most frequent ${n}-gram`, [`top_${n}_gram`], topNgram(n)]),
    ...[5, 6, 7, 8, 9, 10].map(n => [`${n}-grams seen before`, [`duplicate_${n}_grams`], seenNgrams(n, rule)]),
  ],
  gopher_quality: rule => [
    ["bullet lines", ["bullet_line_fraction"], linesThat(line => (isDclm(rule) ? /^\s*[●•*-]/ : /^\s*[•-]/).test(line))],
    ["lines that end with an ellipsis", ["ellipsis_line_fraction"], linesThat(line => /(\.\.\.|…)\s*$/.test(line))],
    ["ellipses", ["ellipses_per_word", "symbols_per_word"], matchesOf(/\.\.\.|…/g)],
    ["hash signs", ["hashes_per_word", "symbols_per_word"], matchesOf(/#/g)],
    ["words without a letter", ["alphabetic_word_fraction"], text => wordsOf(text).filter(([start, end]) => !/\p{L}/u.test(text.slice(start, end)))],
    ["stop words", ["stop_words"], stopWords(rule)],
  ],
  c4_quality: rule => [
    ["lines without a mark that ends a sentence", ["sentences"],
      rule.settings.require_terminal_punctuation === false ? () => [] : linesThat(line => !/[.!?"']$/.test(line.trim()) || /\.\.\.$/.test(line.trim()))],
    ["lines of few words", ["sentences"], linesThat(line => line.trim().split(/\s+/).length < (rule.settings.min_line_words ?? 0))],
    ["lines with “lorem ipsum”", ["lorem_ipsum_lines"], linesThat(line => /lorem ipsum/i.test(line))],
    ["lines with a curly bracket", ["curly_bracket_lines"], linesThat(line => line.includes("{"))],
    ["lines with “javascript”", [], linesThat(line => /javascript/i.test(line))],
    ["lines on cookies and terms of use", [], linesThat(line => /terms of use|privacy policy|cookie policy|uses? (?:of )?cookies/i.test(line))],
    ["citations", [], matchesOf(/\[\d*\]|\[edit\]|\[citation needed\]/g)],
  ],
  fineweb_quality: rule => [
    ["lines without a mark that ends a sentence", ["terminal_punctuation_line_fraction"], linesThat(line => !endsAsSentence(line))],
    ["short lines", ["short_line_fraction"], linesThat(line => [...line].length <= rule.settings.max_short_line_chars)],
    ["duplicate lines", ["duplicate_line_char_fraction"], copies(/\n+/g, rule)],
  ],
  refinedweb_lines: rule => [
    ["lines in upper case", ["removed_word_fraction"], linesThat(line => share(line, /\p{Lu}/gu) > (rule.settings.max_uppercase_char_fraction ?? 1))],
    ["lines of digits", ["removed_word_fraction"], linesThat(line => share(line, /\p{Nd}/gu) > 0.999)],
    ["lines of few words", ["removed_word_fraction"], linesThat(line => line.trim().split(/\s+/).length < (rule.settings.min_line_words ?? 0))],
  ],
  pii: () => [
    ["e-mail addresses", ["emails"], matchesOf(/[\w.+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+/g)],
    ["IP addresses", ["ips"], matchesOf(/(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])/g)],
  ],
};

// The marks that the rules of this run have: {rule, label, measures (indices), find}.
const marks = data.rules.flatMap((rule, ruleIndex) => (MARKS[rule.name]?.(rule) ?? []).map(([label, names, find]) => ({
  rule, label, find,
  measures: measures.filter(measure => measure.ruleIndex === ruleIndex && names.includes(measure.name)).map(measure => measure.index),
})));

// A text with ranges marked; `layers` are [class name, title, ranges]. Where several layers meet, all titles are told.
function markedText(text, layers) {
  const borders = new Set([0, text.length]);
  const events = [];
  layers.forEach(([, , ranges], layer) => ranges.forEach(([start, end]) => {
    borders.add(start).add(end);
    events.push([start, layer, 1], [end, layer, -1]);
  }));
  events.sort((a, b) => a[0] - b[0]);
  const places = [...borders].sort((a, b) => a - b);
  const depth = layers.map(() => 0);
  const nodes = [];
  let event = 0;
  for (let i = 0; i + 1 < places.length; i++) {
    for (; event < events.length && events[event][0] <= places[i]; event++) depth[events[event][1]] += events[event][2];
    const part = text.slice(places[i], places[i + 1]);
    const open = layers.filter((_, layer) => depth[layer] > 0);
    nodes.push(open.length === 0 ? part
      : element("mark", { class: open.map(([name]) => name).join(" "), title: open.map(([, title]) => title).join(", ") }, part));
  }
  return nodes;
}
