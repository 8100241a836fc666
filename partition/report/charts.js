/* Bars, convergence and the timeline. */

/* Ticks at round values in the unit in which the largest reads well: [[value, label]...] */
function ticks(low, high, unitOf) {
  const [scale, unit] = unitOf(high), span = (high - low) / scale || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4)), step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= 4.5);
  const digits = Math.min(20, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))), found = [];
  for (let i = Math.ceil(low / scale / step - 1e-9); i * step <= high / scale * (1 + 1e-9); i++) found.push([i * step * scale, `${(i * step).toFixed(digits)} ${unit}`]);
  return found;
}
const ROOM = { height: 240, bottom: 24, top: 12, right: 10 };
/* An empty chart with labelled lines at round values; y turns a value into a height. */
function chart(where, low, high, unitOf) {
  const holder = of(where, ".chart"), width = Math.max(280, holder.clientWidth);
  const svg = el("svg", { viewBox: `0 0 ${width} ${ROOM.height}`, role: "group" }, holder);
  const y = (v) => ROOM.height - ROOM.bottom - (v - low) / (high - low || 1) * (ROOM.height - ROOM.bottom - ROOM.top);
  const marks = ticks(low, high, unitOf), left = 14 + 6.4 * Math.max(...marks.map(([, text]) => text.length), 4);
  for (const [value, text] of marks) {
    el("line", { class: "grid", x1: left, x2: width - ROOM.right, y1: y(value), y2: y(value) }, svg);
    el("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, svg, text);
  }
  return { svg, width, left, y };
}

/* Bars of one or more stacked parts; lines mark limits.
   rows: {label, parts: [[amount, colour]...], tip, chip, limit of this bar}; limits of all: [[value, colour]...] */
function bars(where, axis, rows, limits, unitOf, act) {
  if (!rows.length) { hide(where); return; }
  const largest = Math.max(...rows.map((r) => Math.max(r.limit || 0, r.parts.reduce((a, p) => a + p[0], 0))), ...limits.map((l) => l[0])) || unitOf(0)[0];
  const { svg, width, left, y } = chart(where, 0, largest, unitOf), step = (width - left - ROOM.right) / rows.length;
  svg.setAttribute("aria-label", of(where, "h2").textContent);
  const room = 12 + 7 * Math.max(...rows.map((r) => String(r.label).length)), every = Math.ceil(rows.length * room / (width - left));
  const groups = rows.map((row, i) => {
    let below = 0;
    const group = el("g", { class: "bar", role: "img", "aria-label": row.tip }, svg);
    if (row.chip !== undefined) group.dataset.chip = row.chip;
    el("rect", { class: "reach", x: left + i * step, y: 0, width: step, height: ROOM.height }, group);
    for (const [size, fill] of row.parts) {
      el("rect", { x: left + (i + 0.1) * step, y: y(below + size), width: step * 0.8, height: y(below) - y(below + size), style: `fill: ${fill}` }, group);
      below += size;
    }
    if (row.limit) el("line", { class: "limit", x1: left + (i + 0.02) * step, x2: left + (i + 0.98) * step, y1: y(row.limit), y2: y(row.limit), style: "stroke: var(--limit)" }, group);
    const middle = left + (i + 0.5) * step;
    if (i % every === 0 && middle + room / 2 <= width + 6 && middle - room / 2 >= left - 12) el("text", { x: middle, y: ROOM.height - 8, "text-anchor": "middle" }, svg, row.label);
    tips(group, row.tip);
    return group;
  });
  reachable(groups, (i) => act && act(rows[i]));
  el("text", { x: left - 6, y: ROOM.height - 8, "text-anchor": "end" }, svg, axis);
  for (const [value, stroke] of limits) el("line", { class: "limit", x1: left, x2: width - ROOM.right, y1: y(value), y2: y(value), style: `stroke: ${stroke}` }, svg);
}

/* Compute and streaming, as they add up or overlap; and all that one input takes of a chip, one thing after the other. */
const work = (c) => inTurn ? c.compute + c.stream : Math.max(c.compute, c.stream);
const busyFor = (c) => work(c) + c.receive + c.send;
/* Whether transfers beside all that are what takes longest. */
const moves = (c) => !serial && c.load > work(c) * (1 + 1e-9);
const isBusiest = (c) => data.period > 0 && share(c.load) >= AT;

/* What a chip's bar is made of. */
function loadParts(c) {
  const first = isBusiest(c) ? "var(--hot)" : moves(c) ? "var(--bar2)" : !inTurn && c.stream > c.compute ? "var(--soft)" : "var(--bar)";
  const parts = inTurn && c.stream > 0 ? [[c.compute, first], [c.stream, "var(--soft)"]] : [[work(c), first]];
  if (serial) return [...parts, [c.receive, "var(--bar2)"], [c.send, "var(--bar3)"]];
  return parts.length > 1 && !moves(c) ? parts : [[c.load, first]];
}

function charts() {
  const chips = data.per_chip, moving = chips.some(moves);
  const legend = of("#load", ".legend"), pick = (row) => choose(row.chip);
  note("#load", (serial ? "Compute, receive and send take turns." : moving ? "Transfers overlap with compute; the longest of the three counts." : "Transfers overlap with compute, which takes longer on every chip.") +
    (streaming ? ` Weights beyond the SRAM are streamed from DRAM, ${inTurn ? "in turn with" : "beside"} compute.` : ""));
  swatch(legend, "var(--bar)", "compute");
  if (streaming) swatch(legend, "var(--soft)", inTurn ? "streaming" : "streaming, where it takes longer");
  if (serial || moving) swatch(legend, "var(--bar2)", serial ? "receive" : "transfers, where they take longer");
  if (serial) swatch(legend, "var(--bar3)", "send");
  swatch(legend, "var(--hot)", serial ? "compute of the busiest" : "the busiest");
  swatch(legend, "var(--ink)", `period ${time(data.period)}`, "dashes");
  swatch(legend, "var(--limit)", `bound ${time(data.bound)}`, "dashes");
  const told = (c) => `chip ${c.chip} (${c.kind}): ${plural(c.operations, "operation")}, ${percent(share(c.load))} of the period\ncompute ${time(c.compute)}${c.stream > 0 ? `, stream ${time(c.stream)}` : ""}, receive ${time(c.receive)}, send ${time(c.send)}`;
  bars("#load", "chip", chips.map((c) => ({ label: c.chip, chip: c.chip, tip: told(c) + (isBusiest(c) ? "\nthe busiest: its load is the period" : ""), parts: loadParts(c) })), chips.length ? [[data.period, "var(--ink)"], [data.bound, "var(--limit)"]] : [], timeUnit, pick);
  const links = data.package.links, lines = chips.length && !hub;
  note("#link", "Time that the tensors that cross a link occupy it, for every input.");
  swatch(of("#link", ".legend"), "var(--bar2)", "busy");
  swatch(of("#link", ".legend"), "var(--hot)", "the busiest, where it is the period");
  swatch(of("#link", ".legend"), "var(--ink)", `period ${time(data.period)}`, "dashes");
  bars("#link", "link", lines ? links.map((l, i) => ({ label: `${l.from} → ${l.to}`, parts: [[l.load, share(l.load) >= AT ? "var(--hot)" : "var(--bar2)"]], index: i, tip: linkTip(l) })) : [],
    links.length ? [[data.period, "var(--ink)"]] : [], timeUnit, (row) => showLink(row.index));
  const caps = chips.map((c) => c.capacity), peaks = chips.some((c) => c.peak !== null);
  const rule = data.package.rules.memory, key = of("#memory", ".legend");
  note("#memory", streaming ? "What each chip uses; what is beyond its capacity is streamed from DRAM." : rule ? "What must stay on each chip." : "The memory rule is off: the capacity need not be kept.");
  swatch(key, "var(--bar)", "weights");
  if (peaks) swatch(key, "var(--bar2)", "buffers and live tensors at the worst moment of the schedule");
  const sizes = chips.some((c) => c.sram > 0) ? [...new Set(caps.filter((c) => c))] : [];
  if (sizes.length) swatch(key, "var(--limit)", sizes.length === 1 ? `capacity ${bytes(sizes[0])}` : "capacity of the chip", "dashes");
  bars("#memory", "chip", chips.map((c) => ({ label: c.chip, chip: c.chip, limit: sizes.length > 1 ? c.capacity : 0, parts: [[c.sram, "var(--bar)"], ...(c.peak !== null ? [[c.peak - c.sram, "var(--bar2)"]] : [])],
    tip: `chip ${c.chip}: ${bytes(c.sram)} of weights` + (c.peak !== null ? `, ${bytes(c.peak)} at most` : "") + `, capacity ${bytes(c.capacity)}` })),
    sizes.length === 1 ? [[sizes[0], "var(--limit)"]] : [], byteUnit, pick);
}

/* Round numbers of seconds between two, about as many as there is room for. */
function decades(begin, end) {
  const found = [];
  for (let e = Math.floor(Math.log10(begin)); e <= Math.log10(end); e++) for (const m of [1, 2, 5]) found.push(m * 10 ** e);
  return found.filter((t) => t >= begin * 0.999 && t <= end * 1.001);
}

function convergence() {
  const points = data.history.filter((p) => p[1] !== null || p[2] > 0);
  if (points.length < 2) { hide("#history"); return; }
  const best = data.period || Math.max(...points.map((p) => p[2])), lows = points.map((p) => p[2]).filter((v) => v > 0);
  const high = Math.min(Math.max(...points.map((p) => p[1] || 0), best), 1.6 * best) * 1.02;
  const least = Math.min(...lows, best), low = Math.max(0, least - 0.14 * (high - least));
  note("#history", "From the first event on, on a logarithmic axis of time." + (points.some((p) => p[1] > high) ? " The first periods are above the frame." : ""));
  swatch(of("#history", ".legend"), "var(--bar)", `best period ${time(data.period)}`);
  swatch(of("#history", ".legend"), "var(--limit)", `proved bound ${time(data.bound)}`);
  const { svg, width, left, y } = chart("#history", low, high, timeUnit);
  svg.setAttribute("aria-label", `period ${time(data.period)} and bound ${time(data.bound)} after ${data.seconds.toFixed(2)} s`);
  const begin = Math.max(points[0][0], 1e-4), end = Math.max(data.seconds, points[points.length - 1][0], 1.02 * begin);
  const x = (t) => left + Math.log(Math.max(t, begin) / begin) / Math.log(end / begin) * (width - left - ROOM.right);
  for (const [column, stroke] of [[1, "var(--bar)"], [2, "var(--limit)"]]) {
    let path = "";
    for (const p of [...points, [end, data.period, data.bound]]) {
      if (p[column] === null || (column === 2 && !(p[2] > 0))) continue;
      const at = y(Math.min(Math.max(p[column], low), high));
      path += path ? `H${x(p[0]).toFixed(1)}V${at.toFixed(1)}` : `M${x(p[0]).toFixed(1)},${at.toFixed(1)}`;
    }
    if (path) el("path", { d: path, class: "line", style: `stroke: ${stroke}` }, svg);
  }
  const few = decades(begin, end), label = (t) => t < 0.995 ? `${+(1000 * t).toPrecision(2)} ms` : `${+t.toPrecision(2)} s`;
  let free = left - 4;
  for (const t of few.length > 1 ? few : [begin, end]) {
    const at = Math.max(left + 22, Math.min(x(t), width - 26));
    if (at - 24 < free) continue;
    el("line", { class: "grid", x1: x(t), x2: x(t), y1: ROOM.top, y2: ROOM.height - ROOM.bottom }, svg);
    el("text", { x: at, y: ROOM.height - 8, "text-anchor": "middle" }, svg, label(t));
    free = at + 26;
  }
  el("text", { x: left - 6, y: ROOM.height - 8, "text-anchor": "end" }, svg, "time");
}

/* The timeline: what each chip does within one period, or the first inputs on their way through the package. */
const INPUTS = ["#3f7fbf", "#d9862b", "#4f9457", "#9a6fb0"];
function timeline() {
  const used = data.per_chip.filter((c) => c.load > 0);
  if (!used.length || !(data.period > 0)) { hide("#timeline"); return; }
  const draw = () => (of("#timeline", "input:checked").value === "period" ? onePeriod : firstInputs)(used);
  for (const input of document.querySelectorAll("#timeline input")) input.addEventListener("change", draw);
  if (used.some((c) => c.begin === null)) document.querySelector("#timeline input[value=fill]").disabled = true;
  draw();
}
function rows(used, end) {
  const holder = of("#timeline", ".chart"), width = Math.max(280, holder.clientWidth), left = 52;
  of("#timeline", ".legend").textContent = "";
  holder.textContent = "";
  const high = Math.max(9, Math.min(24, 460 / used.length)), height = high * used.length + 26;
  const svg = el("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "timeline" }, holder), x = (t) => left + t / end * (width - left - 34);
  const every = Math.ceil(13 / high);
  used.forEach((c, i) => { if (i % every === 0) el("text", { x: left - 6, y: i * high + high / 2 + 4, "text-anchor": "end" }, svg, `chip ${c.chip}`); });
  let free = 0;
  for (const [t, text] of ticks(0, end, timeUnit)) {
    el("line", { class: "grid", x1: x(t), x2: x(t), y1: 0, y2: height - 20 }, svg);
    if (x(t) - 3.4 * text.length < free || x(t) + 3.4 * text.length > width) continue;
    el("text", { x: x(t), y: height - 5, "text-anchor": "middle" }, svg, text);
    free = x(t) + 3.4 * text.length + 8;
  }
  return { svg, x, high };
}
/* A stretch of a chip's row; what a click on it does, if anything. */
function block(svg, x0, x1, y, h, fill, told, act = () => {}) {
  const rect = el("rect", { class: "block", role: "button", "aria-label": told, x: x0.toFixed(2), y: y.toFixed(2), width: Math.max(0.6, x1 - x0).toFixed(2), height: h.toFixed(2), style: `fill: ${fill}` }, svg);
  tips(rect, told);
  return { rect, act, at: (x0 + x1) / 2 };
}
/* The arrows go through each chip's row, given as lists of blocks, and from row to row. */
function walked(found) {
  const all = found.flat(), row = found.flatMap((blocks, i) => blocks.map(() => i));
  const beyond = (i, by) => {
    const near = found[row[i] + by] || [];
    const best = near.reduce((a, b) => a && Math.abs(a.at - all[i].at) <= Math.abs(b.at - all[i].at) ? a : b, null);
    return best ? all.indexOf(best) : -1;
  };
  reachable(all.map((b) => b.rect), (i) => all[i].act(), beyond);
}
function onePeriod(used) {
  const P = data.period, { svg, x, high } = rows(used, P);
  note("#timeline", (serial ? "A chip receives, computes and sends in turn" : "A chip computes while tensors come in and go out (the strips above and below)") +
    "; what is left of the period it is idle. Operations stand in the order of the data. As the cost model has it; the command simulate plays it event by event.");
  const key = of("#timeline", ".legend"), inside = new Map(used.map((c) => [c.chip, []]));
  swatch(key, "var(--bar2)", "receive");
  swatch(key, "var(--bar)", "compute, an operation lighter and darker in turn");
  swatch(key, "var(--bar3)", "send");
  if (used.some((c) => work(c) > c.compute)) swatch(key, "var(--soft)", "waits for weights that are streamed");
  if (data.graph) eachInstance((v, c) => { if (inside.has(c)) inside.get(c).push(v); });
  walked(used.map((c, i) => {
    const y = i * high + 1, h = high - 2, strip = serial ? 0 : Math.max(1.5, h * 0.16), kind = `chip ${c.chip}`;
    let t = 0;
    const made = [], put = (...args) => made.push(block(svg, ...args));
    if (c.receive > 0) put(x(0), x(c.receive), y, serial ? h : strip, "var(--bar2)", `${kind} receives for ${time(c.receive)}`);
    if (serial) t = c.receive;
    const top = y + strip, tall = h - 2 * strip;
    const longer = work(c) - c.compute;
    if (longer > 0) put(x(t + c.compute), x(t + work(c)), top, tall, "var(--soft)", `${kind} waits for weights that it streams for ${time(c.stream)}`);
    put(x(t), x(t + c.compute), top, tall, "var(--bar)", `${kind} computes for ${time(c.compute)}`, () => choose(c.chip));
    let at = t, odd = false;
    for (const v of inside.get(c.chip)) {
      const s = secondsOn(v, c.chip), x0 = x(at), x1 = x(at + s);
      at += s;
      odd = !odd;
      if (x1 - x0 > 2) put(x0, x1, top, tall, odd ? "var(--bar-light)" : "var(--bar-dark)", `${names[v]}: ${data.graph.kinds[data.graph.kind[v]]}, ${time(s)} on chip ${c.chip}`, () => showOperation(v));
    }
    const end = t + work(c);
    if (c.send > 0) put(x(serial ? end : 0), x(serial ? end + c.send : c.send), serial ? y : y + h - strip, serial ? h : strip, "var(--bar3)", `${kind} sends for ${time(c.send)}`);
    return made;
  }));
  el("line", { class: "limit", x1: x(P), x2: x(P), y1: 0, y2: high * used.length, style: "stroke: var(--ink)" }, svg);
}
function firstInputs(used) {
  const P = data.period, count = 4, last = Math.max(...used.map((c) => c.begin + busyFor(c))), { svg, x, high } = rows(used, last + (count - 1) * P);
  note("#timeline", `Each chip begins with an input once all that it needs is there; a new input enters every ${time(P)}. The first one is out after ${time(data.latency)}.`);
  for (let k = 0; k < count; k++) swatch(of("#timeline", ".legend"), INPUTS[k], `input ${k}`);
  walked(used.map((c, i) => Array.from({ length: count }, (_, k) => {
      const begin = c.begin + k * P, busy = busyFor(c);
      return block(svg, x(begin), x(begin + busy), i * high + 1, high - 2, INPUTS[k], `input ${k} on chip ${c.chip}: from ${time(begin)} to ${time(begin + busy)}`);
  })));
}
