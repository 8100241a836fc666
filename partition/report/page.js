const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

function el(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}
function add(parent, tag, text) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}
const SECONDS = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
/* [amount, name] of the unit in which a largest value reads well */
const timeUnit = (largest) => data.time_unit !== "s" ? [1, data.time_unit] : SECONDS.find(([scale]) => largest >= scale) || SECONDS[3];
const byteUnit = () => [1048576, "MB"];
function time(x, digits = 5) {
  if (x === null || x === undefined) return "none";
  if (x === 0) return "0";
  const [scale, unit] = timeUnit(x);
  return `${(x / scale).toPrecision(digits)} ${unit}`;
}
const megabytes = (x) => (x >= 1e4 * 1048576 ? (x / 1048576).toFixed(0) : (x / 1048576).toPrecision(4)) + " MB";
const colour = (chip) => `hsl(${(chip * 137.5) % 360} 62% ${62 + 12 * (chip % 3)}%)`;

function header() {
  document.getElementById("verdict").textContent = data.verdict;
  const figures = [["period", time(data.period)], ["proved bound", time(data.bound)],
    ["gap", data.gap === null ? "none" : (100 * data.gap).toPrecision(3) + " %"],
    ["throughput", data.throughput === null ? "none" : data.throughput.toPrecision(5) + " / " + data.time_unit],
    ["latency", time(data.latency)], ["operations", data.operations], ["solved in", data.seconds.toFixed(2) + " s"]];
  for (const [name, value] of figures) {
    const div = add(document.getElementById("figures"), "div");
    add(div, "dt", name);
    add(div, "dd", value);
  }
}

/* Ticks at round values in the unit in which the largest reads well: [[value, label]...] */
function ticks(low, high, unitOf) {
  const [scale, unit] = unitOf(high), span = (high - low) / scale || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4)), step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= 4.5);
  const digits = Math.min(20, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))), found = [];
  for (let i = Math.ceil(low / scale / step - 1e-9); i * step <= high / scale * (1 + 1e-9); i++) found.push([i * step * scale, `${(i * step).toFixed(digits)} ${unit}`]);
  return found;
}
const ROOM = { height: 240, bottom: 24, top: 18, right: 10 };
/* An empty chart with labelled lines at round values; y turns a value into a height. */
function chart(where, low, high, unitOf) {
  const holder = document.querySelector(where + " .chart"), width = Math.max(280, holder.clientWidth);
  const svg = el("svg", { viewBox: `0 0 ${width} ${ROOM.height}`, role: "img" }, holder);
  const y = (v) => ROOM.height - ROOM.bottom - (v - low) / (high - low || 1) * (ROOM.height - ROOM.bottom - ROOM.top);
  const marks = ticks(low, high, unitOf), left = 14 + 6.4 * Math.max(...marks.map(([, text]) => text.length), 4);
  for (const [value, text] of marks) {
    el("line", { class: "grid", x1: left, x2: width - ROOM.right, y1: y(value), y2: y(value) }, svg);
    el("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, svg, text);
  }
  return { svg, width, left, y };
}

/* Bars of one or more stacked parts; lines mark limits. rows: [label, [[amount, colour]...], what to say of it] */
function bars(where, axis, rows, limits, unitOf) {
  if (!rows.length) { document.querySelector(where).hidden = true; return; }
  const largest = Math.max(...rows.map((r) => r[1].reduce((a, p) => a + p[0], 0)), ...limits.map((l) => l[0])) || unitOf(0)[0];
  const { svg, width, left, y } = chart(where, 0, largest, unitOf), step = (width - left - ROOM.right) / rows.length;
  svg.setAttribute("aria-label", `${document.querySelector(where + " h2").textContent}; ${rows.map((r) => r[2]).join("; ")}`);
  const room = 12 + 7 * Math.max(...rows.map((r) => String(r[0]).length)), every = Math.ceil(rows.length * room / (width - left));
  rows.forEach(([label, parts, tip], i) => {
    let below = 0;
    const group = el("g", { class: "bar" }, svg);
    el("rect", { class: "reach", x: left + i * step, y: 0, width: step, height: ROOM.height }, group);
    for (const [amount, fill] of parts) {
      el("rect", { x: left + (i + 0.1) * step, y: y(below + amount), width: step * 0.8, height: y(below) - y(below + amount), fill }, group);
      below += amount;
    }
    for (const event of ["pointerenter", "click"]) group.addEventListener(event, () => { document.querySelector(where + " output").textContent = tip; });
    const middle = left + (i + 0.5) * step;
    if (i % every === 0 && middle + room / 2 <= width + 6 && middle - room / 2 >= left - 12) el("text", { x: middle, y: ROOM.height - 8, "text-anchor": "middle" }, svg, label);
  });
  el("text", { x: left - 6, y: ROOM.height - 8, "text-anchor": "end" }, svg, axis);
  limits.forEach(([value, text, stroke], i) => {
    el("line", { class: "limit", x1: left, x2: width - ROOM.right, y1: y(value), y2: y(value), stroke }, svg);
    el("text", { x: i % 2 ? left + 2 : width - ROOM.right, y: y(value) - 5, "text-anchor": i % 2 ? "start" : "end" }, svg, text);
  });
}
function note(where, text) { document.querySelector(where + " .note").textContent = text; }

function charts() {
  const chips = data.per_chip;
  const serial = data.serial;
  const streamed = (c) => Math.max(0, c.load - c.compute - c.receive - c.send);  // what is not beside compute
  const moving = !serial && chips.some((c) => c.load > c.compute);
  note("#load", (serial ? "Compute (blue), receive (orange) and send (green) take turns" + (data.streams ? ", with what streaming adds (red)" : "")
    : "Compute (blue); transfers overlap with it" + (moving ? `, and count where they ${data.streams ? "or streaming " : ""}take longer (orange)` : ""))
    + ". The dashed lines are period and proved bound.");
  bars("#load", "chip", chips.map((c) => [c.chip, serial ? [[c.compute, "var(--bar)"], [c.receive, "var(--bar2)"], [c.send, "var(--bar3)"], [streamed(c), "var(--limit)"]]
    : [[c.load, c.load > c.compute ? "var(--bar2)" : "var(--bar)"]],
    `chip ${c.chip} (${c.kind}): ${c.operations} operations, compute ${time(c.compute)}, receive ${time(c.receive)}, send ${time(c.send)}` + (c.stream ? `, streaming ${time(c.stream)}` : "")]),
    chips.length ? [[data.period, `period ${time(data.period)}`, "var(--ink)"], [data.bound, `bound ${time(data.bound)}`, "var(--limit)"]] : [], timeUnit);
  note("#link", "Time that the tensors crossing a link occupy it, per input, against the period.");
  bars("#link", "link", data.per_link.map(([name, seconds]) => [name, [[seconds, "var(--bar2)"]], `link ${name}: ${time(seconds)}`]),
    data.per_link.length ? [[data.period, `period ${time(data.period)}`, "var(--ink)"]] : [], timeUnit);
  const limit = Math.max(...chips.map((c) => c.capacity || 0), 0);
  const peaks = chips.some((c) => c.peak !== null);
  note("#memory", peaks ? "Resident weights (blue), and buffers and live tensors at the worst moment of the schedule (orange)."
    : "Resident weights." + (data.streams ? " What exceeds the capacity is streamed in every period."
      : data.memory ? "" : " The memory rule is off: the capacity need not be kept."));
  bars("#memory", "chip", chips.map((c) => [c.chip, [[c.sram, "var(--bar)"], ...(c.peak !== null ? [[c.peak - c.sram, "var(--bar2)"]] : [])],
    `chip ${c.chip}: ${megabytes(c.sram)} of weights` + (c.peak !== null ? `, ${megabytes(c.peak)} at most` : "")]),
    limit ? [[limit, `capacity ${megabytes(limit)}`, "var(--limit)"]] : [], byteUnit);
}

function convergence() {
  const points = data.history.filter((p) => p[1] !== null || p[2] > 0);
  if (points.length < 2) { document.getElementById("history").hidden = true; return; }
  const best = data.period || Math.max(...points.map((p) => p[2])), lows = points.map((p) => p[2]).filter((v) => v > 0);
  const high = Math.min(Math.max(...points.map((p) => p[1] || 0), best), 1.6 * best) * 1.02;
  const least = Math.min(...lows, best), low = Math.max(0, least - 0.14 * (high - least));
  const last = data.proofs.length ? data.proofs[data.proofs.length - 1].phase : "none";
  note("#history", `Best period (blue) and proved bound (red) over time; the last and best bound came from "${last}".` +
    (points.some((p) => p[1] > high) ? " The first periods are above the frame." : ""));
  const { svg, width, left, y } = chart("#history", low, high, timeUnit);
  svg.setAttribute("aria-label", `period ${time(data.period)} and bound ${time(data.bound)} after ${data.seconds.toFixed(2)} s`);
  const end = Math.max(data.seconds, points[points.length - 1][0], 1e-3), begin = Math.min(Math.max(points[0][0], 1e-3), end / 2);
  const x = (t) => left + Math.log(Math.max(t, begin) / begin) / Math.log(end / begin) * (width - left - ROOM.right);
  const drawn = [];
  for (const [column, stroke] of [[1, "var(--bar)"], [2, "var(--limit)"]]) {
    let path = "";
    for (const p of [...points, [end, data.period, data.bound]]) {
      if (p[column] === null || (column === 2 && !(p[2] > 0))) continue;
      const at = y(Math.min(Math.max(p[column], low), high));
      path += path ? `H${x(p[0])}V${at}` : `M${x(p[0])},${at}`;
    }
    if (path) { el("path", { d: path, fill: "none", stroke, "stroke-width": 2 }, svg); drawn.push(column); }
  }
  if (drawn.includes(1)) el("text", { x: width - ROOM.right - 4, y: y(best) - 6, "text-anchor": "end" }, svg, `period ${time(data.period)}`);
  if (drawn.includes(2)) el("text", { x: width - ROOM.right - 4, y: Math.min(y(data.bound) + 15, ROOM.height - ROOM.bottom - 4), "text-anchor": "end" }, svg, `bound ${time(data.bound)}`);
  const few = [1, 2, 5].flatMap((m) => [-3, -2, -1, 0, 1, 2, 3].map((e) => m * 10 ** e)).filter((t) => t >= begin && t <= end).sort((a, b) => a - b);
  let free = left - 4;  // where the name of the axis ends
  for (const t of few) {
    if (x(t) - 22 < free || x(t) > width - 24) continue;
    el("text", { x: x(t), y: ROOM.height - 8, "text-anchor": "middle" }, svg, `${+t.toPrecision(1)} s`);
    free = x(t) + 24;
  }
  el("text", { x: left - 6, y: ROOM.height - 8, "text-anchor": "end" }, svg, "time");
}

function copies() {
  const holder = document.querySelector("#copies div");
  const say = (title, rows) => {
    if (!rows.length) return;
    add(holder, "p", title);
    const list = add(holder, "ul");
    for (const [name, chips] of rows.slice(0, 50)) add(list, "li", `${name}: chips ${chips.join(", ")}`);
    if (rows.length > 50) add(list, "li", `and ${rows.length - 50} more`);
  };
  say("Operations that also run on further chips:", data.replicas);
  say("Tensors handed on by chips between producer and reader:", data.relays);
  document.getElementById("copies").hidden = !data.replicas.length && !data.relays.length;
}

function table() {
  document.getElementById("table").hidden = !data.per_chip.length;
  const holder = document.querySelector("#table table");
  const head = add(add(holder, "thead"), "tr"), body = add(holder, "tbody");
  const streams = data.streams ? ["streaming"] : [];
  for (const name of ["chip", "kind", "operations", "compute", ...streams, "receive", "send", "of the period", "SRAM"]) add(head, "th", name).scope = "col";
  for (const c of data.per_chip) {
    const row = add(body, "tr");
    for (const text of [c.chip, c.kind, c.operations, time(c.compute), ...streams.map(() => time(c.stream)), time(c.receive), time(c.send),
      data.period ? (100 * c.load / data.period).toFixed(1) + " %" : "", megabytes(c.sram)]) add(row, "td", text);
  }
}

function finish() {
  header();
  charts();
  convergence();
  if (data.graph.names.length) boxes(); else document.getElementById("graph").hidden = true;
  copies();
  table();
  document.querySelector("#again pre").textContent = data.command;
  note("#again", `mcm-partition ${data.version}, seed ${data.seed}.`);
  document.getElementById("again").hidden = !data.command;
  document.body.dataset.ready = "yes";
}
