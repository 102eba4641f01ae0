"use strict";
// Draws a polyvm.report/1 document. Everything from the document becomes text, never markup.

const TIERS = {
  region: ["Regions", "optimised code of tier 2"],
  baseline: ["Stencils", "tier 1, copied and patched"],
  interpreter: ["Interpreter", "tier 0"],
  golden: ["Golden evaluator", "the definition, in Python"],
  kernel: ["Kernel", "system calls that native code makes"],
  engine: ["Engine", "Python: other system calls, and polyvm itself"],
};
const EXITS = {
  SYSCALL: "a system call that Python carries out", STOP: "somebody asked for a stop: a signal, another thread, a sample",
  HOT: "a place became hot, or a region met new jumps", TRAP: "an exception", FAULT: "an access to memory that failed",
  BUDGET: "the instruction budget came to its end", GOLDEN: "an instruction that only the golden evaluator does",
  FLUSH: "code was flushed", ILLEGAL: "no instruction", PAUSE: "a breakpoint", INTERRUPTED: "a signal came in a system call",
  LOST: "the host thread's signal stack had to be put back",
};
const KINDS = { p: "faults show every register", w: "stops show every register", c: "counts instructions", r: "any rounding mode" };

// ------------------------------------------------------------------------------------------------------ small things
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("aria-")) { if (value !== null && value !== undefined) node.setAttribute(name, String(value)); continue; }
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "style") Object.assign(node.style, value);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}
const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 60) return `${Math.floor(value / 60)} min ${(value % 60).toFixed(1)} s`;
  if (value >= 1) return `${value.toFixed(2)} s`;
  if (value >= 1e-3) return `${(value * 1e3).toFixed(1)} ms`;
  return value ? `${(value * 1e6).toFixed(0)} µs` : "0";
}
function size(value) {
  if (value === null || value === undefined) return "–";
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024 || unit === "GiB") return unit === "B" ? `${value} B` : `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
}
const count = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en"));
const percent = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(part / whole < 0.0995 ? 1 : 0)}%` : "–");
const base = (path) => path.slice(path.lastIndexOf("/") + 1);
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;
function hash(text) {
  let value = 7;
  for (const letter of text) value = (value * 31 + letter.codePointAt(0)) >>> 0;
  return value;
}
function keyOf(tier) { return el("span", { class: `key t-${tier}`, "aria-hidden": "true" }); }

// ------------------------------------------------------------------------------------------------------ the theme
const THEMES = ["auto", "light", "dark"];
function theme() { try { return localStorage.getItem("polyvm-theme") || "auto"; } catch { return "auto"; } }
function setTheme(name) {
  if (name === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", name);
  try { localStorage.setItem("polyvm-theme", name); } catch { /* a page from a file may have no storage */ }
}
function themeSwitch() {
  const select = el("select", { "aria-label": "Colours", onchange: (event) => setTheme(event.target.value) },
    THEMES.map((name) => el("option", { value: name }, { auto: "Colours: system", light: "Colours: light", dark: "Colours: dark" }[name])));
  const wanted = new URLSearchParams(location.search).get("theme");
  const now = THEMES.includes(wanted) ? wanted : theme();
  select.value = THEMES.includes(now) ? now : "auto";
  if (select.value !== "auto") document.documentElement.setAttribute("data-theme", select.value);
  return select;
}

// ------------------------------------------------------------------------------------------------------ overview
function ending(run) {
  const end = run.exit;
  if (end.kind === "exited") return `exited with ${end.status}`;
  if (end.kind === "signaled") return `killed by signal ${end.signal}`;
  return end.kind === "timeout" ? "ended by its time limit" : "failed";
}
function card(key, value, small) {
  return el("div", { class: "card" }, el("div", { class: "k" }, key), el("div", { class: "v" }, value), el("div", { class: "s" }, small || ""));
}
function overview(doc) {
  const run = doc.run, disk = run.cache.disk, region = run.tiers.region || {};
  const compiled = doc.events.filter((event) => event.compiled).length;
  const tiers = Object.entries(doc.tiers).filter(([, spent]) => spent > 0);
  const top = [...tiers].sort((a, b) => b[1] - a[1])[0];
  const parts = [
    el("div", { class: "head" }, el("h2", {}, base(run.program)), el("span", { class: "tag" }, `${run.guest} on ${run.host}`),
      doc.host_cpu ? el("span", { class: "tag" }, doc.host_cpu) : null, el("span", { class: "tag" }, ending(run))),
    el("p", { class: "mono dim", style: { overflowWrap: "anywhere" } }, run.argv.join(" ")),
    el("div", { class: "cards" },
      card("Wall time", seconds(run.wall_s), `${seconds(run.cpu_s)} on the processor`),
      card("Compiling", seconds(run.workers_cpu_s), "in worker processes, beside the guest"),
      card("Memory", size(run.max_rss), "resident at most"),
      card("Regions", count(region.units), doc.recorded ? `${compiled} compiled, ${doc.events.length - compiled} from the disk` : "in use at the end"),
      card("Host code", size((region.code_bytes || 0) + ((run.tiers.baseline || {}).code_bytes || 0)), "of regions and stencils"),
      card("Code cache", disk.hits === null ? "–" : plural(disk.hits, "hit"), disk.hits === null ? "" : `${count(disk.misses)} misses, ${count(run.cache.disk_written)} written`)),
  ];
  if (top) {
    parts.push(
      el("div", { class: "head" }, el("h3", {}, `Where ${seconds(doc.cpu_s)} of processor time went`),
        el("span", { class: "dim" }, `a look every ${seconds(doc.period_s)} at each thread that ran`)),
      el("div", { class: "tierbar", role: "img", "aria-label": tiers.map(([tier, spent]) => `${TIERS[tier][0]} ${percent(spent, doc.cpu_s)}`).join(", ") },
        tiers.map(([tier, spent]) => el("span", { class: `t-${tier}`, style: { width: `${(100 * spent) / doc.cpu_s}%` }, title: `${TIERS[tier][0]}: ${seconds(spent)}` },
          spent / doc.cpu_s > 0.07 ? `${TIERS[tier][0]} ${percent(spent, doc.cpu_s)}` : ""))),
      el("ul", { class: "legend" }, tiers.map(([tier, spent]) => el("li", {}, keyOf(tier), el("b", {}, TIERS[tier][0]),
        `${seconds(spent)} (${percent(spent, doc.cpu_s)})`, el("span", { class: "dim" }, TIERS[tier][1])))));
  } else {
    parts.push(el("p", { class: "note" }, doc.recorded ? "The program was too short for a look at it." :
      "This run was not recorded: there are counts, but no times, and no code. polyvm report PROGRAM, or polyvm run --record FILE, has all of it."));
  }
  if (run.error) parts.push(el("p", { class: "bad" }, `${run.error.code}: ${run.error.message}`));
  return el("section", { id: "overview", "aria-label": "Overview" }, parts);
}

// ------------------------------------------------------------------------------------------------------ flame graph
class Flame {
  constructor(doc) {
    this.doc = doc;
    this.by = "tier";
    this.query = "";
    this.box = el("div", { class: "flame", role: "tree", "aria-label": "Flame graph" });
    this.detail = el("div", { class: "detail", "aria-live": "polite" });
    this.prepare(doc.flame, null);
    this.zoomed = doc.flame;
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.tell(doc.flame);
  }
  prepare(node, parent) {
    node.p = parent;
    node.tiers = { ...node.s };
    node.deep = 0;
    for (const child of node.c) {
      this.prepare(child, node);
      for (const [tier, spent] of Object.entries(child.tiers)) node.tiers[tier] = (node.tiers[tier] || 0) + spent;
      node.deep = Math.max(node.deep, child.deep + 1);
    }
    node.tier = Object.entries(node.tiers).sort((a, b) => b[1] - a[1])[0]?.[0] || "engine";
  }
  name(node) { return node.f < 0 ? base(this.doc.run.program) : this.doc.functions[node.f].name; }
  file(node) { return node.f < 0 ? "" : this.doc.functions[node.f].file; }
  colour(node) {
    if (this.by === "tier") return null;
    const hue = hash(this.by === "file" ? this.file(node) : this.name(node)) % 360;
    return `hsl(${hue} 48% 38%)`;
  }
  section() {
    const select = el("select", { onchange: (event) => { this.by = event.target.value; this.draw(); } },
      el("option", { value: "tier" }, "tier"), el("option", { value: "file" }, "file"), el("option", { value: "function" }, "function"));
    const search = el("input", { type: "search", placeholder: "function or file", oninput: (event) => { this.query = event.target.value.trim().toLowerCase(); this.draw(); this.found(); } });
    return el("section", { id: "flame", "aria-label": "Flame graph" },
      el("div", { class: "head" }, el("h2", {}, "Flame graph"), el("span", { class: "dim" }, "callers above, width is processor time"),
        el("div", { class: "tools" }, el("label", { class: "tool" }, "Colour by", select), el("label", { class: "tool" }, "Find", search),
          el("button", { onclick: () => this.zoom(this.doc.flame) }, "Show all"))),
      this.box, this.detail,
      el("p", { class: "note", style: { marginTop: "8px" } }, "Click or ", el("kbd", {}, "Enter"), " zooms into a function, ", el("kbd", {}, "Esc"), " shows all; the arrow keys go to callers, callees and neighbours."));
  }
  zoom(node) { this.zoomed = node; this.draw(); this.tell(node); const first = this.box.querySelector(".f[data-z]"); if (first && document.activeElement !== document.body) first.focus(); }
  tell(node) {
    const own = Object.values(node.s).reduce((a, b) => a + b, 0) + (node.o || 0), whole = this.doc.flame.t;
    const mix = Object.entries(node.tiers).sort((a, b) => b[1] - a[1]).map(([tier, spent]) => `${TIERS[tier][0]} ${percent(spent, node.t)}`).join(", ");
    this.detail.replaceChildren(el("b", { class: "mono" }, this.name(node)), ` ${this.file(node)} `, el("br"),
      `${seconds(node.t)} (${percent(node.t, whole)}) with what it calls, ${seconds(own)} (${percent(own, whole)}) itself; ${mix}`);
  }
  found() {
    if (!this.query) return this.tell(this.zoomed);
    let spent = 0, places = 0;
    const walk = (node) => {
      if (this.matches(node)) { spent += node.t; places += 1; return; }
      node.c.forEach(walk);
    };
    walk(this.doc.flame);
    this.detail.replaceChildren(`“${this.query}”: ${plural(places, "place")}, ${seconds(spent)} (${percent(spent, this.doc.flame.t)}) with what they call`);
  }
  matches(node) { return node.f >= 0 && (this.name(node).toLowerCase().includes(this.query) || this.file(node).toLowerCase().includes(this.query)); }
  draw() {
    const width = this.box.clientWidth, H = 21;
    if (!width) return;
    const focused = document.activeElement?.dataset?.path;
    const path = [];
    for (let node = this.zoomed; node; node = node.p) path.unshift(node);
    const frames = [];
    path.forEach((node, level) => frames.push([node, level, 0, width, level < path.length - 1]));
    const put = (node, level, x) => {
      let at = x;
      for (const child of node.c) {
        const w = (child.t / this.zoomed.t) * width;
        if (w >= 1.5) { frames.push([child, level, at, w, false]); put(child, level + 1, at); }
        at += w;
      }
    };
    put(this.zoomed, path.length, 0);
    let deepest = 0;
    this.box.replaceChildren(...frames.map(([node, level, x, w, faded], number) => {
      deepest = Math.max(deepest, level);
      const hit = this.query && this.matches(node);
      const own = this.colour(node);
      const frame = el("button", {
        class: `f ${own ? "" : `t-${node.tier}`}${faded || (this.query && !hit) ? " faded" : ""}${hit ? " hit" : ""}`, role: "treeitem",
        "aria-level": level + 1, tabindex: (focused ? focused === String(number) : number === 0) ? 0 : -1, "data-path": number, "data-z": node === this.zoomed ? "" : null,
        "aria-label": `${this.name(node)}, ${percent(node.t, this.doc.flame.t)}, most of it ${TIERS[node.tier][0]}`,
        style: { left: `${x}px`, width: `${Math.max(1, w - 0.5)}px`, top: `${level * H}px`, background: own || "", color: own ? "#fff" : "", filter: own ? "" : `brightness(${1 + ((hash(this.name(node)) % 5) - 2) * 0.045})` },
        onclick: () => this.zoom(node), onmouseenter: () => this.tell(node), onfocus: () => this.tell(node),
        onkeydown: (event) => this.key(event, node),
      }, w > 28 ? this.name(node) : "");
      frame.node = node;
      return frame;
    }));
    this.box.style.height = `${(deepest + 1) * H}px`;
  }
  key(event, node) {
    const row = node.p ? node.p.c : [node], at = row.indexOf(node);
    const to = { ArrowUp: node.p, ArrowDown: node.c[0], ArrowLeft: row[at - 1], ArrowRight: row[at + 1] }[event.key];
    if (event.key === "Escape") this.zoom(this.doc.flame);
    else if (to) {
      const next = [...this.box.children].find((frame) => frame.node === to);
      if (next) { event.target.tabIndex = -1; next.tabIndex = 0; next.focus(); }
    } else if (!event.key.startsWith("Arrow")) return;
    event.preventDefault();
  }
}

// ------------------------------------------------------------------------------------------------------ timeline
function timeline(doc) {
  const tip = el("div", { class: "detail" }, "Point at the chart for a moment's numbers.");
  const holder = el("div", { style: { minWidth: "480px" } });
  let drawn = 0;
  new ResizeObserver(() => {
    if (holder.clientWidth && holder.clientWidth !== drawn) { drawn = holder.clientWidth; holder.replaceChildren(chartOf(doc, drawn, tip)); }
  }).observe(holder);
  const present = doc.timeline.tiers.filter((_, number) => doc.timeline.parts.some((part) => part[number] > 0));
  return el("section", { id: "timeline", class: "timeline", "aria-label": "Timeline" },
    el("div", { class: "head" }, el("h2", {}, "Timeline"), el("span", { class: "dim" }, "which tier ran when, and when regions came; a bar in “compiled” is as long as compiling took")),
    el("div", { class: "scroll" }, holder),
    el("ul", { class: "legend" }, present.map((tier) => el("li", {}, keyOf(tier), TIERS[tier][0]))), tip);
}
function chartOf(doc, W, tip) {
  const { tiers, width_s: step, parts } = doc.timeline;
  const H = 150, LEFT = 76, TOP = 8, lane = 26;
  const end = Math.max(step * parts.length, ...doc.events.map((event) => event.when_s), 1e-3);
  const x = (when) => LEFT + (when / end) * (W - LEFT - 8);
  const sums = parts.map((part) => part.reduce((a, b) => a + b, 0) / step);
  const most = Math.max(1, Math.ceil(Math.max(...sums) - 0.15));
  const y = (load) => TOP + H - Math.min(load / most, 1.02) * H;
  const chart = svg("svg", { width: W, height: TOP + H + 2 * lane + 34, viewBox: `0 0 ${W} ${TOP + H + 2 * lane + 34}`, role: "img", "aria-label": "Processor time by tier over the run, and when regions were installed" });
  for (let i = 0; i <= most; i++) {
    chart.append(svg("line", { x1: LEFT, x2: W - 8, y1: y(i), y2: y(i), class: "axis" }), svg("text", { x: LEFT - 8, y: y(i) + 4, "text-anchor": "end" }, i ? `${i} CPU${i > 1 ? "s" : ""}` : "0"));
  }
  const low = parts.map(() => 0);
  tiers.forEach((tier, number) => {
    if (!parts.some((part) => part[number] > 0)) return;
    const upper = parts.map((part, i) => low[i] + part[number] / step);
    let path = `M${x(0)},${y(low[0] || 0)}`;
    upper.forEach((value, i) => { path += `L${x(i * step)},${y(value)}L${x((i + 1) * step)},${y(value)}`; });
    for (let i = parts.length - 1; i >= 0; i--) path += `L${x((i + 1) * step)},${y(low[i])}L${x(i * step)},${y(low[i])}`;
    const area = svg("path", { d: `${path}Z` });
    area.style.fill = `var(--${tier})`;
    chart.append(area);
    upper.forEach((value, i) => { low[i] = value; });
  });
  const lanes = [["compiled", true], ["from disk", false]];
  lanes.forEach(([title, compiled], row) => {
    const top = TOP + H + 10 + row * lane;
    chart.append(svg("text", { x: LEFT - 8, y: top + 14, "text-anchor": "end" }, title), svg("line", { x1: LEFT, x2: W - 8, y1: top + lane - 4, y2: top + lane - 4, class: "axis" }));
    for (const event of doc.events) {
      if (event.compiled !== compiled) continue;
      const name = event.function === null ? event.pc : doc.functions[event.function].name;
      const from = compiled ? Math.max(0, event.when_s - event.compile_s) : event.when_s;
      const mark = svg("rect", { x: x(from), y: top + (compiled ? 4 : 2), height: compiled ? 12 : 16, width: Math.max(compiled ? 2 : 1.5, x(event.when_s) - x(from)), rx: compiled ? 2 : 0, opacity: compiled ? 0.75 : 0.9 });
      mark.style.fill = compiled ? "var(--accent)" : "var(--dim)";
      mark.append(svg("title", {}, `${name}: ${plural(event.insns, "instruction")}, ${size(event.bytes)}, ${compiled ? `compiled in ${seconds(event.compile_s)}` : "from the disk"}, at ${seconds(event.when_s)}`));
      chart.append(mark);
    }
  });
  const foot = TOP + H + 10 + 2 * lane + 18;
  const ticks = W < 700 ? 4 : 8;
  for (let i = 0; i <= ticks; i++) chart.append(svg("text", { x: x((end * i) / ticks), y: foot, "text-anchor": i === ticks ? "end" : i ? "middle" : "start" }, seconds((end * i) / ticks)));
  chart.addEventListener("mousemove", (event) => {
    const box = chart.getBoundingClientRect();
    const at = Math.floor(((((event.clientX - box.left) / box.width) * W - LEFT) / (W - LEFT - 8)) * end / step);
    const part = parts[at];
    if (!part) return;
    tip.replaceChildren(`${seconds(at * step)} to ${seconds((at + 1) * step)}: `, tiers.map((tier, n) => (part[n] > 0 ? `${TIERS[tier][0]} ${percent(part[n], step)}` : null)).filter(Boolean).join(", ") || "nothing ran");
  });
  return chart;
}

// ------------------------------------------------------------------------------------------------------ regions
function regions(doc, show) {
  if (!doc.regions.length) return null;
  const columns = [
    ["Processor time", (r) => r.cpu_s, true], ["Function", (r) => doc.functions[r.function].name, false], ["Source", (r) => (r.line ? `${base(doc.sources[r.line[0]].path)}:${r.line[1]}` : ""), false],
    ["Instructions", (r) => r.insns, true], ["Guest code", (r) => r.guest_bytes, true], ["Host code", (r) => r.host_bytes, true], ["Entries", (r) => r.entries.length, true],
    ["Compiling", (r) => r.compile_s, true], ["Came", (r) => r.when_s, true],
  ];
  let sorted = 0, down = true;
  const body = el("tbody"), heads = [];
  const draw = () => {
    const value = columns[sorted][1];
    const rows = [...doc.regions].sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (down ? -1 : 1));
    heads.forEach((head, i) => head.setAttribute("aria-sort", i === sorted ? (down ? "descending" : "ascending") : "none"));
    body.replaceChildren(...rows.map((r) => {
      const has = r.code !== null;
      const name = doc.functions[r.function].name;
      return el("tr", { class: has ? "pick" : "", "data-region": r.number, onclick: has ? () => show(r, true) : null },
        el("td", { class: "num" }, el("span", { class: "share", style: { width: `${Math.max(1, (90 * r.cpu_s) / doc.regions[0].cpu_s)}px` }, "aria-hidden": "true" }), `${seconds(r.cpu_s)} `, el("span", { class: "dim" }, percent(r.cpu_s, doc.cpu_s))),
        el("td", {}, has ? el("button", { class: "name", "aria-label": `Show the code of ${name}` }, name) : el("span", { class: "mono" }, name), el("div", { class: "dim mono" }, r.pc)),
        el("td", { class: "mono" }, columns[2][1](r)), el("td", { class: "num" }, count(r.insns)), el("td", { class: "num" }, size(r.guest_bytes)),
        el("td", { class: "num" }, size(r.host_bytes), el("span", { class: "dim" }, ` ${(r.host_bytes / r.guest_bytes).toFixed(1)}×`)), el("td", { class: "num" }, count(r.entries.length)),
        el("td", { class: "num" }, seconds(r.compile_s)), el("td", { class: "num" }, `${seconds(r.when_s)} `, el("span", { class: "dim" }, r.compiled ? "compiled" : "from disk")));
    }));
  };
  const head = el("tr", {}, columns.map(([title, , numeric], i) => {
    const cell = el("th", { class: numeric ? "num" : "", scope: "col" }, el("button", { onclick: () => { down = sorted === i ? !down : numeric; sorted = i; draw(); } }, title));
    heads.push(cell);
    return cell;
  }));
  draw();
  const without = doc.regions.filter((r) => r.code === null).length;
  return el("section", { id: "regions", "aria-label": "Regions" },
    el("div", { class: "head" }, el("h2", {}, "Hottest regions"), el("span", { class: "dim" }, "compiled code that ran; choose one to see its code below")),
    el("div", { class: "scroll", style: { maxHeight: "460px", overflowY: "auto" } }, el("table", {}, el("thead", {}, head), body)),
    without ? el("p", { class: "note", style: { marginTop: "8px" } }, `${plural(without, "region")} without code here: polyvm report --top N shows more.`) : null);
}

// ------------------------------------------------------------------------------------------------------ side by side
const ROW = 18;
class Pane {
  // rows: [{text, of: Set or number of guest instructions, gutter, heat, strip, label}]
  constructor(owner, title, rows, note) {
    this.owner = owner;
    this.rows = rows;
    this.cursor = -1;
    this.inner = el("div", { class: "in", role: "presentation" });
    this.lines = el("div", { class: "lines", tabindex: 0, role: "listbox", "aria-label": title, onscroll: () => this.draw(), onkeydown: (event) => this.key(event) }, this.inner);
    this.note = el("span", { class: "dim" }, note || "");
    this.head = el("div", { class: "title" }, el("h3", {}, title), this.note);
    this.node = el("div", { class: "pane" }, this.head, this.lines);
    this.set(rows);
    new ResizeObserver(() => this.draw(true)).observe(this.lines);
  }
  set(rows) {
    this.rows = rows;
    this.cursor = -1;
    this.heated = rows.some((row) => row.heat > 0);
    this.gutter = Math.max(0, ...rows.map((row) => (row.gutter || "").length));
    let widest = 0;
    for (const row of rows) widest = Math.max(widest, row.text.length);
    this.inner.style.height = `${rows.length * ROW}px`;
    this.inner.style.width = `calc(${widest + this.gutter + (this.heated ? 7 : 0) + 4}ch + 24px)`;
    this.drawn = "";
    this.inner.replaceChildren(...(rows.length ? [] : [el("div", { class: "empty" }, "Nothing is known of this.")]));
    if (rows.length) this.draw(true);
  }
  linked(row) {
    const chosen = this.owner.chosen;
    if (!chosen.size || !row.of) return false;
    if (typeof row.of === "number") return chosen.has(row.of);
    for (const one of row.of) if (chosen.has(one)) return true;
    return false;
  }
  draw(force) {
    if (!this.rows.length) return;
    const from = Math.max(0, Math.floor(this.lines.scrollTop / ROW) - 20), to = Math.min(this.rows.length, from + Math.ceil(this.lines.clientHeight / ROW) + 40);
    const state = `${from}-${to}`;
    if (!force && state === this.drawn) return;
    this.drawn = state;
    const whole = this.owner.heat, nodes = [];
    for (let i = from; i < to; i++) {
      const row = this.rows[i];
      const node = el("div", {
        class: `row${row.label ? " label" : ""}${i === this.cursor ? " cur" : this.linked(row) ? " on" : ""}`, role: "option", "aria-selected": i === this.cursor, id: i === this.cursor ? `${this.owner.id}-${this.owner.panes.indexOf(this)}` : null,
        style: { top: `${i * ROW}px` }, onclick: () => this.choose(i),
      });
      if (this.heated) {
        const share = (row.heat || 0) / whole;
        node.append(el("span", { class: "h", style: share > 0.0005 ? { background: `rgba(var(--heat), ${Math.min(0.75, 0.08 + share * 2)})` } : {} }, share > 0.0005 ? (100 * share).toFixed(1) : ""));
      }
      if (this.gutter) node.append(el("span", { class: "g", style: { width: `calc(${this.gutter}ch + 10px)` } }, row.gutter || ""));
      node.append(el("span", { class: `s${row.strip === undefined ? "" : ` c${row.strip}`}`, "aria-hidden": "true" }), row.text);
      nodes.push(node);
    }
    this.inner.replaceChildren(...nodes);
    if (this.cursor >= 0) this.lines.setAttribute("aria-activedescendant", `${this.owner.id}-${this.owner.panes.indexOf(this)}`);
  }
  choose(i) {
    const row = this.rows[i];
    if (!row) return;
    this.owner.select(row.of ? (typeof row.of === "number" ? new Set([row.of]) : new Set(row.of)) : new Set(), this, i);
  }
  see(i) {
    const top = i * ROW, view = this.lines.clientHeight;
    if (top < this.lines.scrollTop || top > this.lines.scrollTop + view - ROW) this.lines.scrollTop = Math.max(0, top - view / 3);
    this.lines.scrollLeft = 0;
  }
  follow() {
    const i = this.rows.findIndex((row) => this.linked(row));
    const shown = this.rows.some((row, n) => this.linked(row) && n * ROW >= this.lines.scrollTop && n * ROW <= this.lines.scrollTop + this.lines.clientHeight - ROW);
    if (i >= 0 && !shown) this.see(i);
    this.draw(true);
  }
  key(event) {
    const page = Math.max(1, Math.floor(this.lines.clientHeight / ROW) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 }[event.key];
    if (event.key === "n" || event.key === "N") { this.owner.next(event.key === "n" ? 1 : -1); event.preventDefault(); return; }
    if (step === undefined) return;
    const start = this.cursor >= 0 ? this.cursor : Math.floor(this.lines.scrollTop / ROW) - (step > 0 ? 1 : 0);
    const to = Math.max(0, Math.min(this.rows.length - 1, start + step));
    this.choose(to);
    this.see(to);
    event.preventDefault();
  }
}

class Explorer {
  constructor(doc) {
    this.doc = doc;
    this.id = "line";
    this.chosen = new Set();
    this.panes = [];
    this.hidden = new Set(innerWidth < 1500 ? ["Ops"] : []);
    this.with = doc.regions.filter((r) => r.code !== null);
    this.box = el("div", { class: "panes" });
    this.status = el("div", { class: "status", "aria-live": "polite" });
    this.facts = el("p", { class: "note" });
    this.toggles = el("div", { class: "tools", role: "group", "aria-label": "Columns" });
    this.select_ = el("select", { "aria-label": "Region", onchange: (event) => this.show(this.with[event.target.selectedIndex]) },
      this.with.map((r) => el("option", {}, `${percent(r.cpu_s, doc.cpu_s)}  ${doc.functions[r.function].name}  ${r.pc}`)));
  }
  section() {
    const node = el("section", { id: "code", "aria-label": "Code" },
      el("div", { class: "head" }, el("h2", {}, "Code, side by side"), this.select_,
        el("button", { onclick: () => this.next(-1), title: "N" }, "◀ Hotter"), el("button", { onclick: () => this.next(1), title: "n" }, "Next hottest ▶"), this.toggles),
      this.facts, this.box, this.status,
      el("p", { class: "note", style: { marginTop: "6px" } }, "A line chosen in one column is marked in all others; ", el("kbd", {}, "↑"), el("kbd", {}, "↓"), " move, ", el("kbd", {}, "n"), " goes to the next hottest instruction, ", el("kbd", {}, "N"), " back. Numbers on the left are percent of the region's time."));
    this.show(this.with[0]);
    return node;
  }
  show(region, jump) {
    this.region = region;
    const doc = this.doc, code = region.code, guest = code.guest;
    this.heat = region.cpu_s || 1;
    this.chosen = new Set();
    this.select_.selectedIndex = this.with.indexOf(region);
    const strips = [];
    let strip = 0, last = "";
    guest.at.forEach((at, i) => {
      const line = code.guest_lines[i], key = line ? line.join() : guest.label[i] || guest.block[i] ? at : last;
      if (key !== last) { strip = (strip + 1) % 6; last = key; }
      strips[i + 1] = strip;
    });
    const strip_of = (n) => (n ? strips[n] : undefined);
    const rows = [];
    guest.at.forEach((at, i) => {
      if (guest.label[i]) rows.push({ text: guest.label[i] === "entry" ? `${at}: entry` : `${guest.label[i]}:`, label: true });
      rows.push({ text: guest.text[i], gutter: at.slice(2), of: i + 1, heat: guest.cpu_s[i], strip: strips[i + 1] });
    });
    const listed = (part) => part.text.map((text, i) => ({ text, of: part.of[i], strip: strip_of(part.of[i]) }));
    const host = code.host.text.map((text, i) => ({ text, gutter: code.host.at[i].toString(16), of: code.host.of[i], heat: code.host.cpu_s[i], strip: strip_of(code.host.of[i]) }));
    this.panes = [];
    const add = (title, rows, note) => { const pane = new Pane(this, title, rows, note); this.panes.push(pane); pane.title = title; return pane; };
    this.byLine(code, guest, strips).forEach(([title, rows, note]) => add(title, rows, note));
    add("Guest", rows, `${doc.run.guest}, ${plural(guest.at.length, "instruction")}`);
    add("Ops", listed(code.ops), "polyvm's own");
    const llvm = add("LLVM", listed(code.optimised), plural(code.optimised.text.length, "line"));
    llvm.head.append(el("select", { "aria-label": "Which LLVM", onchange: (event) => { const part = code[event.target.value]; llvm.set(listed(part)); llvm.note.textContent = plural(part.text.length, "line"); llvm.follow(); } },
      el("option", { value: "optimised" }, "after its passes"), el("option", { value: "llvm" }, "as polyvm writes it")));
    add("Host", host, `${doc.run.host}, ${size(region.host_bytes)}`);
    this.box.replaceChildren(...this.panes.map((pane) => pane.node));
    this.toggles.replaceChildren(...this.panes.map((pane) => el("button", { "aria-pressed": !this.hidden.has(pane.title), onclick: (event) => {
      if (this.hidden.has(pane.title)) this.hidden.delete(pane.title); else this.hidden.add(pane.title);
      event.target.setAttribute("aria-pressed", !this.hidden.has(pane.title));
      this.layout();
    } }, pane.title)));
    this.layout();
    const kinds = [...region.kind].map((letter) => KINDS[letter] || letter).join(", ");
    this.facts.replaceChildren(`${plural(region.entries.length, "entry").replace("entrys", "entries")}, ${plural(region.looks, "look")} at it, compiled in ${seconds(region.compile_s)}${region.tries > 1 ? `, version ${region.tries}` : ""}${kinds ? `, ${kinds}` : ""}. `,
      code.same ? el("span", {}, el("b", { class: "ok" }, "✓ Verified: "), "made again from the guest's code, it is byte for byte what ran, so every host instruction has its origin.")
        : el("span", {}, el("b", { class: "bad" }, "✗ Not verified: "), "the host code is what ran; made again it came out otherwise, so its instructions are not linked."));
    for (const row of document.querySelectorAll("tr[data-region]")) row.setAttribute("aria-current", row.dataset.region === String(region.number));
    this.hot = guest.cpu_s.map((spent, i) => [spent, i + 1]).filter(([spent]) => spent > 0).sort((a, b) => b[0] - a[0]);
    this.at = -1;
    this.status.replaceChildren();
    if (this.hot.length) this.next(1);
    if (jump) document.getElementById("code").scrollIntoView();
  }
  byLine(code, guest, strips) {
    const found = [];
    for (const number of code.sources.slice(0, 1)) {
      const source = this.doc.sources[number];
      const of = new Map(), heat = new Map();
      code.guest_lines.forEach((line, i) => {
        if (!line || line[0] !== number) return;
        if (!of.has(line[1])) of.set(line[1], new Set());
        of.get(line[1]).add(i + 1);
        heat.set(line[1], (heat.get(line[1]) || 0) + guest.cpu_s[i]);
      });
      const lines = [...of.keys()].sort((a, b) => a - b), first = lines[0] - 3, last = lines[lines.length - 1] + 3;
      const shown = source.lines.length ? source.lines.filter(([line]) => line >= first && line <= last) : lines.map((line) => [line, `${base(source.path)}:${line}`]);
      found.push(["Source", shown.map(([line, text]) => ({ text: text.replaceAll("\t", "    "), gutter: String(line), of: of.get(line), heat: heat.get(line) || 0, strip: of.has(line) ? strips[Math.min(...of.get(line))] : undefined })),
        base(source.path) + (source.lines.length ? "" : " (not found here)") + (code.sources.length > 1 ? ` and ${plural(code.sources.length - 1, "other")}` : "")]);
    }
    return found;
  }
  layout() {
    for (const pane of this.panes) pane.node.hidden = this.hidden.has(pane.title), pane.node.style.display = pane.node.hidden ? "none" : "";
  }
  select(numbers, from, cursor) {
    this.chosen = numbers;
    for (const pane of this.panes) {
      pane.cursor = pane === from ? cursor : -1;
      if (pane === from) pane.draw(true); else pane.follow();
    }
    const guest = this.region.code.guest;
    const spent = [...numbers].reduce((sum, n) => sum + (guest.cpu_s[n - 1] || 0), 0);
    const code = this.region.code;
    const bytes = code.host.of.reduce((sum, n, i) => sum + (numbers.has(n) ? code.host.bytes[i].length / 2 : 0), 0);
    const hosts = code.host.of.filter((n) => numbers.has(n)).length;
    this.status.textContent = !numbers.size ? "No guest instruction: what a region needs besides, at its entries and exits." :
      `${numbers.size === 1 ? `${guest.at[[...numbers][0] - 1]}: ${guest.text[[...numbers][0] - 1]}` : plural(numbers.size, "guest instruction")} — ${plural(hosts, "host instruction")} of ${plural(bytes, "byte")}, ${seconds(spent)} (${percent(spent, this.heat)} of the region)`;
  }
  next(step) {
    if (!this.hot.length) return;
    this.at = (this.at + step + this.hot.length) % this.hot.length;
    const pane = this.panes.find((one) => one.title === "Guest");
    const i = pane.rows.findIndex((row) => row.of === this.hot[this.at][1]);
    pane.choose(i);
    pane.see(i);
  }
}

// ------------------------------------------------------------------------------------------------------ tables
function counts(title, heads, rows, note) {
  if (!rows.length) return null;
  return el("div", {}, el("h3", {}, title), note ? el("p", { class: "note" }, note) : null,
    el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, heads.map((head, i) => el("th", { class: i && typeof rows[0][i] !== "string" ? "num" : "", scope: "col" }, head)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, i) => el("td", { class: typeof cell === "string" ? (i ? "dim" : "mono") : "num" }, typeof cell === "string" ? cell : count(cell)))))))));
}
function tables(doc) {
  const run = doc.run, by = (object, value = (x) => x) => Object.entries(object).sort((a, b) => value(b[1]) - value(a[1]));
  const caches = Object.entries(run.cache).filter(([, one]) => one && typeof one === "object" && one.hits !== null).map(([name, one]) => [name, one.hits, one.misses]);
  const parts = [
    counts("System calls", ["Call", "Count", "Failed", "Made natively"], by(run.syscalls, (call) => call.count).map(([name, call]) => [name, call.count, call.errors, call.native]), "Native code makes the plain ones itself, without Python."),
    counts("Exits from native code", ["Reason", "Count", "Why"], by(run.exits).map(([name, n]) => [name, n, EXITS[name] || ""])),
    counts("Code caches", ["Cache", "Hits", "Misses"], caches),
    counts("Unknown system calls", ["Number", "Count"], by(run.unknown_syscalls)),
    counts("Faults", ["Signal", "Count"], by(run.faults)),
    doc.regions.length ? null : counts("Hottest places", ["Place", "Jumps", "Runs in"], run.hot.map((place) => [place.name || `0x${place.pc.toString(16)}`, place.jumps, place.tier])),
  ].filter(Boolean);
  return el("section", { id: "counts", "aria-label": "Counts" }, el("div", { class: "head" }, el("h2", {}, "Counts")), el("div", { class: "tables" }, parts));
}

// ------------------------------------------------------------------------------------------------------ the page
function draw(doc) {
  const explorer = doc.regions.some((region) => region.code !== null) ? new Explorer(doc) : null;
  const flame = doc.flame && doc.flame.t > 0 ? new Flame(doc) : null;
  const sections = [
    ["Overview", overview(doc)], ["Flame graph", flame && flame.section()], ["Timeline", doc.timeline && doc.timeline.parts.length ? timeline(doc) : null],
    ["Regions", regions(doc, (region, jump) => explorer.show(region, jump))], ["Code", explorer && explorer.section()], ["Counts", tables(doc)],
  ].filter(([, node]) => node);
  document.getElementById("app").replaceChildren(
    el("header", { class: "bar" }, el("div", { class: "brand" }, el("b", {}, "polyvm"), el("h1", {}, `report of ${base(doc.run.program)}`)),
      el("nav", { "aria-label": "Sections" }, sections.map(([title, node]) => el("a", { href: `#${node.id}` }, title))), themeSwitch()),
    el("main", { id: "main" }, sections.map(([, node]) => node)),
    el("footer", {}, `Made by polyvm ${doc.polyvm}. This page is complete: it loads nothing.`));
  if (explorer) explorer.show(explorer.with[0]);
  // The sections were not there when the browser looked for one.
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView({ behavior: "instant" });
  document.documentElement.dataset.ready = "yes";
}
(async () => {
  const raw = Uint8Array.from(atob(document.getElementById("data").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
  draw(JSON.parse(await new Response(stream).text()));
})().catch((error) => {
  document.getElementById("app").textContent = `This page could not be drawn: ${error}`;
});
