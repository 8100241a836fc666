/* What all parts of the page use, the two answers, and the tables. */
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

function el(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}
function add(parent, tag, text, name) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  parent.appendChild(node);
  return node;
}
const of = (where, what) => document.querySelector(`${where} ${what}`);
const note = (where, text) => { of(where, ".note").textContent = text; };
const hide = (where) => { document.querySelector(where).hidden = true; };
/* Adds to the list of a key. */
const push = (lists, key, value) => { if (lists.has(key)) lists.get(key).push(value); else lists.set(key, [value]); };

/* Whether transfers, or streaming, take turns with compute; whether weights stream; whether chips reach each other without links. */
const serial = data.package.transfers === "serial", inTurn = data.package.streaming === "serial", streaming = data.per_chip.some((c) => c.stream > 0);
const hub = ["crossbar", "memory"].includes(data.package.topology);

/* Amounts: five digits, SI prefixes, a megabyte is 1,000,000 bytes. */
const SECONDS = [[1, "s"], [1e-3, "ms"], [1e-6, "us"], [1e-9, "ns"]];
const BYTES = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]];
const JOULES = [[1, "J"], [1e-3, "mJ"], [1e-6, "uJ"], [1e-9, "nJ"]];
/* [amount, name] of the unit in which a largest value reads well */
const unitIn = (units) => (largest) => units.find(([scale]) => largest >= scale * (1 - 5e-6)) || units[units.length - 1];
const byteUnit = unitIn(BYTES), timeUnit = data.time_unit === "s" ? unitIn(SECONDS) : () => [1, data.time_unit];
function amount(x, unitOf, digits = 5) {
  if (x === null || x === undefined) return "none";
  if (!(x > 0)) return "0";
  const [scale, unit] = unitOf(x), shown = x / scale;
  return `${shown.toFixed(Math.max(0, digits - 1 - Math.max(0, Math.floor(Math.log10(shown)))))} ${unit}`;
}
const time = (x, digits = 5) => amount(x, timeUnit, digits);
const bytes = (x, digits = 5) => x === null ? "unlimited" : amount(x, byteUnit, digits);
const rate = (x, unit) => x === null ? "unlimited" : amount(x, unitIn([[1e12, `T${unit}`], [1e9, `G${unit}`], [1e6, `M${unit}`], [1, unit]]), 4);
const percent = (x) => x === null ? "none" : x === 0 ? "0%" : x < 1e-6 ? "< 0.0001%" : `${+(100 * x).toPrecision(3)}%`;
const AT = 1 - 1e-9;
const share = (load) => data.period > 0 ? load / data.period : 0;
const plural = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;

/* Load as colour: pale to blue, and orange where it is the period. */
const PALE = [226, 236, 246], FULL = [47, 109, 176], BUSIEST = [224, 122, 47];
const mix = (a, b, s) => a.map((v, i) => Math.round(v + (b[i] - v) * s));
const heat = (s) => s >= AT ? BUSIEST : mix(PALE, FULL, Math.min(1, Math.max(0, s)) ** 1.6);
const css = (rgb) => `rgb(${rgb.join(" ")})`;
const ink = ([r, g, b]) => 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#10161c" : "#ffffff";
function scale(holder) {
  add(holder, "span", "load: 0 ");
  add(holder, "i", "", "ramp").style.background = `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 0.98].map((s) => css(heat(s))).join(",")})`;
  add(holder, "span", " just below the period, ");
  swatch(holder, css(BUSIEST), "the period");
}
function swatch(holder, colour, text, name = "swatch") {
  const item = add(holder, "span", undefined, "key");
  const mark = add(item, "i", "", name);
  if (name === "swatch") mark.style.background = colour; else mark.style.borderColor = colour;
  item.append(` ${text}`);
}

/* One tooltip, beside the pointer or the element in focus. */
const tip = document.getElementById("tip");
function showTip(text, x, y) {
  tip.textContent = text;
  tip.hidden = false;
  const w = tip.offsetWidth, h = tip.offsetHeight;
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - w - 6))}px`;
  tip.style.top = `${y + 18 + h > innerHeight ? Math.max(4, y - h - 10) : y + 18}px`;
}
const hideTip = () => { tip.hidden = true; };
/* A mark that listens for focus is a stop of the Tab key: only those that may be one do. */
function tips(node, text, reached = true) {
  const told = () => typeof text === "function" ? text() : text;
  node.addEventListener("pointermove", (e) => { if (e.pointerType !== "touch" || e.type === "click") showTip(told(), e.clientX, e.clientY); });
  node.addEventListener("click", (e) => { if (e.clientX || e.clientY) showTip(told(), e.clientX, e.clientY); });
  node.addEventListener("pointerleave", hideTip);
  if (!reached) return;
  node.addEventListener("focus", () => { const r = node.getBoundingClientRect(); if (node.matches(":focus-visible")) showTip(told(), r.left, r.bottom - 14); });
  node.addEventListener("blur", hideTip);
}
addEventListener("scroll", hideTip, { passive: true });
/* Marks in a row share one stop of the Tab key; arrows go on, Enter acts. In several rows, beyond(i, 1) is below i, beyond(i, -1) above it. */
function reachable(nodes, act, beyond = (i, by) => i + by) {
  nodes.forEach((node, i) => {
    node.setAttribute("tabindex", i ? -1 : 0);
    node.addEventListener("click", () => act(i));
    node.addEventListener("keydown", (e) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[e.key];
      const to = by ? beyond(i, by) : { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: nodes.length - 1 }[e.key];
      if (e.key === "Enter" || e.key === " ") act(i);
      else if (to === undefined) return;
      else if (nodes[to]) { nodes.forEach((n) => n.setAttribute("tabindex", -1)); nodes[to].setAttribute("tabindex", 0); nodes[to].focus(); }
      e.preventDefault();
    });
  });
}

/* One chip is chosen on the whole page: in the charts, the package and the graph. */
let chosen = null;
function choose(chip, scrolls = false) {
  chosen = chip;
  markChosen();
  if (data.graph) showChip(chip);
  if (scrolls && data.graph) document.getElementById("graph").scrollIntoView({ block: "start" });
}
function markChosen() {
  for (const node of document.querySelectorAll("[data-chip]")) node.classList.toggle("chosen", +node.dataset.chip === chosen);
}
function goTo(parent, text, act) {
  const button = add(parent, "button", text, "go");
  button.addEventListener("click", act);
  return button;
}

function header() {
  const verdict = document.getElementById("verdict"), state = { optimal: "proved optimal", feasible: "not proved optimal", infeasible: "infeasible" }[data.status];
  add(verdict, "strong", state, `badge ${data.status}`);
  verdict.append(` ${data.verdict}`);
  const placed = data.period !== null;
  const figures = placed ? [["period", time(data.period)], ["proved bound", time(data.bound)], ["gap", percent(data.gap)],
    ["throughput", data.throughput === null ? "unlimited" : `${+data.throughput.toPrecision(5)} / ${data.time_unit}`], ["latency", time(data.latency)],
    ...(data.energy > 0 ? [["energy per input", amount(data.energy, unitIn(JOULES))]] : [])] : [];
  figures.push(["operations", data.operations.toLocaleString("en")], ["solved in", `${data.seconds.toFixed(2)} s`]);
  for (const [name, value] of figures) {
    const div = add(document.getElementById("figures"), "div");
    add(div, "dt", name);
    add(div, "dd", value);
  }
}

/* A row of a list of parts: a bar behind name and amount. */
function partRow(holder, name, value, part, act, colour = "var(--bar)") {
  const row = add(holder, "div", undefined, "part");
  const bar = add(row, "i");
  bar.style.width = `${Math.min(100, 100 * part)}%`;
  bar.style.background = colour;
  if (act) goTo(row, name, act); else add(row, "span", name);
  add(row, "b", value);
}
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function whereAnswer() {
  const wall = data.wall, holder = of("#where", ".parts");
  if (!wall || wall.kind === "nothing") { hide("#where"); return; }
  of("#where", ".said").textContent = capital(wall.sentence) + ".";
  const { chips, links, parts, count, time: rest } = wall.busiest;
  const line = add(holder, "p", undefined, "note");
  if (links.length) {
    const named = links.map((l) => data.package.links[l]).map((l) => `${l.from} → ${l.to}`);
    line.append(`At the period: ${links.length === 1 ? "link" : "links"} ${named.slice(0, 8).join(", ")}${named.length > 8 ? ` and ${named.length - 8} more` : ""}. `);
  }
  if (chips.length) {
    line.append(`${links.length ? "Also" : "At the period:"} ${chips.length === 1 ? "chip" : "chips"} `);
    chips.slice(0, 8).forEach((c, i) => { if (i) line.append(", "); goTo(line, `${c}`, () => choose(c, true)); });
    line.append(`${chips.length > 8 ? ` and ${chips.length - 8} more` : ""}. `);
  }
  line.append(links.length ? "What this link carries:" : `What chip ${chips[0]} is busy with:`);
  const colours = { computes: "var(--bar)", streams: "var(--soft)", receives: "var(--bar2)", sends: "var(--bar3)", carries: "var(--bar2)" };
  for (const part of parts) {
    const act = part.doing === "computes" ? () => showNamed(part.name) : null;
    partRow(holder, (part.doing === "computes" ? "" : part.doing + " ") + part.name, `${time(part.time, 4)} · ${percent(share(part.time))}`, share(part.time), act, colours[part.doing]);
  }
  if (count) partRow(holder, `${count.toLocaleString("en")} more`, `${time(rest, 4)} · ${percent(share(rest))}`, share(rest), null, "var(--soft)");
}

function reasonAnswer() {
  const holder = of("#reason", ".parts");
  if (data.period === null) { misfit(holder); return; }
  const why = data.why, said = of("#reason", ".said");
  if (!why) { said.textContent = `The search was for ${data.goals.map((g) => g.goal).join(", then ")}; what proved those bounds was not recorded.`; goalRows(holder); return; }
  said.textContent = capital(why.sentence) + ".";
  if (why.engine) add(holder, "p", `The pages on the proof call its last step “${why.engine}”.`, "note");
  if (data.period > 0) {
    const bound = share(data.bound), sure = Math.min(why.share, bound), bar = add(holder, "div", undefined, "stack");
    const named = { operation: "one operation", operations: "operations that stay together", crowd: "heavy operations that meet", work: "the work in all",
      chip: `bound to chip ${why.chip}`, link: "bound to a link" }[why.kind];
    const pieces = [[sure, "var(--bar)", named], [bound - sure, "var(--bar3)", { work: "proved by counting", windows: "proved by counting", "given bound": "given" }[why.engine] || "proved by search"], [1 - bound, "var(--limit)", "open"]].filter(([part, , name]) => name && part > 5e-6);
    for (const [part, colour] of pieces) { const piece = add(bar, "i"); piece.style.flexGrow = part; piece.style.background = colour; }
    const legend = add(holder, "p", undefined, "legend");
    for (const [part, colour, name] of pieces) swatch(legend, colour, `${name} ${percent(part)}`);
    add(legend, "span", "of the period");
  }
  why.operations.slice(0, 12).forEach((name) => partRow(holder, name, "", 0, () => showNamed(name)));
  why.tensors.slice(0, 12).forEach((name) => partRow(holder, `tensor ${name}`, "", 0, null));
  const more = Math.max(0, why.operations.length - 12) + Math.max(0, why.tensors.length - 12);
  if (more) add(holder, "p", `and ${more.toLocaleString("en")} more`, "note");
  goalRows(holder);
}
function goalRows(holder) {
  if (data.goals.length === 1 && data.goals[0].goal === "period") return;
  for (const g of data.goals) partRow(holder, g.goal, `${+g.value.toPrecision(5)} · gap ${percent(g.gap)}`, 0, null);
}

/* Nothing fits: what is too heavy, and what would help. */
function misfit(holder) {
  const w = data.weights;
  of("#reason", "h2").textContent = "Why does it not fit?";
  of("#reason", ".said").textContent = capital(data.reason) + ".";
  if (data.advice) add(holder, "p", capital(data.advice) + ".", "advice");
  document.getElementById("reason").classList.add("wide");
  if (!w.rule || w.package === null) return;
  add(holder, "p", "Weights against SRAM:", "note");
  const most = Math.max(w.total, w.package);
  partRow(holder, "all weights", bytes(w.total), w.total / most, null, w.total > w.package ? "var(--limit)" : "var(--bar)");
  partRow(holder, "SRAM of all chips", bytes(w.package), w.package / most, null, "var(--bar3)");
  add(holder, "p", "What must share a chip, the heaviest first:", "note");
  const largest = Math.max(w.chip, ...w.heaviest.map((row) => row[2]));
  partRow(holder, "SRAM of the largest chip", bytes(w.chip), w.chip / largest, null, "var(--bar3)");
  for (const [name, count, size] of w.heaviest) {
    partRow(holder, name + (count > 1 ? ` and ${count - 1} with it` : ""), bytes(size), size / largest, null, size > w.chip ? "var(--limit)" : "var(--bar)");
  }
}

function tableOf(holder, names, rows) {
  const head = add(add(holder, "thead"), "tr"), body = add(holder, "tbody");
  for (const name of names) add(head, "th", name).scope = "col";
  for (const cells of rows) { const row = add(body, "tr"); for (const text of cells) add(row, "td", text); }
}
function tables() {
  const p = data.package, count = p.kinds.map((_, k) => p.kind_of_chip.filter((x) => x === k).length);
  tableOf(of("#hardware", "table"), ["kind of chip", "chips", "peak", "SRAM", "SRAM bandwidth", "per operation"], p.kinds.map((k, i) =>
    [k.name, count[i], rate(k.peak_flops, "FLOP/s"), bytes(k.sram_bytes), rate(k.sram_bandwidth, "B/s"), time(k.op_overhead_s)]));
  const on = Object.keys(p.rules).filter((r) => p.rules[r]), off = Object.keys(p.rules).filter((r) => !p.rules[r]);
  note("#hardware", `${capital(p.topology)}; a link or port carries ${rate(p.link_bandwidth, "B/s")}, a hop takes ${amount(p.link_latency_s, unitIn(SECONDS))}; transfers are ${p.transfers} with compute. ` +
    `Rules on: ${on.join(", ") || "none"}; off: ${off.join(", ") || "none"}. Times are a roofline (FLOPs, bytes, a fixed cost per operation) unless the model brings measured ones.`);
  if (data.guesses) add(document.getElementById("hardware"), "p", `Guessed: ${data.guesses}.`, "note");
  document.getElementById("table").hidden = !data.per_chip.length;
  tableOf(of("#table", "table"), ["chip", "kind", "operations", "compute", ...(streaming ? ["stream"] : []), "receive", "send", "of the period", "weights"], data.per_chip.map((c) =>
    [c.chip, c.kind, c.operations, time(c.compute), ...(streaming ? [time(c.stream)] : []), time(c.receive), time(c.send), percent(share(c.load)), bytes(c.sram)]));
}

function copies() {
  const holder = of("#copies", "div");
  const say = (title, rows, all) => {
    if (!rows.length) return;
    add(holder, "p", title);
    const list = add(holder, "ul");
    for (const [name, chips] of rows.slice(0, 50)) add(list, "li", `${name}: chips ${chips.join(", ")}`);
    if (all > 50) add(list, "li", `and ${all - 50} more`);
  };
  say("Operations that also run on further chips:", data.replicas, data.copies[0]);
  say("Tensors handed on by chips between producer and reader:", data.relays, data.copies[1]);
  document.getElementById("copies").hidden = !data.replicas.length && !data.relays.length;
}

function finish() {
  if (data.graph) readGraph();
  header();
  whereAnswer();
  reasonAnswer();
  drawPackage();
  charts();
  convergence();
  timeline();
  if (data.graph) startGraph(); else hide("#graph");
  copies();
  tables();
  of("#again", "pre").textContent = data.command;
  note("#again", `mcm-partition ${data.version}, seed ${data.seed}.` + (data.work === null && data.command && !data.command.includes("--work-limit") ?
    " The search was limited by time: another machine may get another answer; --work-limit makes it the same everywhere." : ""));
  document.getElementById("again").hidden = !data.command;
  document.body.dataset.ready = "yes";
}
