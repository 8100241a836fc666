/* The package as what it is: chips where they stand, links with their load as colour, and what crosses them. */
const CELL = 58, WIDE = 40;

/* Where each chip stands, in cells: [column, row]. */
function standing(width) {
  const p = data.package, n = p.kind_of_chip.length;
  if (p.topology === "mesh") {
    const at = new Array(n);
    p.positions.forEach((place, chip) => { at[chip] = [place % p.columns, Math.floor(place / p.columns)]; });
    return at;
  }
  const most = Math.max(3, Math.floor(width / 48)), closed = (p.topology === "ring" || p.topology === "biring") && n > 3, order = p.positions.length ? p.positions : [...Array(n).keys()];
  const at = new Array(n);
  if (closed) {  // around an empty middle
    const columns = Math.min(most, Math.ceil((n + 4) / 2) - 2, Math.max(Math.ceil(n / 4) + 1, Math.ceil(n * 0.38))), rest = Math.ceil((n - 2 * columns) / 2);
    const ring = [];
    for (let c = 0; c < columns; c++) ring.push([c, 0]);
    for (let r = 1; r <= rest; r++) ring.push([columns - 1, r]);
    for (let c = columns - 1; c >= 0; c--) ring.push([c, rest + 1]);
    for (let r = rest; r >= 1; r--) ring.push([0, r]);
    const spare = ring.length - n;  // one place more than chips where they are odd
    if (spare > 0) ring.splice(columns + rest, spare);
    order.forEach((place, chip) => { at[chip] = ring[place]; });
    return at;
  }
  order.forEach((place, chip) => {  // to and fro
    const row = Math.floor(place / most), column = place % most;
    at[chip] = [row % 2 ? most - 1 - column : column, row];
  });
  return at;
}

const linkTip = (l) => `${l.from} → ${l.to}: ${time(l.load)}, ${percent(share(l.load))} of the period\n${plural(l.count, "tensor")}, ${bytes(l.bytes)}`;

function drawPackage() {
  if (!data.per_chip.length || !data.package.links.length) hide("#crossing");
  const p = data.package, holder = of("#package", ".drawing"), n = p.kind_of_chip.length, placed = data.per_chip.length > 0;
  const told = { ring: "a one-directional ring", chain: "a chain", biring: "a ring with links both ways", bichain: "a chain with links both ways",
    mesh: `a mesh of ${p.rows} rows and ${p.columns} columns`, crossbar: "chips that each reach any other through a switch", memory: "chips that exchange tensors through main memory" }[p.topology];
  const moved = p.positions.length && p.positions.some((q, i) => q !== i);
  note("#package", `${plural(n, "chip")}: ${told}.` + (placed ? " Touch a chip to see it in the graph, a link to see what crosses it." : "") + (moved ? " The numbers are the stages of the pipeline, where they stand." : ""));
  const at = standing(holder.clientWidth - 8), columns = 1 + Math.max(...at.map((c) => c[0])), rows = 1 + Math.max(...at.map((c) => c[1]));
  const kinds = p.kinds.length > 1;
  const width = columns * CELL, height = rows * CELL + (hub ? 30 : 0), middle = ([c, r]) => [(c + 0.5) * CELL, (r + 0.5) * CELL];
  const svg = el("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `the package: ${told}`, style: `max-width: ${Math.min(width * 1.3, holder.clientWidth)}px` }, holder);
  if (hub) {
    el("rect", { class: "hub", x: 6, y: height - 26, width: width - 12, height: 22, rx: 6 }, svg);
    el("text", { x: width / 2, y: height - 11, "text-anchor": "middle" }, svg, p.topology === "memory" ? "main memory" : "switch");
    for (const spot of at) { const [x, y] = middle(spot); el("line", { class: "wire", x1: x, y1: y, x2: x, y2: height - 26 }, svg); }
  }
  const wires = hub ? [] : placed ? p.links : idleLinks(p, n);
  const there = new Set(wires.map((l) => `${l.from},${l.to}`)), heaviest = Math.max(...wires.map((l) => l.load || 0), 0);
  const lines = wires.map((l) => {
    const [x1, y1] = middle(at[l.from]), [x2, y2] = middle(at[l.to]), long = Math.hypot(x2 - x1, y2 - y1), ux = (x2 - x1) / long, uy = (y2 - y1) / long;
    const both = there.has(`${l.to},${l.from}`), off = both ? 7 : 0, near = WIDE / 2;
    const a = [x1 + ux * near - uy * off, y1 + uy * near + ux * off], b = [x2 - ux * (near + 5) - uy * off, y2 - uy * (near + 5) + ux * off];
    const s = share(l.load || 0), part = heaviest > 0 ? (l.load || 0) / heaviest : 0, colour = !(l.load > 0) ? "var(--line)" : css(s >= AT ? BUSIEST : heat(part * (1 - 1e-6))), wide = 2 + 3 * part;
    const group = el("g", { class: "wire", role: "img", "aria-label": linkTip({ count: 0, bytes: 0, load: 0, ...l }) }, svg);
    const d = `M${a[0]},${a[1]}L${b[0]},${b[1]}`;
    el("path", { d, class: "casing", "stroke-width": wide + 2 }, group);
    el("path", { d, fill: "none", style: `stroke: ${colour}`, "stroke-width": wide }, group);
    el("path", { d: `M${b[0] + ux * 5},${b[1] + uy * 5}L${b[0] - uy * 4.5 - ux},${b[1] + ux * 4.5 - uy}L${b[0] + uy * 4.5 - ux},${b[1] - ux * 4.5 - uy}Z`, class: "tipped", style: `fill: ${colour}` }, group);
    el("path", { d, class: "reach", "stroke-width": 13 }, group);
    if (placed) tips(group, linkTip(l));
    return group;
  });
  const chips = at.map((spot, c) => {
    const [x, y] = middle(spot), row = data.per_chip[c], s = row ? share(row.load) : 0, fill = row ? heat(s) : PALE, kind = p.kind_of_chip[c];
    const told = row ? `chip ${c} (${row.kind})${p.positions.length ? `, place ${p.positions[c]}` : ""}: ${plural(row.operations, "operation")}, ${percent(s)} of the period` : `chip ${c} (${p.kinds[kind].name})`;
    const group = el("g", { class: "chip", role: "button", "aria-label": told }, svg);
    group.dataset.chip = c;
    el("rect", { x: x - WIDE / 2, y: y - WIDE / 2, width: WIDE, height: WIDE, rx: kinds ? [8, 20, 0, 14][kind % 4] : 8, style: `fill: ${css(fill)}` }, group);
    el("text", { x, y: y + (row ? -1 : 4), "text-anchor": "middle", class: "number", style: `fill: ${ink(fill)}` }, group, c);
    if (row) el("text", { x, y: y + 13, "text-anchor": "middle", style: `fill: ${ink(fill)}` }, group, s > 0 ? `${Math.round(100 * s)}%` : "idle");
    tips(group, told);
    return group;
  });
  reachable(chips, (i) => choose(i));
  if (placed && lines.length) reachable(lines, showLink);
  if (placed) scale(add(holder, "p", undefined, "legend"));
  if (placed && heaviest > 0) add(holder, "p", `Links: the darker and wider, the busier; the busiest takes ${percent(share(heaviest))} of the period.`, "legend");
  if (kinds) {
    const key = add(holder, "p", undefined, "legend");
    p.kinds.forEach((k, i) => { if (p.kind_of_chip.includes(i)) add(key, "span", `${["rounded", "round", "square", "soft"][i % 4]}: ${k.name}`, "key"); });
  }
  if (placed && p.links.length) crossings();
}
function idleLinks(p, n) {
  const back = p.topology.startsWith("bi"), closed = p.topology === "ring" || (p.topology === "biring" && n > 2);
  if (p.topology === "mesh") {
    const at = standing(0), stage = new Map(at.map(([c, r], i) => [`${c},${r}`, i])), found = [];
    at.forEach(([c, r], i) => { for (const to of [stage.get(`${c + 1},${r}`), stage.get(`${c},${r + 1}`)]) if (to !== undefined) found.push({ from: i, to }, { from: to, to: i }); });
    return found;
  }
  if (n < 2) return [];
  const pairs = [...Array(closed ? n : n - 1).keys()].map((i) => [i, (i + 1) % n]);
  return pairs.flatMap(([a, b]) => back ? [{ from: a, to: b }, { from: b, to: a }] : [{ from: a, to: b }]);
}

/* What crosses one link, or goes from one chip to another: tensors by name, the largest first. */
function crossings() {
  const links = data.package.links;
  const select = of("#crossing", "select"), order = links.map((_, i) => i).sort((a, b) => links[b].load - links[a].load);
  of("#crossing", "label span").textContent = hub ? "From chip to chip" : "Link";
  for (const i of order) {
    const option = add(select, "option", `${links[i].from} → ${links[i].to}: ${percent(share(links[i].load))} of the period`);
    option.value = i;
  }
  select.addEventListener("change", () => showLink(+select.value));
  showLink(order[0]);
}
function showLink(i) {
  const l = data.package.links[i], table = of("#crossing", "table");
  of("#crossing", "select").value = i;
  note("#crossing", `${plural(l.count, "tensor")}, ${bytes(l.bytes)} for every input, ${time(l.load)}.` + (l.count > l.largest.length ? ` The ${l.largest.length} largest:` : ""));
  table.textContent = "";
  if (l.largest.length) tableOf(table, ["tensor", "bytes", "of all"], l.largest.map(([name, size]) => [name, bytes(size), percent(l.bytes ? size / l.bytes : 0)]));
}
