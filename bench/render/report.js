"use strict";
// Text from results is only ever set as text: nothing here makes markup of a string.
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
function drawn(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
const points = (figure) => (100 * figure).toFixed(2);
const signed = (figure) => (figure < 0 ? "−" : "+") + Math.abs(100 * figure).toFixed(2);
const asked = () => (/(?:^#|\/)q=(.*)$/.exec(location.hash) || [])[1];

// Tables: a click on a column's title sorts each group of rows by it, a second click the other way round.
function own(cell) {
  return [...cell.childNodes].filter((node) => !["SUP", "svg"].includes(node.nodeName))
    .map((node) => node.textContent).join("").trim();
}
function value(text) {
  const found = /^[+−-]?[\d,]*\.?\d+/.exec(text);
  if (!found) return NaN;
  const scale = { M: 1e6, B: 1e9 }[text.slice(found[0].length)] || 1;
  return scale * parseFloat(found[0].replace(/,/g, "").replace("−", "-"));
}
function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  if (Math.max(...[...table.tBodies].map((body) => body.rows.length)) < 3) return;
  heads.forEach((head, place) => {
    if (head.nodeName !== "TH") return;
    const button = element("button", { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const order = head.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      for (const body of table.tBodies) sort(body, place, order === "ascending" ? 1 : -1);
    });
  });
}
function sort(body, place, sign) {
  const rows = [...body.rows].filter((row) => row.cells.length > place && !row.querySelector(".group"));
  const keys = new Map(rows.map((row) => [row, own(row.cells[place])]));
  const numbers = rows.some((row) => !isNaN(value(keys.get(row))));
  rows.sort((a, b) => {
    if (!numbers) return -sign * keys.get(a).localeCompare(keys.get(b), "en");
    const [x, y] = [value(keys.get(a)), value(keys.get(b))];
    return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) : sign * (x - y);
  });
  body.append(...rows);
}

// Choosing: a labelled list of names, or of groups of names.
function chooser(label, names, chosen, changed, grow) {
  const select = element("select");
  names.forEach((name, place) => select.append(element("option", { value: place }, name)));
  select.value = chosen;
  select.addEventListener("change", changed);
  return [element("label", grow ? { class: "grow" } : {}, label, select), select];
}
function figuresOf(packed) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 2 }, (_, place) => view.getUint16(2 * place, true) / 65535);
}

// Differences of any two rerankers, query by query, sorted.
function differences(host, data) {
  const figures = data.figures.map(figuresOf);
  const [labelA, a] = chooser("A", data.names, data.a, show);
  const [labelB, b] = chooser("B", data.names, data.b, show);
  const outcome = element("p", { class: "outcome", "aria-live": "polite" });
  const picture = element("div", { class: "ladder", role: "img" });
  const under = element("p", { class: "under" });
  const lists = element("div", { class: "pair" });
  host.append(element("div", { class: "pick" }, labelA, labelB), outcome, picture, under, lists);
  let order = [];
  function show() {
    const [x, y] = [figures[a.value], figures[b.value]];
    order = y.map((figure, query) => [figure - x[query], query]).sort((one, other) => other[0] - one[0]);
    const wins = order.filter(([each]) => each > 0).length, losses = order.filter(([each]) => each < 0).length;
    const mean = order.reduce((sum, [each]) => sum + each, 0) / order.length;
    const clear = data.differs[a.value].includes(+b.value) ? "significant" : "not significant";
    const told = data.competes[a.value] && data.competes[b.value] && a.value !== b.value
      ? ` The difference is ${clear} (randomisation test, Holm over all pairs, 5%).` : "";
    outcome.textContent = `B minus A is ${signed(mean)} points: B is better on ${wins} queries, equal on ` +
      `${order.length - wins - losses}, worse on ${losses}.${told}`;
    picture.setAttribute("aria-label", outcome.textContent);
    ladder(picture, order, tell);
    under.textContent = "";
    lists.replaceChildren(extremes(`B gains most`, order.slice(0, Math.min(5, wins))),
      extremes(`B loses most`, order.slice(order.length - Math.min(5, losses)).reverse()));
  }
  function name(query) {
    const id = data.ids[query], text = data.texts[id];
    return text ? `${id}: ${text.length > 120 ? `${text.slice(0, 120)}…` : text}` : id;
  }
  function tell(place) {
    const [difference, query] = order[place];
    under.textContent = `${name(query)} · A ${points(figures[a.value][query])} · B ` +
      `${points(figures[b.value][query])} · ${signed(difference)}`;
  }
  function extremes(title, chosen) {
    const list = element("ul");
    for (const [difference, query] of chosen) {
      const id = data.ids[query];
      const shown = data.shown.includes(id)
        ? element("a", { href: `${data.queries}${data.queries.startsWith("#") ? "/" : "#"}q=${encodeURIComponent(id)}` }, name(query)) : name(query);
      list.append(element("li", {}, `${signed(difference)}  `, shown));
    }
    return element("div", {}, element("h3", {}, title), chosen.length ? list : element("p", {}, "No query."));
  }
  show();
}
function ladder(host, order, tell) {
  const width = Math.max(280, host.clientWidth || 800), height = 272, left = 44, bottom = 22;
  const high = Math.max(0.005, order[0][0]), low = Math.min(-0.005, order[order.length - 1][0]);
  const step = [0.01, 0.02, 0.05, 0.1, 0.2].find((each) => (high - low) / each <= 7) || 0.5;
  const x = (place) => left + (width - left - 4) * place / order.length;
  const y = (each) => 8 + (height - bottom - 16) * (high - each) / (high - low);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none" });
  for (let place = Math.ceil(low / step); place * step <= high; place++) {
    const each = place * step;
    svg.append(drawn("line", { class: each ? "grid" : "axis", x1: left, x2: width, y1: y(each), y2: y(each) }));
    svg.append(drawn("text", { x: left - 6, y: y(each) + 4, "text-anchor": "end" }, (each ? signed(each) : "0").replace(/\.\d+$/, "")));
  }
  for (const sign of [1, -1]) {
    let path = `M${x(0)},${y(0)}`;
    order.forEach(([each], place) => {
      const top = y(sign * each > 0 ? each : 0).toFixed(1);
      path += `L${x(place).toFixed(1)},${top}L${x(place + 1).toFixed(1)},${top}`;
    });
    svg.append(drawn("path", { class: sign > 0 ? "wins" : "losses", d: `${path}L${x(order.length)},${y(0)}Z` }));
  }
  svg.append(drawn("text", { x: left, y: height - 4 }, `${order.length} queries, by difference in points`));
  const cursor = drawn("line", { class: "cursor", x1: -9, x2: -9, y1: 0, y2: height - bottom });
  svg.append(cursor);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = (event.clientX - box.left) * width / box.width;
    const place = Math.min(order.length - 1, Math.max(0, Math.floor((at - left) / (width - left - 4) * order.length)));
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(place + 0.5));
    tell(place);
  });
  host.replaceChildren(svg);
}

// A query under two rerankers, side by side.
const kinds = { changed: "Changed most", hard: "Hardest" };
function queries(host, data) {
  const title = (query) => query.text ? `${query.id}: ${query.text}` : query.id;
  const select = element("select");
  for (const [why, label] of Object.entries(kinds)) {
    const group = element("optgroup", { label });
    data.queries.forEach((query, place) => {
      if (query.why === why) group.append(element("option", { value: place }, title(query).slice(0, 120)));
    });
    if (group.children.length) select.append(group);
  }
  const [labelA, a] = chooser("A", data.names, data.a, show);
  const [labelB, b] = chooser("B", data.names, data.b, show);
  const back = element("button", { type: "button" }, "Previous"), on = element("button", { type: "button" }, "Next");
  const shown = element("div", { "aria-live": "polite" });
  host.append(element("div", { class: "pick" }, element("label", { class: "grow" }, "Query", select), back, on),
    element("div", { class: "pick" }, labelA, labelB), shown);
  const step = (by) => () => { select.value = +select.value + by; show(); };
  back.addEventListener("click", step(-1));
  on.addEventListener("click", step(1));
  select.addEventListener("change", show);
  function show() {
    const place = +select.value, query = data.queries[place];
    back.disabled = place === 0;
    on.disabled = place === data.queries.length - 1;
    const words = wordsOf(query.text);
    shown.replaceChildren(
      element("h2", {}, `Query ${query.id}`), element("p", { class: "question" }, query.text || "Text not loaded."),
      element("div", { class: "pair" }, side("A", +a.value, +b.value), side("B", +b.value, +a.value)));
    function side(letter, mine, other) {
      const list = element("ol", { class: "order" });
      query.tops[mine].forEach(([place, score], rank) =>
        list.append(entry(place, score, moved(rank + 1, query.ranks[other][place], letter === "A" ? "B" : "A"), rank + 1)));
      return element("div", {}, element("h3", {}, `${letter}: ${data.names[mine]}, ${data.measure} ${points(query.figures[mine])}`),
        query.tops[mine].length ? list : element("p", {}, "No candidates."));
    }
    function entry(place, score, movement, rank) {
      const document = query.documents[place], text = data.texts[document];
      const facts = element("div", { class: "facts" }, element("b", {}, document), grade(query.grades && query.grades[place]),
        element("span", {}, `score ${score}`), element("span", {}, movement));
      const body = text === undefined ? [] : [element("p", { class: "text" }, ...marked(text, words))];
      return element("li", {}, element("span", { class: "rank" }, `${rank}`), element("div", {}, facts, ...body));
    }
  }
  function answer() {
    const wanted = asked();
    const found = wanted === undefined ? -1 : data.queries.findIndex((query) => query.id === decodeURIComponent(wanted));
    if (found >= 0) select.value = found;
    show();
  }
  window.addEventListener("hashchange", answer);
  answer();
}
function grade(found) {
  if (found === null) return "";
  if (found === undefined) return element("span", { class: "grade unjudged" }, "unjudged");
  return element("span", { class: `grade ${found > 0 ? "relevant" : "not"}` }, found > 0 ? `relevant, grade ${found}` : "not relevant");
}
function moved(rank, other, letter) {
  if (!other) return `not ranked in ${letter}`;
  return other === rank ? `= rank ${other} in ${letter}` : `${rank < other ? "▲" : "▼"} rank ${other} in ${letter}`;
}
// Scripts without blanks between words are compared by every two characters.
const unspaced = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Khmer}]/u;
const common = new Set("and are can did does for from has how not that the this was what when which who why will with".split(" "));
const twos = (word) => Array.from({ length: Math.max(0, word.length - 1) }, (_, place) => word.slice(place, place + 2));
function wordsOf(text) {
  const words = (text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) || []);
  return new Set(words.flatMap((word) => unspaced.test(word) ? twos(word) : word.length > 2 && !common.has(word) ? [word] : []));
}
function marked(text, words) {
  return text.split(/([\p{L}\p{M}\p{N}]+)/u).flatMap((part) => {
    const lower = part.toLowerCase();
    if (words.has(lower)) return [element("mark", {}, part)];
    if (!unspaced.test(part) || lower.length !== part.length) return [part];
    const hits = new Set(twos(lower).flatMap((two, place) => words.has(two) ? [place, place + 1] : []));
    return [...part].length === part.length
      ? [...part].map((letter, place) => hits.has(place) ? element("mark", {}, letter) : letter) : [part];
  });
}

// One file with all pages: the address says which is shown.
function route() {
  const name = decodeURIComponent(location.hash.slice(1).split("/q=")[0]);
  const sections = [...document.querySelectorAll("main > section")];
  const target = name && document.getElementById(name);
  const here = (target && target.closest("main > section")) || sections[0];
  const changed = !here.classList.contains("here");
  sections.forEach((each) => each.classList.toggle("here", each === here));
  if (changed) fill(here);
  if (target && target !== here) target.scrollIntoView(); else if (changed) window.scrollTo(0, 0);
}
function fill(part) {
  for (const host of part.querySelectorAll("[data-tool]:not([data-filled])")) {
    host.dataset.filled = "";
    ({ differences, queries })[host.dataset.tool](host, JSON.parse(host.querySelector("script").textContent));
  }
}
document.querySelectorAll("table").forEach(sortable);
if (document.querySelector("main.alone")) {
  document.querySelector("main").classList.add("routed");
  window.addEventListener("hashchange", route);
  route();
} else fill(document);
