"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

function el(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}
function time(x) {
  if (x === null || x === undefined) return "none";
  if (data.time_unit !== "s") return x.toPrecision(6) + " " + data.time_unit;
  for (const [scale, unit] of [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]]) if (x >= scale) return (x / scale).toPrecision(5) + " " + unit;
  return x > 0 ? (x * 1e9).toPrecision(4) + " ns" : "0";
}
const megabytes = (x) => (x / 1048576).toPrecision(4) + " MB";
const colour = (chip) => `hsl(${(chip * 137.5) % 360} 62% ${62 + 12 * (chip % 3)}%)`;

function header() {
  document.getElementById("verdict").textContent = data.verdict;
  const figures = [["period", time(data.period)], ["proved bound", time(data.bound)],
    ["gap", data.gap === null ? "none" : (100 * data.gap).toPrecision(3) + " %"],
    ["throughput", data.throughput === null ? "none" : data.throughput.toPrecision(5) + " / " + data.time_unit],
    ["latency", time(data.latency)], ["operations", data.operations], ["solved in", data.seconds.toFixed(2) + " s"]];
  for (const [name, value] of figures) {
    const div = document.createElement("div");
    for (const [tag, text] of [["dt", name], ["dd", value]]) {
      const part = document.createElement(tag);
      part.textContent = text;
      div.appendChild(part);
    }
    document.getElementById("figures").appendChild(div);
  }
}

/* Bars of one or more stacked parts; lines mark limits. rows: [label, [[amount, colour, what]...], tooltip] */
function bars(where, rows, limits, format) {
  const holder = document.querySelector(where + " .chart");
  if (!rows.length) { document.querySelector(where).hidden = true; return; }
  const width = Math.max(280, holder.clientWidth), height = 230, left = 8, bottom = 22, top = 16;
  const svg = el("svg", { viewBox: `0 0 ${width} ${height}` }, holder);
  const largest = Math.max(...rows.map((r) => r[1].reduce((a, p) => a + p[0], 0)), ...limits.map((l) => l[0]), 1e-300);
  const step = (width - 2 * left) / rows.length, scale = (height - bottom - top) / largest;
  rows.forEach(([label, parts, tip], i) => {
    let y = height - bottom;
    const group = el("g", {}, svg);
    el("title", {}, group, tip);
    for (const [amount, fill] of parts) {
      const h = amount * scale;
      y -= h;
      el("rect", { x: left + i * step + step * 0.1, y, width: step * 0.8, height: h, fill }, group);
    }
    const room = 12 + 7 * Math.max(...rows.map((r) => String(r[0]).length));
    const every = Math.ceil(rows.length * room / width);
    if (i % every === 0) el("text", { x: left + (i + 0.5) * step, y: height - 7, "text-anchor": "middle" }, svg, label);
  });
  limits.forEach(([value, text, stroke], i) => {
    const y = height - bottom - value * scale;
    el("line", { x1: left, x2: width - left, y1: y, y2: y, stroke, "stroke-dasharray": "5 3" }, svg);
    el("text", { x: i % 2 ? left : width - left, y: y - 4, "text-anchor": i % 2 ? "start" : "end" }, svg, `${text} ${format(value)}`);
  });
}
function note(where, text) { document.querySelector(where + " .note").textContent = text; }

function charts() {
  const chips = data.per_chip;
  const serial = chips.some((c) => c.load > Math.max(c.compute, c.receive, c.send) * (1 + 1e-9));
  note("#load", serial ? "Compute (blue), receive (orange) and send (green) take turns; the dashed lines are period and proved bound."
    : "Compute; transfers overlap with it. The dashed lines are period and proved bound.");
  bars("#load", chips.map((c) => [c.chip, serial ? [[c.compute, "var(--bar)"], [c.receive, "var(--bar2)"], [c.send, "var(--bar3)"]]
    : [[c.load, c.load > c.compute ? "var(--bar2)" : "var(--bar)"]],
    `chip ${c.chip} (${c.kind}): ${c.operations} operations, compute ${time(c.compute)}, receive ${time(c.receive)}, send ${time(c.send)}`]),
    chips.length ? [[data.period, "period", "var(--ink)"], [data.bound, "bound", "var(--limit)"]] : [], time);
  note("#link", "Time that the tensors crossing a link occupy it, per input, against the period.");
  bars("#link", data.per_link.map(([name, seconds]) => [name, [[seconds, "var(--bar2)"]], `link ${name}: ${time(seconds)}`]),
    data.per_link.length ? [[data.period, "period", "var(--ink)"]] : [], time);
  const limit = Math.max(...chips.map((c) => c.capacity || 0), 0);
  const peaks = chips.some((c) => c.peak !== null);
  note("#memory", peaks ? "Resident weights (blue), and buffers and live tensors at the worst moment of the schedule (orange)."
    : "Resident weights.");
  bars("#memory", chips.map((c) => [c.chip, [[c.sram, "var(--bar)"], ...(c.peak !== null ? [[c.peak - c.sram, "var(--bar2)"]] : [])],
    `chip ${c.chip}: ${megabytes(c.sram)} of weights` + (c.peak !== null ? `, ${megabytes(c.peak)} at most` : "")]),
    limit ? [[limit, "capacity", "var(--limit)"]] : [], megabytes);
}

function convergence() {
  const points = data.history.filter((p) => p[1] !== null || p[2] > 0);
  if (points.length < 2) { document.getElementById("history").hidden = true; return; }
  const last = data.proofs.length ? data.proofs[data.proofs.length - 1].phase : "none";
  note("#history", `Best period (blue) and proved bound (red) over time; the winning bound came from phase "${last}".`);
  const holder = document.querySelector("#history .chart");
  const width = Math.max(280, holder.clientWidth), height = 230, left = 24, bottom = 24, top = 14;
  const svg = el("svg", { viewBox: `0 0 ${width} ${height}` }, holder);
  const end = Math.max(data.seconds, points[points.length - 1][0], 1e-3), begin = Math.min(0.01, end / 2);
  const x = (t) => left + (Math.log(Math.max(t, begin)) - Math.log(begin)) / (Math.log(end) - Math.log(begin)) * (width - 2 * left);
  const best = data.period || Math.max(...points.map((p) => p[2]));
  const high = Math.min(Math.max(...points.map((p) => p[1] || 0), best), 1.6 * best), low = Math.min(...points.map((p) => p[2] || best), best);
  const span = high - low || high || 1;
  const y = (v) => top + (1 - (Math.min(v, high) - low) / span) * (height - top - bottom);
  for (const [column, stroke] of [[1, "var(--bar)"], [2, "var(--limit)"]]) {
    let path = "", previous = null;
    for (const p of [...points, [end, data.period, data.bound]]) {
      if (p[column] === null || (column === 2 && !(p[2] > 0))) continue;
      path += previous === null ? `M${x(p[0])},${y(p[column])}` : `H${x(p[0])}V${y(p[column])}`;
      previous = p;
    }
    el("path", { d: path, fill: "none", stroke, "stroke-width": 2 }, svg);
  }
  for (let t = 1e-2; t <= end; t *= 10) if (t >= begin) el("text", { x: x(t), y: height - 8, "text-anchor": "middle" }, svg, `${t >= 1 ? t : +t.toPrecision(1)} s`);
  el("text", { x: left, y: y(best) - 4 }, svg, time(best));
}

/* --- the graph: boxes by chip and layer; a box opens into its operations --- */
const canvas = document.getElementById("canvas");
let view = { x: 0, y: 0, w: 100, h: 100 }, whole = view, layer = null, place = [], shown = null;

function frame() { canvas.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`); }
function begin(width, height) {
  canvas.textContent = "";
  layer = el("g", {}, canvas);
  whole = { x: -20, y: -40, w: width + 40, h: height + 60 };
  view = { ...whole };
  frame();
}
function draw(items, arrows, click) {
  const most = Math.max(...arrows.map((a) => a[2]), 1);
  for (const [a, b, amount] of arrows) {
    const p = items[a], q = items[b];
    if (!p || !q) continue;
    const x1 = p.x + p.w, y1 = p.y + p.h / 2, x2 = q.x, y2 = q.y + q.h / 2, bend = Math.max(30, Math.abs(x2 - x1) / 2);
    el("path", { class: "arrow", d: `M${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`, "stroke-width": 1 + 3 * amount / most }, layer);
  }
  items.forEach((item, i) => {
    if (!item) return;
    const group = el("g", {}, layer);
    el("title", {}, group, item.tip);
    item.node = el("rect", { class: "box", x: item.x, y: item.y, width: item.w, height: item.h, rx: 6, fill: colour(item.chip) }, group);
    item.lines.forEach((line, k) => el("text", { x: item.x + 7, y: item.y + 15 + 14 * k }, group, line));
    item.node.addEventListener("click", () => { if (!moved) click(i); });
  });
}
const short = (name, length) => name.length > length ? "…" + name.slice(1 - length) : name;

function boxes() {
  shown = null;
  document.getElementById("back").hidden = true;
  const g = data.graph, rows = 12, w = 190, h = 40;
  const chips = [...new Set(g.boxes.map((b) => b[1]))].map((chip) => {
    const mine = g.boxes.map((b, i) => [b, i]).filter(([b]) => b[1] === chip);
    return { chip, mine, width: Math.ceil(mine.length / rows) * (w + 14) + 46, height: Math.min(mine.length, rows) * (h + 10) + 50 };
  });
  // Chips stand in shelves, as many in each as show the whole largest.
  const shelves = (count) => {
    const found = { spots: [], width: 0, height: 0 };
    for (let i = 0; i < chips.length; i += count) {
      let x = 0;
      for (const c of chips.slice(i, i + count)) { found.spots.push([x, found.height]); x += c.width; }
      found.width = Math.max(found.width, x);
      found.height += Math.max(...chips.slice(i, i + count).map((c) => c.height));
    }
    found.scale = Math.min(canvas.clientWidth / found.width, canvas.clientHeight / found.height);
    return found;
  };
  const best = chips.map((_, i) => shelves(i + 1)).reduce((a, b) => (b.scale > a.scale ? b : a));
  place = new Array(g.boxes.length);
  begin(best.width, best.height);
  chips.forEach(({ chip, mine }, at) => {
    const [x, y] = best.spots[at];
    el("text", { class: "head", x, y: y - 10 }, layer, `chip ${chip}`);
    mine.forEach(([b, i], k) => {
      place[i] = { x: x + Math.floor(k / rows) * (w + 14), y: y + (k % rows) * (h + 10), w, h, chip,
        lines: [short(b[0], 28), `${b[2]} operations, ${time(b[3])}`], tip: `${b[0]}\nchip ${chip}: ${b[2]} operations, ${time(b[3])}` };
    });
  });
  draw(place, g.arrows, operations);
}
function operations(box) {
  const g = data.graph, mine = g.box.map((b, v) => [b, v]).filter(([b]) => b === box).map(([, v]) => v);
  const inside = new Set(mine), level = new Map(), count = [];
  const edges = g.edges.filter(([u, w]) => inside.has(u) && inside.has(w));
  for (const v of mine) level.set(v, 0);
  for (let again = true, round = 0; again && round < mine.length; round++) {
    again = false;
    for (const [u, w] of edges) if (level.get(w) < level.get(u) + 1) { level.set(w, level.get(u) + 1); again = true; }
  }
  const w = 210, h = 40, items = [], index = new Map();
  mine.forEach((v, i) => {
    const at = level.get(v), row = count[at] = (count[at] || 0) + 1;
    index.set(v, i);
    items.push({ x: at * (w + 40), y: (row - 1) * (h + 10), w, h, chip: g.chip[v], lines: [short(g.names[v], 30), `${g.types[v]}, ${time(g.seconds[v])}`],
      tip: `${g.names[v]}\n${g.types[v]} on chip ${g.chip[v]}, ${time(g.seconds[v])}` });
  });
  shown = box;
  place = items;
  document.getElementById("back").hidden = false;
  begin(count.length * (w + 40), Math.max(...count.map((c) => c || 0)) * (h + 10));
  el("text", { class: "head", x: 0, y: -12 }, layer, `${g.boxes[box][0]} on chip ${g.boxes[box][1]}`);
  draw(items, edges.map(([a, b]) => [index.get(a), index.get(b), 0]), (i) => tell(mine[i]));
}
function tell(v) {
  const g = data.graph;
  document.getElementById("told").textContent = `${g.names[v]}: ${g.types[v]}, chip ${g.chip[v]}, ${time(g.seconds[v])}`;
}
function find(text) {
  const v = text ? data.graph.names.findIndex((name) => name.toLowerCase().includes(text.toLowerCase())) : -1;
  if (v < 0) { document.getElementById("told").textContent = text ? "no such operation" : ""; return; }
  if (shown !== null) boxes();
  tell(v);
  place.forEach((item, i) => item.node.classList.toggle("found", i === data.graph.box[v]));
  const item = place[data.graph.box[v]];
  view = { x: item.x - 300, y: item.y - 200, w: 800, h: 800 * canvas.clientHeight / canvas.clientWidth };
  frame();
}

let moved = false;
const pointers = new Map();
function perPixel() {
  return Math.max(view.w / canvas.clientWidth, view.h / canvas.clientHeight);
}
function zoom(factor, px, py) {
  const box = canvas.getBoundingClientRect(), s = perPixel();
  const cx = view.x + view.w / 2 + (px - box.left - box.width / 2) * s, cy = view.y + view.h / 2 + (py - box.top - box.height / 2) * s;
  view = { x: cx + (view.x - cx) * factor, y: cy + (view.y - cy) * factor, w: view.w * factor, h: view.h * factor };
  frame();
}
canvas.addEventListener("wheel", (e) => { e.preventDefault(); zoom(Math.exp(e.deltaY / 400), e.clientX, e.clientY); }, { passive: false });
canvas.addEventListener("pointerdown", (e) => { pointers.set(e.pointerId, [e.clientX, e.clientY]); moved = false; });
window.addEventListener("pointerup", (e) => { pointers.delete(e.pointerId); });
window.addEventListener("pointermove", (e) => {
  const before = pointers.get(e.pointerId);
  if (!before) return;
  const others = [...pointers].filter(([id]) => id !== e.pointerId).map(([, p]) => p);
  if (Math.hypot(e.clientX - before[0], e.clientY - before[1]) < (moved ? 0 : 4)) return;
  moved = true;
  if (others.length) {
    const [ox, oy] = others[0], distance = (x, y) => Math.hypot(x - ox, y - oy) || 1;
    zoom(distance(...before) / distance(e.clientX, e.clientY), ox, oy);
  } else {
    const s = perPixel();
    view.x -= (e.clientX - before[0]) * s;
    view.y -= (e.clientY - before[1]) * s;
    frame();
  }
  pointers.set(e.pointerId, [e.clientX, e.clientY]);
});
document.getElementById("back").addEventListener("click", boxes);
document.getElementById("reset").addEventListener("click", () => { view = { ...whole }; frame(); });
document.getElementById("find").addEventListener("input", (e) => find(e.target.value.trim()));

function copies() {
  const holder = document.querySelector("#copies div");
  const say = (title, rows) => {
    if (!rows.length) return;
    const p = document.createElement("p"), list = document.createElement("ul");
    p.textContent = title;
    for (const [name, chips] of rows.slice(0, 50)) {
      const item = document.createElement("li");
      item.textContent = `${name}: chips ${chips.join(", ")}`;
      list.appendChild(item);
    }
    if (rows.length > 50) { const item = document.createElement("li"); item.textContent = `and ${rows.length - 50} more`; list.appendChild(item); }
    holder.append(p, list);
  };
  say("Operations that also run on further chips:", data.replicas);
  say("Tensors handed on by chips between producer and reader:", data.relays);
  if (!data.replicas.length && !data.relays.length) document.getElementById("copies").hidden = true;
}

header();
charts();
convergence();
if (data.graph.names.length) boxes(); else document.getElementById("graph").hidden = true;
copies();
document.querySelector("#again pre").textContent = data.command;
document.getElementById("again").hidden = !data.command;
document.body.dataset.ready = "yes";
