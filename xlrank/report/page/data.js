"use strict";
// The embedded data as objects, and numbers as text: rounded from the same integers, in the same way, as in all other files.

const DATA = JSON.parse(document.getElementById("data").textContent);
const MISSING = "–";
const PAIRS = DATA.pairs.map(([collection, query, documents], number) => ({ number, collection, query, documents }));
const SYSTEMS = DATA.systems.map(([name, label], number) => ({ number, name, label }));
const ROWS = DATA.rows.map(asRow);
const CELLS = new Map(ROWS.map(row => [row.system.number + "/" + row.pair.number, row]));
const BEST = bestOfPairs();

function asRow(row, number) {
  const [source, system, pair, values, intervals, compared, published, cost, marks, baseline, composition, modules, run,
    candidates, key, note, topics] = row;
  return {
    number, values, run, candidates, key, topics, baseline,
    source: DATA.sources[source],
    system: SYSTEMS[system],
    pair: PAIRS[pair],
    intervals: intervals || [],
    compared: compared ? asComparison(compared) : null,
    published: published ? { value: published[0], difference: published[1], metric: published[2], star: published[3], source: published[4] } : null,
    cost: { rate: cost[0], median: cost[1], p95: cost[2], memory: cost[3], megabytes: cost[4], minutes: cost[5], seconds: cost[6] },
    star: Boolean(marks & 1),
    isBaseline: Boolean(marks & 2),
    composition: composition < 0 ? null : DATA.texts[composition],
    modules: modules.map(place => DATA.modules[place]),
    note: DATA.texts[note],
  };
}

function asComparison(found) {
  const [difference, p, corrected, effect, interval, wins, losses, ties, topics, original, originalStar] = found;
  return { difference, p, corrected, effect, interval, wins, losses, ties, topics, original, originalStar };
}

function bestOfPairs() {
  const best = new Map();
  for (const row of ROWS) {
    row.values.forEach((value, metric) => {
      const place = row.pair.number + "/" + metric;
      if (value !== null) best.set(place, Math.max(best.has(place) ? best.get(place) : -Infinity, milli(value)));
    });
  }
  return best;
}

function isBest(row, metric) {
  const value = row.values[metric];
  return value !== null && !DATA.metrics[metric][0].startsWith("judged") && milli(value) === BEST.get(row.pair.number + "/" + metric);
}

function milli(micro) {
  return Math.sign(micro) * Math.floor((Math.abs(micro) + 500) / 1000);
}

function fixed(thousandths) {
  const size = Math.abs(thousandths);
  return (thousandths < 0 ? "−" : "") + Math.floor(size / 1000) + "." + String(size % 1000).padStart(3, "0");
}

function number(micro) {
  return micro === null || micro === undefined ? MISSING : fixed(milli(micro));
}

function signed(micro) {
  return micro === null || micro === undefined ? MISSING : (milli(micro) > 0 ? "+" : "") + fixed(milli(micro));
}

function pValue(micro) {
  return micro !== null && micro !== undefined && micro < 1000 ? "<0.001" : number(micro);
}

// Of two systems that were compared, whether or not a test could be made.
function tested(micro) {
  return micro === null ? "n/a" : pValue(micro);
}

function effect(value) {
  if (value === null) return MISSING;
  return (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(2);
}

function decimal(value, places = 1) {
  return value === null ? MISSING : value.toFixed(places);
}

function ends(interval) {
  return interval ? `[${fixed(interval[0])}, ${fixed(interval[1])}]` : "";
}

function languageName(code) {
  return DATA.languages[code][0];
}

function pairName(pair) {
  return `${languageName(pair.query)} → ${languageName(pair.documents)}`;
}

function average(values) {
  return values.length && values.every(value => value !== null && value !== undefined)
    ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

// Elements are made of text and attributes only, never of HTML in a string: whatever a label says, it stays text.
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity));
  return element;
}

// RA + LA^Doc with a raised Doc, as the paper prints it.
function label(text) {
  return text.split(/\^([\p{L}\p{N}_]+)/u).map((part, place) => place % 2 ? el("sup", {}, part) : part);
}

function text(words, language) {
  return el("span", { lang: language, dir: DATA.languages[language][1] }, words);
}
