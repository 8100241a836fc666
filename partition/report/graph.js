/* The graph: boxes by chip and layer, as high as their time; a box opens into its operations. */
const canvas = document.getElementById("canvas");
const SMALLEST = 7.5, LARGEST = 1.5, FONT = 11, HIGH = 38, TALL = 260;
let view = { x: 0, y: 0, w: 100, h: 100 }, whole = view, layer = null, place = [], shown = null, moved = false;
let names = [], found = [], hit = -1, marked = -1;

function decoded(coded) {
  const out = [];
  let before = "";
  for (let i = 0; i < coded.length; i += 2) { before = before.slice(0, coded[i]) + coded[i + 1]; out.push(before); }
  return out;
}
/* Tensors as columns: begin[t] .. begin[t + 1] are places in consumers. */
let tensors = null, backward = new Set(), onChips = new Map();
function readGraph() {
  const g = data.graph, t = g.tensors, begin = [0];
  names = decoded(g.names);
  for (const count of t.readers) begin.push(begin[begin.length - 1] + count);
  tensors = { ...t, begin, names: decoded(t.names).map((name, i) => name || names[t.producer[i]]) };
  backward = new Set(g.backward);
  for (const [v, chip, seconds] of g.copies) push(onChips, v, [chip, seconds]);
}
const secondsOn = (v, chip) => data.graph.chip[v] === chip ? data.graph.seconds[v] : (onChips.get(v) || []).find(([c]) => c === chip)[1];
function eachInstance(act) {
  data.graph.chip.forEach((chip, v) => { act(v, chip); for (const [other] of onChips.get(v) || []) act(v, other); });
}
/* Shape and bytes of a tensor. */
const sizeOf = (t) => (tensors.shape.length && tensors.shape[t] >= 0 ? `${tensors.shapes[tensors.shape[t]]}, ` : "") + bytes(tensors.bytes[t]);
function eachEdge(act) {
  for (let t = 0; t < tensors.producer.length; t++) for (let i = tensors.begin[t]; i < tensors.begin[t + 1]; i++) act(tensors.producer[t], tensors.consumers[i], t);
}

const pen = document.createElement("canvas").getContext("2d");
pen.font = `${FONT}px ${getComputedStyle(document.body).fontFamily}`;
const letters = (text) => pen.measureText(text).width;
const perPixel = () => Math.max(view.w / canvas.clientWidth, view.h / canvas.clientHeight);
function frame() {
  canvas.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
  canvas.classList.toggle("far", FONT / perPixel() < SMALLEST);
}
function begin(width, height) {
  canvas.textContent = "";
  const head = el("marker", { id: "head", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto" }, el("defs", {}, canvas));
  el("path", { d: "M0,0L8,4L0,8Z", class: "tipped" }, head);
  layer = el("g", {}, canvas);
  whole = { x: -16, y: -34, w: width + 32, h: height + 46 };
  const w = Math.max(whole.w, canvas.clientWidth / LARGEST), h = Math.max(whole.h, canvas.clientHeight / LARGEST);
  if (w > whole.w && h > whole.h) whole = { x: whole.x + (whole.w - w) / 2, y: whole.y + (whole.h - h) / 2, w, h };
  view = { ...whole };
  frame();
}

/* Colours: by load of the chip, kind of operator, layer, chip, or pass. */
const PALETTE = [[111, 168, 220], [240, 173, 98], [130, 190, 133], [222, 130, 130], [176, 145, 209], [194, 160, 132], [236, 160, 205], [200, 200, 110], [110, 200, 205]];
const OTHER = [190, 196, 203], FORWARD = [150, 190, 228], BACKWARD = [240, 178, 120];
let ofKind = new Map(), ofLayer = new Map(), mode = "load";
const turned = (i) => { const h = (i * 137.5) % 360 / 60, f = (k) => { const m = (k + h) % 6; return Math.round(255 * (0.9 - 0.32 * Math.max(0, Math.min(1, m, 4 - m)))); }; return [f(5), f(3), f(1)]; };
function prepareColours() {
  const g = data.graph, spent = g.kinds.map(() => 0);
  g.seconds.forEach((s, v) => { spent[g.kind[v]] += s; });
  spent.map((s, k) => [s, k]).sort((a, b) => b[0] - a[0]).slice(0, PALETTE.length).forEach(([, k], i) => ofKind.set(k, PALETTE[i]));
  for (const [label] of g.boxes) if (!ofLayer.has(label)) ofLayer.set(label, turned(ofLayer.size));
  const choice = document.getElementById("colours");
  for (const name of ["load", "kind", "layer", "chip", ...(g.backward.length ? ["pass"] : [])]) add(choice, "option", name);
  if (g.backward.length) choice.value = mode = "pass";
  choice.addEventListener("change", () => { mode = choice.value; repaint(); });
}
/* Of a box by number or of an operation; boxes have the kind that takes most of their time. */
const boxKind = [];
function fillOf(item) {
  const g = data.graph;
  if (mode === "kind") return ofKind.get(item.v === undefined ? boxKind[item.box] : g.kind[item.v]) || OTHER;
  if (mode === "layer") return ofLayer.get(g.boxes[item.box][0]);
  if (mode === "chip") return turned(item.chip);
  if (mode === "pass") return item.back ? BACKWARD : FORWARD;
  return item.v === undefined ? heat(share(data.per_chip[item.chip].load)) : mix(PALE, FULL, Math.sqrt(Math.min(1, share(g.seconds[item.v]))));
}
function repaint() {
  const legend = of("#graph", ".legend"), g = data.graph;
  legend.textContent = "";
  if (mode === "load" && shown === null) scale(legend);
  if (mode === "load" && shown !== null) add(legend, "span", "the darker, the longer an operation takes");
  if (mode === "kind") for (const [k, rgb] of ofKind) swatch(legend, css(rgb), g.kinds[k]);
  if (mode === "kind" && g.kinds.length > ofKind.size) swatch(legend, css(OTHER), "other kinds");
  if (mode === "layer") add(legend, "span", "a colour for each layer, the same on all its chips");
  if (mode === "chip") add(legend, "span", "a colour for each chip");
  if (mode === "pass") { swatch(legend, css(FORWARD), "forward"); swatch(legend, css(BACKWARD), "backward"); }
  for (const item of place) {
    const rgb = fillOf(item);
    item.rect.style.fill = css(rgb);
    for (const text of item.node.querySelectorAll("text")) text.style.fill = ink(rgb);
  }
  for (const tile of canvas.querySelectorAll(".tile")) {
    const chip = +tile.dataset.chip, rgb = mode === "chip" ? turned(chip) : heat(share(data.per_chip[chip].load));
    tile.querySelector("rect").style.fill = css(rgb);
    for (const text of tile.querySelectorAll("text")) text.style.fill = ink(rgb);
  }
}

/* Leaves and enters at the sides that face each other. */
function arrow(p, q) {
  const dx = q.x - p.x, dy = q.y + q.h / 2 - p.y - p.h / 2, over = Math.abs(dx) < Math.min(p.w, q.w);
  if (over && Math.abs(dy) > (p.h + q.h) / 2 + 30) {  // past other boxes of the column
    const x = p.x + p.w, bend = 14 + Math.abs(dy) / 12;
    return `M${x},${p.y + p.h / 2}C${x + bend},${p.y + p.h / 2} ${q.x + q.w + bend},${q.y + q.h / 2} ${q.x + q.w},${q.y + q.h / 2}`;
  }
  if (over) {
    const down = dy > 0, y1 = p.y + (down ? p.h : 0), y2 = q.y + (down ? 0 : q.h), middle = (y1 + y2) / 2;
    return `M${p.x + p.w / 2},${y1}C${p.x + p.w / 2},${middle} ${q.x + q.w / 2},${middle} ${q.x + q.w / 2},${y2}`;
  }
  const right = dx > 0, x1 = p.x + (right ? p.w : 0), x2 = q.x + (right ? 0 : q.w), bend = (x2 - x1) / 2;
  return `M${x1},${p.y + p.h / 2}C${x1 + bend},${p.y + p.h / 2} ${x2 - bend},${q.y + q.h / 2} ${x2},${q.y + q.h / 2}`;
}
/* items: {x, y, w, h, chip, box, v?, back, lines, tip}; arrows: [from, to, bytes, tensors]; the widest carries most. */
function draw(items, arrows, open) {
  const most = Math.max(...arrows.map((a) => a[2]), 1);
  place = items;
  for (const [a, b, size, which] of arrows) {
    const group = el("g", { class: items[a].back !== items[b].back ? "flow turn" : items[a].back ? "flow backward" : "flow" }, layer), d = arrow(items[a], items[b]);
    el("path", { class: "arrow", d, "stroke-width": (1 + 3 * size / most).toFixed(1), "marker-end": "url(#head)" }, group);
    tips(el("path", { class: "reach", d, "stroke-width": 9 }, group), () => flowTip(items[a], items[b], size, which), false);
  }
  items.forEach((item, i) => {
    const group = el("g", { class: item.back ? "item back" : "item", role: "button", tabindex: i ? -1 : 0, "aria-label": item.tip }, layer);
    item.rect = el("rect", { class: "box", x: item.x, y: item.y, width: item.w, height: item.h, rx: 6 }, group);
    item.lines.forEach((line, k) => el("text", { x: item.x + 7, y: item.y + 15 + 14 * k }, group, line));
    group.addEventListener("click", () => { if (!moved) open(i); });
    group.addEventListener("keydown", (e) => {
      const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[e.key];
      if (way) step(i, ...way);
      else if (e.key === "Enter" || e.key === " ") open(i);
      else return;
      e.preventDefault();
    });
    group.addEventListener("focus", () => { if (canvas.classList.contains("far")) focusOn(i); });
    tips(group, item.tip);
    item.node = group;
  });
  repaint();
  markHits();
}
function flowTip(p, q, size, which) {
  const largest = [...which].sort((s, t) => tensors.bytes[t] - tensors.bytes[s]).slice(0, 5);
  return `${p.name} → ${q.name}: ${plural(which.size, "tensor")}, ${bytes(size)}\n` + largest.map((t) => `${tensors.names[t]}: ${sizeOf(t)}`).join("\n") + (which.size > 5 ? `\nand ${which.size - 5} more` : "");
}
/* Keyboard: from a box to the nearest one in a direction. */
function step(from, dx, dy) {
  const p = place[from];
  let best = -1, least = Infinity;
  place.forEach((q, i) => {
    const along = (q.x - p.x) * dx + (q.y - p.y) * dy, aside = Math.abs((q.x - p.x) * dy) + Math.abs((q.y - p.y) * dx);
    if (along > 1 && along + 3 * aside < least) { best = i; least = along + 3 * aside; }
  });
  if (best >= 0) focusOn(best);
}
function focusOn(i) {
  const { x, y, w, h, node } = place[i];
  for (const item of place) item.node.setAttribute("tabindex", -1);
  node.setAttribute("tabindex", 0);
  if (canvas.classList.contains("far")) centre(x + w / 2, y + h / 2);
  else if (x < view.x || y < view.y || x + w > view.x + view.w || y + h > view.y + view.h) {
    view.x = x + w / 2 - view.w / 2;
    view.y = y + h / 2 - view.h / 2;
    frame();
  }
  node.focus({ preventScroll: true });
  if (node.matches(":focus-visible")) canvas.scrollIntoView({ block: "nearest" });
}
const short = (name, length) => name.length > length ? "…" + name.slice(1 - length) : name;

/* The end of a path: at least two parts, and what a number counts. */
function brief(label) {
  const parts = label.split(/[/.]/).filter((part) => part);
  let from = Math.max(0, parts.length - 2);
  if (from && /^\d+$/.test(parts[from])) from--;
  return short(parts.slice(from).join("/") || label, 20);
}
/* Chips stand in shelves, to and fro, so that neighbours are beside each other; as many in a shelf, and boxes in a column, as show the whole largest. */
const GAP = 8, BESIDE = 16, ABOVE = 32;
function sized(mine, heights, columns) {
  const per = Math.ceil(mine.length / columns), stacks = [];
  for (let i = 0; i < mine.length; i += per) stacks.push(mine.slice(i, i + per));
  return { mine, stacks, columns: stacks.length, high: Math.max(...stacks.map((s) => s.reduce((a, i) => a + heights[i] + GAP, -GAP))) };
}
function arranged(chips, heights, w) {
  let best = null;
  for (let columns = 1; columns <= 6; columns++) {
    const cells = chips.map((mine) => sized(mine, heights, Math.min(columns, mine.length)));
    for (const c of cells) c.wide = c.columns * (w + GAP) - GAP;
    for (const count of new Set(Array.from({ length: 40 }, (_, i) => Math.ceil(chips.length * (i + 1) / 40)))) {
      const shelves = [];
      for (let i = 0; i < cells.length; i += count) shelves.push(cells.slice(i, i + count));
      const length = (s) => s.reduce((a, c) => a + c.wide + BESIDE, -BESIDE);
      const width = Math.max(...shelves.map(length)), height = shelves.reduce((a, s) => a + ABOVE + Math.max(...s.map((c) => c.high)), -ABOVE);
      const scale = Math.min(canvas.clientWidth / (width + 32), canvas.clientHeight / (height + 46));
      if (!best || scale > best.scale) best = { scale, width, height, shelves, length };
    }
  }
  /* A shelf begins where the one above it ended, as far as it has room. */
  let x = 0, y = 0;
  best.shelves.forEach((shelf, s) => {
    const back = s % 2 === 1, long = best.length(shelf);
    if (s) x = back ? Math.max(x, long) : Math.min(x, best.width - long);
    shelf.forEach((c, k) => {
      Object.assign(c, { back, x: back ? x - c.wide : x, y });
      x += (back ? -1 : 1) * (c.wide + (k < shelf.length - 1 ? BESIDE : 0));
    });
    y += ABOVE + Math.max(...shelf.map((c) => c.high));
  });
  return best;
}
/* What goes from one mark of a picture to another: [from, to, bytes, tensors]. An operation without a mark is left out. */
function bundled(markOf, count) {
  const byPair = new Map();
  eachEdge((u, w, t) => {
    const a = markOf(u), b = markOf(w), key = a * count + b;
    if (a === undefined || b === undefined || a === b) return;
    if (!byPair.has(key)) byPair.set(key, new Set());
    byPair.get(key).add(t);
  });
  return [...byPair].map(([key, which]) => [Math.floor(key / count), key % count, [...which].reduce((s, t) => s + tensors.bytes[t], 0), which]);
}
let flows = null;
function boxFlows() {
  flows ||= bundled((v) => data.graph.box[v], data.graph.boxes.length);
  return flows;
}
function boxes() {
  shown = null;
  document.getElementById("back").hidden = true;
  const g = data.graph, lines = g.boxes.map(([label, , count, seconds]) => [brief(label), `${count > 1 ? `${count} ops, ` : ""}${time(seconds, 3)}`]);
  const heights = g.boxes.map(([, , , seconds]) => Math.max(HIGH, TALL * share(seconds)));
  const w = 14 + Math.max(...lines.flat().map(letters)), items = new Array(g.boxes.length), byChip = new Map();
  g.boxes.forEach(([, chip], i) => push(byChip, chip, i));
  const best = arranged([...byChip.values()], heights, w), chips = best.shelves.flat();
  begin(best.width, best.height);
  for (const c of chips) {
    c.stacks.forEach((stack, column) => {
      let y = c.y;
      for (const i of stack) {
        const [label, chip, count, seconds, back] = g.boxes[i];
        items[i] = { x: c.x + (c.back ? c.columns - 1 - column : column) * (w + GAP), y, w, h: heights[i], chip, box: i, back: !!back, lines: lines[i], name: `${label} on chip ${chip}`,
          tip: `${label}, chip ${chip}${back ? ", backward" : ""}: ${plural(count, "operation")}, ${time(seconds)}, ${percent(share(seconds))} of the period` };
        y += heights[i] + GAP;
      }
    });
  }
  /* Behind the boxes a chip is a frame; from afar it is one tile, and a click comes nearer. */
  for (const c of chips) el("rect", { class: "frame", "data-chip": g.boxes[c.mine[0]][1], x: c.x - 5, y: c.y - 5, width: c.wide + 10, height: c.high + 10, rx: 9 }, layer);
  draw(items, boxFlows(), operations);
  let size = Math.min(...chips.map((c) => Math.min(c.wide / 5.4, c.high / 2.5)));
  const tiny = 0.8 * size / perPixel() < SMALLEST;  // then the number alone
  if (tiny) size = Math.min(...chips.map((c) => Math.min(c.wide / 2.4, c.high / 1.5)));
  for (const c of chips) {
    const chip = g.boxes[c.mine[0]][1], row = data.per_chip[chip], middle = c.y + c.high / 2;
    const head = `chip ${chip}: ${percent(share(row.load))}`;
    el("text", { class: "head", x: c.x, y: c.y - 11, style: `font-size: ${Math.min(15, FONT * c.wide / letters(head) / 1.15).toFixed(1)}px` }, layer, head);
    const tile = el("g", { class: "tile", "data-chip": chip }, layer);
    el("rect", { class: "box", x: c.x, y: c.y, width: c.wide, height: c.high, rx: 8 }, tile);
    for (const [text, dy] of tiny ? [[`${chip}`, 0.35]] : [[`chip ${chip}`, -0.12], [percent(Math.round(1000 * share(row.load)) / 1000), 0.85]]) {
      el("text", { x: c.x + c.wide / 2, y: middle + dy * size, style: `font-size: ${(dy < 0 ? 1 : 0.8) * size}px`, "text-anchor": "middle" }, tile, text);
    }
    tile.addEventListener("click", () => { if (!moved) { choose(chip); centre(c.x + c.wide / 2, c.y + c.high / 2); } });
    tips(tile, `chip ${chip}: ${plural(row.operations, "operation")}, ${time(row.load)}, ${percent(share(row.load))} of the period`, false);
  }
  repaint();
  markChosen();
}
/* Looks at a point from as near as texts want to be read. */
function centre(x, y) {
  const w = canvas.clientWidth, h = canvas.clientHeight;
  const within = (middle, size, from, all) => size < all ? Math.min(Math.max(middle - size / 2, from), from + all - size) : from + (all - size) / 2;
  view = { x: within(x, w, whole.x, whole.w), y: within(y, h, whole.y, whole.h), w, h };
  frame();
}
function showChip(chip) {
  if (shown !== null) boxes();
  const mine = place.filter((item) => item.chip === chip);
  if (!mine.length) return;
  const x0 = Math.min(...mine.map((i) => i.x)), x1 = Math.max(...mine.map((i) => i.x + i.w)), y0 = Math.min(...mine.map((i) => i.y)), y1 = Math.max(...mine.map((i) => i.y + i.h));
  if (canvas.classList.contains("far")) centre((x0 + x1) / 2, (y0 + y1) / 2);
  else if (x1 > view.x + view.w || x0 < view.x || y0 < view.y || y1 > view.y + view.h) { view.x = (x0 + x1 - view.w) / 2; view.y = (y0 + y1 - view.h) / 2; frame(); }
}
function operations(box, at) {
  const g = data.graph, mine = [];
  g.box.forEach((b, v) => { if (b === box) mine.push(v); });
  const index = new Map(mine.map((v, i) => [v, i])), level = mine.map(() => 0);
  /* Operations are numbered along the data: one pass over edges by reader settles the levels. */
  const pairs = bundled((v) => index.get(v), mine.length).sort((p, q) => p[1] - q[1] || p[0] - q[0]);
  for (const [a, b] of pairs) level[b] = Math.max(level[b], level[a] + 1);
  const made = new Map();
  tensors.producer.forEach((v, t) => { if (index.has(v)) push(made, v, t); });
  const w = 214, most = Math.max(...mine.map((v) => g.seconds[v]), 0), tall = (v) => most > 0 ? HIGH + 60 * g.seconds[v] / most : HIGH;
  const top = [], items = mine.map((v, i) => {
    const column = level[i], y = top[column] || 0;
    top[column] = y + tall(v) + 10;
    return { x: column * (w + 44), y, w, h: tall(v), chip: g.chip[v], v, box, back: backward.has(v), name: names[v], lines: [short(names[v], 30), `${g.kinds[g.kind[v]]}, ${time(g.seconds[v])}`],
      tip: `${names[v]}: ${g.kinds[g.kind[v]]} on chip ${g.chip[v]}${backward.has(v) ? ", backward" : ""}, ${time(g.seconds[v])}` + (g.weights[v] ? `, ${bytes(g.weights[v])} of weights` : "") +
        (made.get(v) || []).slice(0, 4).map((t) => `\nmakes ${sizeOf(t)}`).join("") };
  });
  shown = box;
  document.getElementById("back").hidden = false;
  begin(top.length * (w + 44) - 44, Math.max(...top.map((h) => h || 0)) - 10);
  /* A long chain would be a thread: it is shown from its beginning, as large as it can be read. */
  if (perPixel() > 1) view = { x: whole.x, y: whole.y, w: canvas.clientWidth, h: canvas.clientHeight };
  draw(items, pairs, (i) => tell(mine[i]));
  el("text", { class: "head", x: 0, y: -12 }, layer, `${g.boxes[box][0]} on chip ${g.boxes[box][1]}`);
  frame();
  if (at === undefined && document.activeElement !== document.getElementById("find")) focusOn(0);
}
/* What is known of an operation, beside the graph. */
function tell(v) {
  const g = data.graph, holder = document.getElementById("told");
  marked = v;
  holder.textContent = "";
  add(holder, "h3", names[v]);
  const facts = [["kind", g.kinds[g.kind[v]] + (backward.has(v) ? ", backward" : "")], ["chip", [g.chip[v], ...(onChips.get(v) || []).map(([c]) => c)].join(", ")],
    ["time", `${time(g.seconds[v])} · ${percent(share(g.seconds[v]))} of the period`]];
  if (g.weights[v]) facts.push(["weights", bytes(g.weights[v])]);
  const list = add(holder, "dl");
  for (const [name, value] of facts) { add(list, "dt", name); add(list, "dd", value); }
  const reads = [], writes = [];
  eachEdge((u, w, t) => { if (w === v) reads.push([t, u]); if (u === v) writes.push([t, w]); });
  for (const [title, rows] of [["reads", reads], ["is read by", writes]]) {
    if (!rows.length) continue;
    add(holder, "p", `${title}:`);
    const where = add(holder, "ul");
    for (const [t, other] of rows.slice(0, 12)) {
      const line = add(where, "li");
      goTo(line, names[other], () => showOperation(other));
      line.append(` ${sizeOf(t)}` + (g.chip[other] !== g.chip[v] ? `, chip ${g.chip[other]}` : ""));
    }
    if (rows.length > 12) add(where, "li", `and ${rows.length - 12} more`);
  }
  markHits();
}
function showOperation(v) {
  const item = shown === null ? place[data.graph.box[v]] : place.find((i) => i.v === v);
  if (!item) { boxes(); showOperation(v); return; }
  centre(item.x + item.w / 2, item.y + item.h / 2);
  tell(v);
}
function showNamed(name) {
  const v = names.indexOf(name);
  if (v < 0) return;
  document.getElementById("graph").scrollIntoView({ block: "start" });
  showOperation(v);
}

/* Find: all hits in a list, one of them shown. */
const plain = (name) => name.toLowerCase().replaceAll(".", "/");  // as boxes are labelled
function find(text) {
  const g = data.graph, wanted = plain(text), list = document.getElementById("list");
  found = text ? names.map((name, v) => v).filter((v) => plain(names[v]).includes(wanted) || plain(g.kinds[g.kind[v]]) === wanted) : [];
  list.textContent = "";
  list.hidden = !found.length;
  found.slice(0, 200).forEach((v, i) => { goTo(add(list, "li"), names[v], () => goToHit(i)); });
  if (found.length > 200) add(list, "li", `and ${(found.length - 200).toLocaleString("en")} more`);
  if (shown !== null) boxes();
  hit = -1;
  if (found.length) goToHit(0);
  else { document.getElementById("hits").textContent = text ? "no such operation" : ""; document.getElementById("told").textContent = ""; marked = -1; markHits(); }
}
function goToHit(i) {
  if (!found.length) return;
  hit = (i + found.length) % found.length;
  document.getElementById("hits").textContent = `${(hit + 1).toLocaleString("en")} of ${found.length.toLocaleString("en")}`;
  const list = document.getElementById("list");
  [...list.children].forEach((node, k) => node.classList.toggle("now", k === hit));
  if (list.children[hit]) list.scrollTop = list.children[hit].offsetTop - list.offsetTop - 60;
  if (shown !== null && data.graph.box[found[hit]] !== shown) boxes();
  showOperation(found[hit]);
}
function markHits() {
  const g = data.graph, hits = new Set(found.map((v) => shown === null ? g.box[v] : v)), now = marked < 0 ? -1 : shown === null ? g.box[marked] : marked;
  for (const item of place) {
    const key = shown === null ? item.box : item.v;
    item.node.classList.toggle("found", hits.has(key));
    item.node.classList.toggle("current", key === now);
  }
}
function back() {
  const box = shown;
  boxes();
  if (box !== null) focusOn(box);
}

/* Zoom with Ctrl and the wheel, so that the wheel alone scrolls the page; a finger scrolls, two zoom. */
const pointers = new Map();
function zoom(factor, px, py) {
  const box = canvas.getBoundingClientRect(), s = perPixel();
  const cx = view.x + view.w / 2 + (px - box.left - box.width / 2) * s, cy = view.y + view.h / 2 + (py - box.top - box.height / 2) * s;
  view = { x: cx + (view.x - cx) * factor, y: cy + (view.y - cy) * factor, w: view.w * factor, h: view.h * factor };
  frame();
}
function zoomMiddle(factor) {
  const box = canvas.getBoundingClientRect();
  zoom(factor, box.left + box.width / 2, box.top + box.height / 2);
}
function wholeView() { view = { ...whole }; frame(); }
function saveSvg() {
  const copy = canvas.cloneNode(true), style = getComputedStyle(document.documentElement);
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("viewBox", `${whole.x} ${whole.y} ${whole.w} ${whole.h}`);
  copy.setAttribute("width", Math.round(whole.w));
  copy.setAttribute("height", Math.round(whole.h));
  copy.classList.remove("far");
  for (const node of copy.querySelectorAll(".tile, .reach")) node.remove();
  const rules = [...document.styleSheets[0].cssRules].map((r) => r.cssText).filter((r) => r.includes("#canvas") || r.startsWith("svg text")).join("\n");
  const colours = ["--soft", "--line", "--back", "--paper", "--ink", "--focus", "--limit", "--hot"].map((name) => `${name}: ${style.getPropertyValue(name)}`).join("; ");
  const sheet = document.createElementNS(SVG, "style");
  sheet.textContent = `svg { ${colours}; background: ${style.getPropertyValue("--back")}; font-family: system-ui, sans-serif }\n${rules}`;
  copy.prepend(sheet);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
  link.download = `${data.model.replace(/[^\w.-]+/g, "_")}.svg`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
function startGraph() {
  const g = data.graph, spent = new Map();
  g.seconds.forEach((s, v) => { const key = g.box[v] * g.kinds.length + g.kind[v]; spent.set(key, (spent.get(key) || 0) + s); });
  for (const [key, s] of [...spent].sort((a, b) => a[1] - b[1])) boxKind[Math.floor(key / g.kinds.length)] = key % g.kinds.length;
  note("#graph", "Each box is a layer, or the part of it on the chip, as high as its time. Click a box to see its operations. Drag to move, Ctrl and wheel or two fingers to zoom; " +
    "with the keyboard: arrows from box to box, Enter to open, Escape back, + − 0 to zoom." + (g.backward.length ? " Boxes with a dashed edge are of the backward pass." : ""));
  prepareColours();
  boxes();
  canvas.addEventListener("wheel", (e) => { if (!(e.ctrlKey || e.metaKey)) return; e.preventDefault(); zoom(Math.exp(e.deltaY / 400), e.clientX, e.clientY); }, { passive: false });
  canvas.addEventListener("pointerdown", (e) => { pointers.set(e.pointerId, [e.clientX, e.clientY]); moved = false; });
  for (const event of ["pointerup", "pointercancel"]) addEventListener(event, (e) => { pointers.delete(e.pointerId); });
  addEventListener("pointermove", dragged);
  canvas.addEventListener("keydown", (e) => {
    const act = { "+": () => zoomMiddle(0.8), "=": () => zoomMiddle(0.8), "-": () => zoomMiddle(1.25), 0: wholeView, Escape: back }[e.key];
    if (act && !e.ctrlKey && !e.metaKey) { act(); e.preventDefault(); }
  });
  const on = (id, event, act) => document.getElementById(id).addEventListener(event, act);
  on("back", "click", back);
  on("reset", "click", wholeView);
  on("nearer", "click", () => zoomMiddle(0.7));
  on("farther", "click", () => zoomMiddle(1 / 0.7));
  on("save", "click", saveSvg);
  on("before", "click", () => goToHit(hit - 1));
  on("after", "click", () => goToHit(hit + 1));
  on("find", "input", (e) => find(e.target.value.trim()));
  on("find", "keydown", (e) => { if (e.key === "Enter") { goToHit(hit + (e.shiftKey ? -1 : 1)); e.preventDefault(); } });
}
function dragged(e) {
  const before = pointers.get(e.pointerId);
  if (!before) return;
  const others = [...pointers].filter(([id]) => id !== e.pointerId).map(([, p]) => p);
  if (Math.hypot(e.clientX - before[0], e.clientY - before[1]) < (moved ? 0 : 4)) return;
  moved = true;
  hideTip();
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
}
