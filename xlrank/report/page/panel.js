// The panel of one row: its figures, its topics and the documents that moved, and how it was made.

const panel = document.getElementById("panel");
const pieces = new Map();
let opened = null;

function unpacked(pair) {
  if (!pieces.has(pair)) pieces.set(pair, unpack(document.getElementById("pair-" + pair)));
  return pieces.get(pair);
}

async function unpack(element) {
  if (!element) return null;
  const bytes = Uint8Array.from(atob(element.textContent.trim()), character => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function openPanel(row) {
  opened = row;
  const close = el("button", { type: "button", class: "plain" }, "Close");
  close.addEventListener("click", () => panel.close());
  const where = collections.length > 1 ? `${pairName(row.pair)}, ${row.pair.collection}` : pairName(row.pair);
  const topics = el("section", { "aria-live": "polite" });
  panel.replaceChildren(
    el("header", {}, el("div", {}, el("h2", { id: "panel-title", dir: "auto" }, label(row.system.label)), el("p", { class: "soft" }, where)), close),
    el("div", {}, figuresOf(row), row.note ? el("p", { class: "soft", dir: "auto" }, row.note) : [], topics, provenance(row)),
  );
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
  drawTopics(row, topics).catch(error => topics.replaceChildren(el("p", { class: "soft" }, `Topics cannot be shown by this browser (${error.message}).`)));
  saveState();
}

function figure(name, value, small) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, value, small ? el("small", {}, small) : []));
}

function figuresOf(row) {
  const found = DATA.metrics.map(([, name], metric) => figure(name, number(row.values[metric]), ends(row.intervals[metric])));
  if (row.compared) {
    const { difference, interval, p, corrected, effect: size, wins, losses, ties, original, originalStar } = row.compared;
    found.push(figure(`Δ ${primary}`, signed(difference) + (row.star ? "*" : ""), ends(interval)));
    found.push(figure(DATA.p, tested(corrected), `uncorrected ${tested(p)}`));
    found.push(figure("Effect", effect(size)));
    found.push(figure("Topics", String(row.topics), `${wins} better, ${losses} worse, ${ties} equal`));
    if (original !== undefined) found.push(figure("p of the original’s test", tested(original) + (originalStar ? "*" : ""), "unpaired"));
  } else {
    found.push(figure("Topics", String(row.topics)));
  }
  if (row.published) found.push(figure("Published", number(row.published.value) + (row.published.star ? "*" : ""), `ours ${signed(row.published.difference)}`));
  return el("dl", { class: "figures" }, found);
}

async function drawTopics(row, place) {
  const piece = await unpacked(row.pair.number);
  if (opened !== row) return;
  if (!piece || !piece.values[row.number]) {
    place.replaceChildren(el("p", { class: "soft" }, DATA.drill.note));
    return;
  }
  const shown = { metric: 0, order: row.baseline >= 0 ? "difference" : "topic" };
  const list = el("div");
  const draw = () => list.replaceChildren(topicList(row, piece, shown));
  const controls = [];
  if (DATA.drill.metrics.length > 1) {
    const names = DATA.drill.metrics.map(metric => DATA.metrics.find(([id]) => id === metric)[1]);
    controls.push(chooser("Metric", names.map((name, metric) => [String(metric), name]), value => { shown.metric = Number(value); draw(); }));
  }
  const orders = [["difference", "difference"], ["topic", "topic"], ["value", "value"]].slice(row.baseline >= 0 ? 0 : 1);
  controls.push(chooser("Order", orders, value => { shown.order = value; draw(); }));
  place.replaceChildren(el("div", { class: "bar-line" }, el("h3", {}, "Topics"), controls), list);
  if (DATA.drill.note) place.append(el("p", { class: "soft" }, DATA.drill.note));
  draw();
}

function chooser(name, options, change) {
  const select = el("select", {}, options.map(([value, text]) => el("option", { value }, text)));
  select.addEventListener("change", () => change(select.value));
  return el("label", { class: "field soft" }, name, " ", select);
}

function topicList(row, piece, shown) {
  const mine = piece.values[row.number][shown.metric];
  const theirs = row.baseline >= 0 && piece.values[row.baseline] ? piece.values[row.baseline][shown.metric] : null;
  const topics = piece.topics.map(([id, words], place) => ({ id, words, place, value: mine[place], other: theirs ? theirs[place] : null }))
    .filter(topic => topic.value !== null);
  for (const topic of topics) topic.difference = topic.other === null ? null : topic.value - topic.other;
  const orders = { difference: compareBy(topic => topic.difference, "descending"), value: compareBy(topic => topic.value, "descending"), topic: () => 0 };
  topics.sort((a, b) => orders[shown.order](a, b) || a.place - b.place);
  const widest = Math.max(1, ...topics.map(topic => Math.abs(topic.difference || 0)));
  const names = ["Topic", "", DATA.metrics.find(([id]) => id === DATA.drill.metrics[shown.metric])[1].replace(/^MAP/, "AP")];
  const head = el("div", { class: "head" }, names.map((name, place) => el("span", { class: place === 2 ? "number" : null }, name)),
    theirs ? [el("span", { class: "number", title: row.source.baseline }, "Baseline"), el("span", { class: "number" }, "Δ"), el("span", { class: "bar-head" })] : []);
  return el("div", { class: theirs ? "topics" : "topics alone" }, head, topics.map(topic => topicElement(row, piece, topic, theirs, widest)));
}

function topicElement(row, piece, topic, theirs, widest) {
  const parts = [
    el("span", { class: "id", dir: "auto", title: topic.id }, topic.id),
    el("span", { class: "text", lang: row.pair.query, dir: DATA.languages[row.pair.query][1], title: topic.words || null }, topic.words || ""),
    el("span", { class: "number" }, number(topic.value)),
  ];
  if (theirs) {
    const minus = topic.difference < 0 ? "minus" : null;
    parts.push(el("span", { class: "number soft" }, number(topic.other)), el("span", { class: "number" }, signed(topic.difference)));
    parts.push(el("span", { class: "bar", "aria-hidden": "true" }, topic.difference ? el("i", { class: minus, style: `--d: ${Math.abs(topic.difference) / widest}` }) : []));
  }
  const moves = piece.moves[row.number];
  if (!moves) return el("div", { class: "topic line" }, parts);
  const details = el("details", { class: "topic" }, el("summary", {}, parts));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(movesElement(row, piece, topic.place));
  });
  return details;
}

function movesElement(row, piece, place) {
  const flat = piece.moves[row.number][place], [relevant, lost] = piece.lost[row.number][place];
  const met = piece.matches && piece.matches[row.number] ? piece.matches[row.number][place] : 0;
  const [pieces, ...found] = met || [[]];
  const all = found.flatMap(([, , cosines]) => cosines);  // one scale for a topic, so that its documents can be compared
  const scale = all.reduce(([low, high], cosine) => [Math.min(low, cosine), Math.max(high, cosine)], [Infinity, -Infinity]);
  const rows = [];
  for (let start = 0; start < flat.length; start += 4) {
    const [document, rank, before, grade] = flat.slice(start, start + 4);
    const mine = found.find(([number]) => number === document);
    rows.push(moveRow(row, piece.documents[document], rank, before, grade, mine ? metElement(row, pieces, mine, scale) : []));
  }
  const heads = [["Rank", "number narrow"], ...(row.candidates ? [["before", "number narrow"], ["moved", "number narrow"]] : []), ["relevance", "narrow"], ["Document", ""]];
  const table = el("table", { class: "list" }, el("thead", {}, el("tr", {}, heads.map(([name, kind]) => el("th", { scope: "col", class: kind }, name)))), el("tbody", {}, rows));
  const told = relevant ? `${relevant} relevant document${relevant === 1 ? "" : "s"}, ${lost ? `${lost} of them not in this run` : "all in this run"}.` : "No judgements at hand.";
  const which = row.candidates ? "The top 5 now, the top 5 before, and the relevant documents that stand highest." : "The top 5, and the relevant documents that stand highest.";
  return el("div", { class: "moves" }, table, el("p", { class: "soft" }, told, " ", which));
}

function moveRow(row, [id, words], rank, before, grade, met) {
  const cells = [el("td", { class: "number" }, String(rank))];
  if (row.candidates) {
    const up = before - rank;
    cells.push(el("td", { class: "number soft" }, before ? String(before) : MISSING));
    const told = grade > 0 && (up > 0 || !before) ? "better" : grade > 0 && up < 0 ? "worse" : "soft";  // only a relevant document should rise
    cells.push(el("td", { class: `number ${told}` }, before ? (up > 0 ? `▲ ${up}` : up < 0 ? `▼ ${-up}` : "=") : "new"));
  }
  const judged = grade === null ? el("span", { class: "soft" }, "not judged") : grade > 0 ? el("span", { class: "relevant" }, `relevant${grade > 1 ? ` (${grade})` : ""}`) : "not relevant";
  cells.push(el("td", { class: "narrow" }, judged));
  cells.push(el("td", { class: "doc" }, el("code", { dir: "ltr" }, id), words ? text(words, row.pair.documents) : [], met));
  return el("tr", {}, cells);
}

// Which word pieces met: the strongest and the weakest at once, all of them in the query's order when it is opened.
function metElement(row, pieces, [, nearest, cosines], scale) {
  const chip = place => metChip(row, pieces[place], nearest[place], cosines[place], scale);
  const order = cosines.map((_, place) => place).sort((a, b) => cosines[b] - cosines[a] || a - b);
  const ends = order.length > 1 ? [chip(order[0]), el("span", { class: "soft" }, "weakest"), chip(order[order.length - 1])] : [chip(order[0])];
  const count = `${order.length} word piece${order.length === 1 ? "" : "s"} met: strongest`;
  const details = el("details", { class: "met" }, el("summary", {}, el("span", { class: "soft" }, count), ends));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(el("div", { class: "chips" }, cosines.map((_, place) => chip(place))));
  });
  return details;
}

function metChip(row, query, document, cosine, [low, high]) {
  const heat = high > low ? (cosine - low) / (high - low) : 1;
  const shown = (cosine / 1000).toFixed(2).replace(/^(-?)0/, "$1");
  return el("span", { class: "chip", dir: "ltr", style: `--c: ${heat.toFixed(2)}`, title: `cosine ${fixed(cosine)}` },
    el("bdi", { lang: row.pair.query }, query), " → ", el("bdi", { lang: row.pair.documents }, document), " ", el("b", {}, shown));
}

function provenance(row) {
  const link = (path, name) => el("a", { href: row.source.link + path }, name || decodeURIComponent(path));
  const facts = [["Run", link(row.run)]];
  if (row.candidates) facts.push(["Re-orders", link(row.candidates)]);
  if (row.composition) facts.push(["Composition", el("code", { dir: "ltr" }, row.composition)]);
  facts.push(["Key", el("code", {}, row.key || MISSING)]);
  if (row.source.command) facts.push(["Command", el("code", { dir: "ltr" }, row.source.command)]);
  facts.push(["Experiment", `${row.source.name}, ${row.source.date}, xlrank ${row.source.xlrank}`]);
  if (row.source.tests) facts.push(["Test", `${row.source.tests}, against ${row.source.baseline}`]);
  const [missing, ties] = row.source.treatment;
  facts.push(["Treatment", `topics without results ${missing === "zero" ? "count 0" : "are left out"}; equal scores in the order of ${ties === "run" ? "the run" : "trec_eval"}`]);
  if (row.published) facts.push(["Published", row.published.source]);
  facts.push(["Files", el("span", {}, link("results.json"))]);
  const costs = COLUMNS.filter(each => each.group === "Cost" && each.value(row) !== null).map(each => `${each.name} ${each.show(row)[0]}`);
  if (costs.length) facts.push(["Cost", costs.join(" · ")]);
  if (row.source.environment.length) facts.push(["Environment", row.source.environment.map(([name, value]) => `${name} ${value}`).join(" · ")]);
  return el("section", { id: "provenance" }, el("h3", {}, "How it was made"),
    el("dl", { class: "pairs" }, facts.map(([name, value]) => [el("dt", {}, name), el("dd", { dir: "auto" }, value)])), modulesTable(row));
}

function modulesTable(row) {
  if (!row.modules.length) return [];
  const heads = [["Module", ""], ["MB", "number narrow"], ["Training min", "number narrow"], ["SHA-256", ""]];
  return el("table", { class: "list" }, el("thead", {}, el("tr", {}, heads.map(([name, kind]) => el("th", { scope: "col", class: kind }, name)))),
    el("tbody", {}, row.modules.map(([name, digest, bytes, minutes]) => el("tr", {}, el("th", { scope: "row" }, el("code", { dir: "ltr" }, name)),
      el("td", { class: "number" }, (bytes / 1e6).toFixed(1)), el("td", { class: "number" }, decimal(minutes)), el("td", { class: "doc" }, el("code", {}, digest))))));
}
