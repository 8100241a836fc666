/* The graph: boxes by chip and layer; a box opens into its operations. */
const canvas = document.getElementById("canvas");
const SMALLEST = 7.5, LARGEST = 1.5, FONT = 11, HIGH = 38;
let view = { x: 0, y: 0, w: 100, h: 100 }, whole = view, layer = null, place = [], shown = null, moved = false;

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
  layer = el("g", {}, canvas);
  whole = { x: -16, y: -34, w: width + 32, h: height + 46 };
  const w = Math.max(whole.w, canvas.clientWidth / LARGEST), h = Math.max(whole.h, canvas.clientHeight / LARGEST);
  if (w > whole.w && h > whole.h) whole = { x: whole.x + (whole.w - w) / 2, y: whole.y + (whole.h - h) / 2, w, h };
  view = { ...whole };
  frame();
}
/* Leaves and enters at the sides that face each other. */
function arrow(p, q) {
  const dx = q.x - p.x, dy = q.y - p.y, over = Math.abs(dx) < p.w;
  if (over && Math.abs(dy) > 1.6 * p.h) {  // past other boxes of the column
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
function draw(items, arrows, open) {
  const most = Math.max(...arrows.map((a) => a[2]), 1);
  place = items;
  for (const [a, b, amount] of arrows) el("path", { class: "arrow", d: arrow(items[a], items[b]), "stroke-width": 1 + 3 * amount / most }, layer);
  items.forEach((item, i) => {
    const group = el("g", { class: "item", role: "button", tabindex: i ? -1 : 0, "aria-label": item.tip }, layer);
    el("title", {}, group, item.tip);
    el("rect", { class: "box", x: item.x, y: item.y, width: item.w, height: item.h, rx: 6, fill: colour(item.chip) }, group);
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
    item.node = group;
  });
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
}
const short = (name, length) => name.length > length ? "…" + name.slice(1 - length) : name;

/* The end of a path: at least two parts, and what a number counts. */
function brief(label) {
  const parts = label.split(/[/.]/);
  let from = Math.max(0, parts.length - 2);
  if (from && /^\d+$/.test(parts[from])) from--;
  return short(parts.slice(from).join("/"), 20);
}
/* Chips stand in shelves, to and fro, so that neighbours are beside each other; as many in a shelf, and boxes in a column, as show the whole largest. */
const GAP = 8, BESIDE = 14, ABOVE = 32;
function arranged(chips, w) {
  let best = null;
  for (let rows = 1; rows <= 12; rows++) {
    const sized = chips.map((mine) => ({ mine, rows, columns: Math.ceil(mine.length / rows), wide: Math.ceil(mine.length / rows) * (w + GAP) - GAP,
      high: Math.min(mine.length, rows) * (HIGH + 8) - 8 }));
    for (const count of new Set(Array.from({ length: 40 }, (_, i) => Math.ceil(chips.length * (i + 1) / 40)))) {
      const shelves = [];
      for (let i = 0; i < sized.length; i += count) shelves.push(sized.slice(i, i + count));
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
      c.back = back;
      c.x = back ? x - c.wide : x;
      c.y = y;
      x += (back ? -1 : 1) * (c.wide + (k < shelf.length - 1 ? BESIDE : 0));
    });
    y += ABOVE + Math.max(...shelf.map((c) => c.high));
  });
  return best;
}
function boxes() {
  shown = null;
  document.getElementById("back").hidden = true;
  const g = data.graph, names = g.boxes.map(([label]) => brief(label));
  const lines = g.boxes.map(([, , count, seconds], i) => [names[i], `${count} op${count > 1 ? "s" : ""}, ${time(seconds, 3)}`]);
  const w = 14 + Math.max(...lines.flat().map(letters)), items = new Array(g.boxes.length), byChip = new Map();
  g.boxes.forEach(([, chip], i) => byChip.set(chip, [...(byChip.get(chip) || []), i]));
  const best = arranged([...byChip.values()], w), chips = best.shelves.flat();
  begin(best.width, best.height);
  for (const c of chips) {
    c.mine.forEach((i, k) => {
      const column = Math.floor(k / c.rows), [label, chip, count, seconds] = g.boxes[i];
      items[i] = { x: c.x + (c.back ? c.columns - 1 - column : column) * (w + GAP), y: c.y + (k % c.rows) * (HIGH + 8), w, h: HIGH, chip, lines: lines[i],
        tip: `${label}, chip ${chip}: ${count} operations, ${time(seconds)}` };
    });
  }
  draw(items, g.arrows, operations);
  /* From afar a chip is one tile; a click comes nearer. */
  const size = Math.min(...chips.map((c) => Math.min(c.wide / 4.6, c.high / 1.5)));
  for (const c of chips) {
    const chip = g.boxes[c.mine[0]][1], count = c.mine.reduce((a, i) => a + g.boxes[i][2], 0), middle = c.y + c.high / 2;
    el("text", { class: "head", x: c.x, y: c.y - 7 }, layer, `chip ${chip}`);
    const tile = el("g", { class: "tile" }, layer);
    el("rect", { class: "box", x: c.x, y: c.y, width: c.wide, height: c.high, rx: 8, fill: colour(chip) }, tile);
    for (const [text, dy] of [[`chip ${chip}`, -0.1], [`${count} op${count > 1 ? "s" : ""}`, 0.95]]) {
      el("text", { x: c.x + c.wide / 2, y: middle + dy * size, style: `font-size: ${(dy < 0 ? 1 : 0.8) * size}px`, "text-anchor": "middle" }, tile, text);
    }
    tile.addEventListener("click", () => { if (!moved) centre(c.x + c.wide / 2, c.y + c.high / 2); });
  }
}
/* Looks at a point from as near as texts want to be read. */
function centre(x, y) {
  const w = canvas.clientWidth, h = canvas.clientHeight;
  view = { x: x - w / 2, y: y - h / 2, w, h };
  frame();
}
function operations(box) {
  const g = data.graph, mine = g.box.map((b, v) => [b, v]).filter(([b]) => b === box).map(([, v]) => v);
  const inside = new Set(mine), level = new Map(mine.map((v) => [v, 0])), count = [];
  const edges = g.edges.filter(([u, w]) => inside.has(u) && inside.has(w));
  for (let again = true, round = 0; again && round < mine.length; round++) {
    again = false;
    for (const [u, w] of edges) if (level.get(w) < level.get(u) + 1) { level.set(w, level.get(u) + 1); again = true; }
  }
  const w = 214, items = [], index = new Map();
  mine.forEach((v, i) => {
    const at = level.get(v), row = count[at] = (count[at] || 0) + 1;
    index.set(v, i);
    items.push({ x: at * (w + 40), y: (row - 1) * (HIGH + 10), w, h: HIGH, chip: g.chip[v], lines: [short(g.names[v], 30), `${g.types[v]}, ${time(g.seconds[v])}`],
      tip: `${g.names[v]}: ${g.types[v]} on chip ${g.chip[v]}, ${time(g.seconds[v])}` });
  });
  shown = box;
  document.getElementById("back").hidden = false;
  begin(count.length * (w + 40), Math.max(...count.map((c) => c || 0)) * (HIGH + 10));
  /* A long chain would be a thread: it is shown from its beginning, as large as it can be read. */
  if (perPixel() > 1) view = { x: whole.x, y: whole.y, w: canvas.clientWidth, h: canvas.clientHeight };
  draw(items, edges.map(([a, b]) => [index.get(a), index.get(b), 0]), (i) => tell(mine[i]));
  el("text", { class: "head", x: 0, y: -12 }, layer, `${g.boxes[box][0]} on chip ${g.boxes[box][1]}`);
  frame();
  if (document.activeElement !== document.getElementById("find")) focusOn(0);
}
function tell(v) {
  const g = data.graph;
  document.getElementById("told").textContent = `${g.names[v]}: ${g.types[v]}, chip ${g.chip[v]}, ${time(g.seconds[v])}`;
}
function find(text) {
  const plain = (name) => name.toLowerCase().replaceAll(".", "/");  // as boxes are labelled
  const v = text ? data.graph.names.findIndex((name) => plain(name).includes(plain(text))) : -1;
  if (shown !== null) boxes();
  place.forEach((item, i) => item.node.classList.toggle("found", v >= 0 && i === data.graph.box[v]));
  if (v < 0) { document.getElementById("told").textContent = text ? "no such operation" : ""; return; }
  tell(v);
  const item = place[data.graph.box[v]];
  centre(item.x + item.w / 2, item.y + item.h / 2);
}
function back() {
  const box = shown;
  boxes();
  if (box !== null) focusOn(box);
}

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
canvas.addEventListener("wheel", (e) => { e.preventDefault(); zoom(Math.exp(e.deltaY / 400), e.clientX, e.clientY); }, { passive: false });
canvas.addEventListener("pointerdown", (e) => { pointers.set(e.pointerId, [e.clientX, e.clientY]); moved = false; });
for (const event of ["pointerup", "pointercancel"]) window.addEventListener(event, (e) => { pointers.delete(e.pointerId); });
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
canvas.addEventListener("keydown", (e) => {
  const act = { "+": () => zoomMiddle(0.8), "=": () => zoomMiddle(0.8), "-": () => zoomMiddle(1.25), 0: wholeView, Escape: back }[e.key];
  if (act && !e.ctrlKey && !e.metaKey) { act(); e.preventDefault(); }
});
document.getElementById("back").addEventListener("click", back);
document.getElementById("reset").addEventListener("click", wholeView);
document.getElementById("nearer").addEventListener("click", () => zoomMiddle(0.7));
document.getElementById("farther").addEventListener("click", () => zoomMiddle(1 / 0.7));
document.getElementById("find").addEventListener("input", (e) => find(e.target.value.trim()));
