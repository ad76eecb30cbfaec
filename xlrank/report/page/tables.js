// The two tables: all rows with all figures, and systems by language pairs.

const state = {
  view: "rows", metric: 0, collection: "", query: "", documents: "", system: "", published: false, sort: "", direction: "",
};
const BATCH = 150;  // rows that are drawn at a time

function metricColumn([id, name], metric) {
  return {
    id, name, group: "Metrics", first: "descending", on: true, number: true,
    value: row => row.values[metric],
    show: row => metricCell(row, metric),
    title: row => ends(row.intervals[metric]) && `95 % interval ${ends(row.intervals[metric])}`,
  };
}

function column(id, name, group, value, show, more = {}) {
  return { id, name, group, first: "descending", number: true, value, show: row => [show(value(row), row)], ...more };
}

const against = name => row => row.compared ? row.compared[name] : null;
const cost = name => row => row.cost[name];
const paper = name => row => row.published ? row.published[name] : null;
const primary = DATA.metrics[0][1];
const COLUMNS = [
  {
    id: "pair", name: "Language pair", first: "ascending", value: row => row.pair.number, fixed: true,
    show: row => [pairName(row.pair), collections.length > 1 ? el("span", { class: "tag" }, row.pair.collection) : ""],
  },
  {
    id: "system", name: "System", first: "ascending", value: row => row.system.label, fixed: true,
    show: row => [el("button", { class: "open", type: "button", dir: "auto" }, label(row.system.label)),
      row.isBaseline ? el("span", { class: "tag" }, "baseline") : ""],
    title: row => row.composition,
  },
  ...DATA.metrics.map(metricColumn),
  column("intervals", "95 % intervals", "Metrics", () => null, () => "", { switchOnly: true }),
  column("difference", "Δ " + primary, "Test", against("difference"), signed, {
    on: true,
    class: row => row.star ? (row.compared.difference > 0 ? "better" : "worse") : "",
    title: row => row.compared && row.compared.interval ? `95 % interval ${ends(row.compared.interval)}` : null,
  }),
  column("p", DATA.p, "Test", against("corrected"), (p, row) => row.compared ? tested(p) : MISSING, {
    on: true, first: "ascending", title: row => row.compared && `uncorrected: ${tested(row.compared.p)}`,
  }),
  column("effect", "Effect", "Test", against("effect"), effect, { on: true }),
  column("wins", "W/L/T", "Test", against("wins"), (wins, row) =>
    row.compared ? `${wins}/${row.compared.losses}/${row.compared.ties}` : MISSING, { always: true }),
  column("original", "p (original’s)", "Test", row => row.compared && row.compared.original !== undefined ? row.compared.original : null,
    (p, row) => pValue(p) + (row.compared && row.compared.originalStar ? "*" : ""), { first: "ascending" }),
  column("published", "Published", "Published", paper("value"), (value, row) => number(value) + (row.published && row.published.star ? "*" : ""),
    { on: true, title: row => row.published && row.published.source }),
  column("published-difference", "Δ published", "Published", paper("difference"), signed, { on: true }),
  column("rate", "Pairs/s", "Cost", cost("rate"), value => decimal(value), { on: true }),
  column("median", "ms/query", "Cost", cost("median"), value => decimal(value), { first: "ascending" }),
  column("p95", "ms p95", "Cost", cost("p95"), value => decimal(value), { first: "ascending" }),
  column("memory", "Peak MiB", "Cost", cost("memory"), value => decimal(value, 0), { first: "ascending" }),
  column("megabytes", "Modules MB", "Cost", cost("megabytes"), value => decimal(value), { first: "ascending" }),
  column("minutes", "Training min", "Cost", cost("minutes"), value => decimal(value), { first: "ascending" }),
  column("seconds", "Seconds", "Cost", cost("seconds"), value => decimal(value), { first: "ascending" }),
].filter(each => each.fixed || each.switchOnly ? each.id !== "intervals" || ROWS.some(row => row.intervals.some(Boolean))
  : ROWS.some(row => each.value(row) !== null && each.value(row) !== undefined));

function shownColumns() {
  return COLUMNS.filter(each => (each.fixed || each.on) && !each.switchOnly);
}

function metricCell(row, metric) {
  const value = number(row.values[metric]);
  const parts = [isBest(row, metric) ? el("strong", {}, value) : value];
  if (metric === 0 && row.star) parts.push(star(row));
  const wanted = COLUMNS.find(each => each.id === "intervals");
  if (wanted && wanted.on && row.intervals[metric]) parts.push(el("span", { class: "ends" }, ends(row.intervals[metric])));
  return parts;
}

function star(row) {
  return el("abbr", { class: "star", style: "text-decoration: none", title: `differs from ${row.source.baseline}: corrected p < ${row.source.alpha}` }, "*");
}

function matches(row) {
  const { collection, query, documents } = state;
  return (!collection || row.pair.collection === collection) && (!query || row.pair.query === query)
    && (!documents || row.pair.documents === documents) && matchesSystem(row.system, row.composition);
}

function matchesSystem(system, composition) {
  const words = state.system.toLocaleLowerCase().split(",").map(word => word.trim()).filter(Boolean);
  const found = `${system.label}\n${system.name}\n${composition || ""}`.toLocaleLowerCase();
  return words.length === 0 || words.some(word => found.includes(word));
}

// What is missing comes last either way; what is equal keeps the order of pairs, and in a pair the best first.
function compareBy(value, direction) {
  const sign = direction === "descending" ? -1 : 1;
  return (a, b) => {
    const x = value(a), y = value(b);
    if (x === null || x === undefined || y === null || y === undefined) return (x ?? null) === (y ?? null) ? 0 : (x ?? null) === null ? 1 : -1;
    return sign * (typeof x === "number" ? x - y : x.localeCompare(y));
  };
}

function heading(name, id, first, more = {}, title = null) {
  const sorted = state.sort === id ? state.direction : null;
  const button = el("button", { type: "button", "data-sort": id, "data-first": first, title }, name);
  return el("th", { scope: "col", "aria-sort": sorted, ...more }, button);
}

function drawRows(table) {
  if (!state.sort || !shownColumns().some(each => each.id === state.sort)) Object.assign(state, { sort: "pair", direction: "ascending" });
  const columns = shownColumns();
  const by = columns.find(each => each.id === state.sort);
  const byPair = compareBy(row => row.pair.number, "ascending"), byValue = compareBy(row => row.values[0], "descending");
  const chosen = compareBy(by.value, state.direction);
  const rows = ROWS.filter(matches).sort((a, b) => chosen(a, b) || byPair(a, b) || byValue(a, b) || a.number - b.number);
  const head = el("tr", {}, columns.map(each => heading(each.name, each.id, each.first,
    { class: each.number ? "number" : each.id === "system" ? "sticky" : null })));
  const body = el("tbody");
  table.removeAttribute("role");
  table.replaceChildren(el("thead", {}, head), body);
  let drawn = 0;
  const more = () => {
    const next = rows.slice(drawn, drawn + BATCH);
    body.append(...next.map((row, place) => rowElement(row, rows[drawn + place - 1], columns)));
    drawn += next.length;
    return drawn < rows.length;
  };
  more();
  return { count: `${rows.length} of ${ROWS.length} rows`, more, empty: rows.length === 0, columns: columns.length };
}

function rowElement(row, before, columns) {
  const grouped = state.sort === "pair", again = grouped && before && before.pair === row.pair;
  return el("tr", { "data-row": row.number, class: grouped && !again ? "first" : null }, columns.map(each => {
    const classes = [each.number ? "number" : "", each.class ? each.class(row) : "", each.id === "system" ? "sticky" : "",
      each.id === "pair" && again ? "again" : ""].filter(Boolean).join(" ");
    const attributes = { class: classes || null, title: (each.title && each.title(row)) || null };
    return each.id === "system" ? el("th", { scope: "row", ...attributes }, each.show(row)) : el("td", attributes, each.show(row));
  }));
}

function drawOverview(table) {
  const metric = state.metric;
  const groups = DATA.groups.map(([name, places]) => [name, places.map(place => PAIRS[place]).filter(pairShown)]).filter(([, pairs]) => pairs.length);
  // Averages come first: with many pairs the right end is far away.
  const columns = groups.flatMap(([, pairs]) => [...(pairs.length > 1 ? [{ id: "avg-" + pairs[0].number, pairs, begin: groups.length > 1 }] : []),
    ...pairs.map(pair => ({ id: "pair-" + pair.number, pairs: [pair], pair, begin: groups.length > 1 && pairs.length === 1 }))]);
  const valueOf = (system, each) => average(each.pairs.map(pair => {
    const row = CELLS.get(system.number + "/" + pair.number);
    return row ? row.values[metric] : null;
  }));
  const whole = { id: "avg", pairs: groups.flatMap(([, pairs]) => pairs) };
  const averaged = groups.length > 1 && SYSTEMS.some(system => valueOf(system, whole) !== null);
  if (averaged) columns.unshift(whole);
  if (state.sort !== "system" && !columns.some(each => each.id === state.sort)) {
    Object.assign(state, { sort: columns.length ? (columns.find(each => !each.pair) || columns[0]).id : "system", direction: "descending" });
  }
  const by = columns.find(each => each.id === state.sort);
  const known = SYSTEMS.filter(system => columns.some(each => each.pair && CELLS.has(system.number + "/" + each.pair.number)));
  const systems = known.filter(system => matchesSystem(system, null))
    .sort(compareBy(system => by ? valueOf(system, by) : system.label, state.direction));
  const bests = new Map(columns.filter(each => !each.pair).map(each => [each.id, Math.max(...known.map(system => valueOf(system, each)).filter(value => value !== null).map(milli))]));
  const parts = systems.map(system => el("tr", {}, systemHeading(system), columns.map(each => each.pair
    ? overviewCell(CELLS.get(system.number + "/" + each.pair.number), metric, each.begin) : averageCell(valueOf(system, each), bests.get(each.id), each.begin))));
  table.setAttribute("role", "grid");
  table.replaceChildren(overviewHead(groups, columns, averaged), el("tbody", {}, parts));
  const first = table.querySelector("td[data-row]");
  if (first) first.tabIndex = 0;
  const shown = columns.filter(each => each.pair).length;
  return { count: `${systems.length} systems, ${shown} language pair${shown === 1 ? "" : "s"}`, more: () => false, empty: systems.length === 0, columns: columns.length + 1 };
}

function pairShown(pair) {
  return (!state.collection || pair.collection === state.collection) && (!state.query || pair.query === state.query)
    && (!state.documents || pair.documents === state.documents);
}

function overviewHead(groups, columns, averaged) {
  const rows = [el("tr", {}, heading("System", "system", "ascending", { class: "sticky" }), columns.map(each => each.pair
    ? heading(`${each.pair.query}-${each.pair.documents}`.toUpperCase(), each.id, "descending", { class: each.begin ? "number begin" : "number" },
      `${pairName(each.pair)}, ${each.pair.collection}`)
    : heading(each.id === "avg" ? "AVG all" : "AVG", each.id, "descending", { class: each.begin ? "number avg begin" : "number avg" }, "mean over the language pairs shown; none where a pair is missing")))];
  if (DATA.groups.length > 1) {
    const spans = groups.map(([name, pairs]) => el("th", { scope: "colgroup", colspan: pairs.length + (pairs.length > 1 ? 1 : 0), class: "begin" }, el("span", { dir: "auto" }, name)));
    rows.unshift(el("tr", { class: "over" }, el("th", { class: "sticky" }), averaged ? el("th") : [], spans));
  }
  return el("thead", {}, rows);
}

function systemHeading(system) {
  const isBaseline = ROWS.some(row => row.system === system && row.isBaseline);
  return el("th", { scope: "row", class: "sticky", dir: "auto", title: system.label }, label(system.label), isBaseline ? el("span", { class: "tag" }, "baseline") : []);
}

function overviewCell(row, metric, begin) {
  const kind = begin ? "number begin" : "number";
  if (!row) return el("td", { class: kind + " soft" }, MISSING);
  const value = number(row.values[metric]);
  const parts = [isBest(row, metric) ? el("strong", {}, value) : value];
  if (metric === 0 && row.star) parts.push(star(row));
  if (state.published && row.published && row.published.metric === metric) {
    parts.push(el("span", { class: "published" }, number(row.published.value), row.published.star ? el("i", { class: "star" }, "*") : ""));
  }
  return el("td", { class: kind, "data-row": row.number, tabindex: "-1", title: ends(row.intervals[metric]) || null }, parts);
}

function averageCell(value, best, begin) {
  const shown = number(value);
  return el("td", { class: begin ? "number avg begin" : "number avg" }, value !== null && milli(value) === best ? el("strong", {}, shown) : shown);
}
