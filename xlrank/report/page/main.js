// Controls, keys, and the state in the address, so that a view can be kept and passed on.

const byId = id => document.getElementById(id);
const board = byId("board"), scroll = byId("scroll");
let more = () => false;

function draw() {
  for (const element of document.querySelectorAll("[data-for]")) element.hidden = element.dataset.for !== state.view;
  byId("published-field").hidden ||= !ROWS.some(row => row.published);
  byId("metric").parentElement.hidden ||= DATA.metrics.length < 2;
  const found = state.view === "rows" ? drawRows(board) : drawOverview(board);
  more = found.more;
  byId("count").textContent = found.count;
  if (found.empty) board.append(el("tbody", {}, el("tr", {}, el("td", { colspan: found.columns, class: "empty" }, "Nothing matches; loosen the filters."))));
  scroll.scrollTop = 0;
  saveState();
}

// More rows are drawn as the end of those that are there comes near.
scroll.addEventListener("scroll", () => {
  if (scroll.scrollTop + scroll.clientHeight > scroll.scrollHeight - 800) more();
}, { passive: true });
addEventListener("beforeprint", () => { while (more()); });

board.addEventListener("click", event => {
  const sorter = event.target.closest("[data-sort]");
  if (sorter) {
    const { sort, first } = sorter.dataset;
    const other = { ascending: "descending", descending: "ascending" };
    Object.assign(state, { direction: state.sort === sort ? other[state.direction] : first, sort });
    draw();
    board.querySelector(`[data-sort="${sort}"]`).focus();
    return;
  }
  const cell = event.target.closest("[data-row]");
  if (cell && (event.target.closest("button") || String(getSelection()) === "")) openPanel(ROWS[cell.dataset.row]);
});

// Arrow keys go from value to value in the overview (one stop for the Tab key), and from row to row.
board.addEventListener("keydown", event => {
  const cell = event.target.closest("td[data-row], tr[data-row] button");
  if (!cell) return;
  if (cell.tagName === "TD" && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    openPanel(ROWS[cell.dataset.row]);
    return;
  }
  const next = neighbour(cell, event.key);
  if (!next) return;
  event.preventDefault();
  if (next.tagName === "TD") { cell.tabIndex = -1; next.tabIndex = 0; }
  next.focus();
});

function neighbour(cell, key) {
  const row = cell.closest("tr"), up = key === "ArrowUp", down = key === "ArrowDown";
  if (cell.tagName === "BUTTON") {
    const other = up ? row.previousElementSibling : down ? row.nextElementSibling : null;
    return other && other.querySelector("button.open");
  }
  const step = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling", ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[key];
  if (!step) return null;
  const place = cell.cellIndex;
  let found = up || down ? row[step] : cell[step];
  for (; found; found = found[step]) {
    const candidate = up || down ? found.cells[place] : found;
    if (candidate && candidate.matches("[data-row]")) return candidate;
  }
  return null;
}

const collections = [...new Set(PAIRS.map(pair => pair.collection))];

function options(select, values, all) {
  select.replaceChildren(...(all ? [el("option", { value: "" }, all)] : []), ...values.map(([value, name]) => el("option", { value }, name)));
  select.parentElement.hidden = values.length < 2;
}

function setUp() {
  const languages = side => [...new Set(PAIRS.map(pair => pair[side]))].map(code => [code, languageName(code)]);
  options(byId("metric"), DATA.metrics.map(([, name], place) => [String(place), name]));
  options(byId("collection"), collections.map(name => [name, name]), "all");
  options(byId("query"), languages("query"), "all languages");
  options(byId("documents"), languages("documents"), "all languages");
  byId("views").hidden = PAIRS.length < 2;
  for (const name of ["collection", "query", "documents"]) byId(name).addEventListener("change", event => { state[name] = event.target.value; draw(); });
  byId("system").addEventListener("input", event => { state.system = event.target.value; draw(); });
  byId("metric").addEventListener("change", event => { state.metric = Number(event.target.value); draw(); });
  byId("published").addEventListener("change", event => { state.published = event.target.checked; draw(); });
  byId("views").addEventListener("change", event => { Object.assign(state, { view: event.target.value, sort: "" }); draw(); });
  panel.addEventListener("close", () => { opened = null; saveState(); });
  panel.addEventListener("click", event => { if (event.target === panel) panel.close(); });
  columnMenu();
}

function columnMenu() {
  const menu = byId("columns"), groups = new Map();
  for (const each of COLUMNS.filter(found => !found.fixed)) {
    if (!groups.has(each.group)) groups.set(each.group, el("fieldset", {}, el("legend", {}, each.group)));
    const box = el("input", { type: "checkbox", "data-column": each.id });
    box.checked = Boolean(each.on);
    box.addEventListener("change", () => { each.on = box.checked; draw(); });
    groups.get(each.group).append(el("label", {}, box, each.name));
  }
  menu.querySelector("div").append(...groups.values());
  document.addEventListener("click", event => { if (!menu.contains(event.target)) menu.open = false; });
  menu.addEventListener("keydown", event => {
    if (event.key === "Escape") { menu.open = false; menu.querySelector("summary").focus(); }
  });
}

function rowAddress(row) {
  return [row.pair.collection, row.pair.query, row.pair.documents, row.system.name].join(" ");
}

function saveState() {
  const { view, metric, collection, query, documents, system, published, sort, direction } = state;
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries({ view, metric, collection, query, documents, system, published, sort, direction })) {
    if (value) found.set(name, value === true ? "1" : String(value));
  }
  if (opened) found.set("row", rowAddress(opened));
  try {
    history.replaceState(null, "", "#" + found);
  } catch {
    // Some viewers do not let a page change its address; then it is not kept.
  }
}

function restoreState() {
  const found = new URLSearchParams(location.hash.slice(1));
  const wanted = (name, known) => known.includes(found.get(name)) ? found.get(name) : "";
  state.view = PAIRS.length > 1 ? wanted("view", ["overview", "rows"]) || "overview" : "rows";
  state.metric = Number(wanted("metric", DATA.metrics.map((_, place) => String(place))));
  state.collection = wanted("collection", collections);
  state.query = wanted("query", PAIRS.map(pair => pair.query));
  state.documents = wanted("documents", PAIRS.map(pair => pair.documents));
  state.system = found.get("system") || "";
  state.published = found.get("published") === "1";
  state.direction = wanted("direction", ["ascending", "descending"]);
  state.sort = state.direction ? found.get("sort") || "" : "";
  for (const name of ["metric", "collection", "query", "documents", "system"]) byId(name).value = String(state[name]);
  byId("published").checked = state.published;
  document.querySelector(`input[name=view][value=${state.view}]`).checked = true;
  return ROWS.find(row => rowAddress(row) === found.get("row"));
}

setUp();
const asked = restoreState();
byId("app").hidden = false;
draw();
if (asked) addEventListener("load", () => openPanel(asked));  // what it needs stands behind this script
document.documentElement.dataset.ready = performance.now().toFixed(0);
