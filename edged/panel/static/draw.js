// Drawing on the live picture: masks, the region, floor, feeder, hay and water of a stall, beds of people. A tap sets a corner,
// corners are dragged or moved by arrow keys, a tap on a side of the floor makes it a wall or open.
import { el, say, show, svg } from "./kit.js";

const TOOLS = { floor: "Floor", feeder: "Feeder", hay: "Hay", water: "Water", bed: "Bed", roi: "Region", mask: "Mask" };
const LISTS = { mask: "masks", bed: "beds" };  // of which there may be several
const HINTS = {
  floor: "Tap the corners of the floor in turn. Then tap a side to mark it as open, without a wall.",
  feeder: "Tap the corners of where the nose is while the horse eats.", hay: "Tap the corners of the hay.",
  water: "Tap the corners of the water.", roi: "Tap two opposite corners of the part that is processed.",
  mask: "Tap the corners of what must not be seen. “New mask” begins another one.",
  bed: "Tap the corners of where people may lie: beds, mats. “New bed” begins another one.",
};
const CHECK_MS = 400;

// `card`: the camera's name, the elements `root` and `picture`, and where the drawing is kept: `store` has `get`, `send`
// and, if there is a way back, `undo`.
export async function openDrawing(card) {
  if (card.drawing) { card.drawing.close(); return; }
  try {
    const found = await card.store.get();
    if (!found.size) throw new Error("no picture has come from the camera yet; its size is not known");
    card.drawing = new Drawing(card, found);
  } catch (error) { say(error); }
}

class Drawing {
  constructor(card, { drawing, size, undo }) {
    this.card = card;
    this.size = size;
    this.values = drawing;
    this.tool = "floor";
    this.latest();
    this.canvas = svg("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, role: "application", "aria-label": "Drawing" });
    this.canvas.addEventListener("pointerdown", event => this.tap(event));
    card.picture.append(this.canvas);
    card.root.classList.add("wide");
    this.build(undo);
    this.choose("floor");
    card.root.append(this.panel);
    this.check();
  }

  // Of masks and beds, the last one is drawn on.
  latest() {
    this.current = Object.fromEntries(Object.entries(LISTS).map(([tool, list]) => [tool, Math.max(0, this.values[list].length - 1)]));
  }

  flag(name, text) {
    const input = this[name] = el("input", { type: "checkbox", id: name, onchange: () => { this.values[name] = input.checked; this.check(); } });
    return el("label", { for: name }, input, text);
  }

  build(undo) {
    this.buttons = Object.entries(TOOLS).map(([name, text]) => el("button", { "data-tool": name, onclick: () => this.choose(name) }, text));
    this.hint = el("p", { class: "faint" });
    this.width = this.metres(0);
    this.depth = this.metres(1);
    this.lengths = el("div", { class: "row" }, el("label", {}, "side 0", this.width, "m"), el("label", {}, "side 1", this.depth, "m"));
    this.saveButton = el("button", { class: "main", onclick: () => this.save() }, "Save");
    this.undoButton = this.card.store.undo && el("button", { onclick: () => this.undo(), disabled: !undo }, "Undo the last save");
    this.closeButton = this.card.store.undo && el("button", { onclick: () => this.close() }, "Close");
    this.another = el("button", { onclick: () => { this.current[this.tool] = this.values[LISTS[this.tool]].length; this.partial = { ...this.partial, [this.tool]: null }; this.draw(); } });
    this.found = el("div", { role: "status", class: "found" });
    this.panel = el("section", { class: "drawing", "aria-label": `Drawing of ${this.card.name}` },
      el("div", { class: "row" }, ...this.buttons), this.hint,
      el("div", { class: "row" },
        el("button", { onclick: () => this.add([this.size[0] / 2, this.size[1] / 2]) }, "+ corner"),
        el("button", { onclick: () => this.setPoints(this.points.slice(0, -1)) }, "− corner"),
        el("button", { onclick: () => this.setPoints([]) }, "Clear"), this.another),
      el("div", { class: "row" }, this.flag("stall", "monitor this stall"), this.flag("aisle", "horses walk past (gait)"), this.flag("down", "people who lie on the floor (alert)")),
      this.lengths, this.found,
      el("div", { class: "row" }, this.saveButton, this.undoButton, this.closeButton));
    this.show();
  }

  show() {
    for (const name of ["stall", "aisle", "down"]) this[name].checked = this.values[name];
    [this.width, this.depth].forEach((input, i) => { input.value = this.values.floor_m?.[i] ?? ""; });
  }

  metres(i) {
    return el("input", { type: "number", min: 0.1, max: 50, step: 0.1, inputmode: "decimal", "data-side": i, oninput: () => {
      const both = [this.width.valueAsNumber, this.depth.valueAsNumber];
      this.values.floor_m = both.every(Number.isFinite) ? both : null;
      this.check();
    } });
  }

  choose(tool) {
    this.tool = tool;
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    this.hint.textContent = HINTS[tool];
    this.another.textContent = `New ${tool}`;
    show(this.another, tool in LISTS);
    show(this.lengths, tool === "floor");
    this.draw();
  }

  get points() {
    const v = this.values;
    if (this.tool === "floor") return v.floor ?? [];
    if (this.tool === "roi") return v.roi ? [[v.roi[0], v.roi[1]], [v.roi[2], v.roi[3]]] : [];
    if (this.tool in LISTS) return v[LISTS[this.tool]][this.current[this.tool]] ?? [];
    return v.zones[this.tool] ?? [];
  }

  // An outline of fewer than three corners is kept aside until it has them: it is none yet.
  setPoints(points) {
    const v = this.values, whole = points.length > 2;
    this.partial ??= {};
    this.partial[this.tool] = whole ? null : points;
    if (this.tool === "floor") { v.floor = whole ? points : null; v.open_sides = whole ? v.open_sides.filter(side => side < points.length) : []; }
    else if (this.tool === "roi") this.setRegion(points);
    else if (this.tool in LISTS) this.setPart(LISTS[this.tool], whole ? [points] : []);
    else if (whole) v.zones[this.tool] = points;
    else delete v.zones[this.tool];
    this.draw();
    this.check();
  }

  setPart(list, part) {
    const at = this.current[this.tool], others = this.values[list].filter((_, i) => i !== at);
    this.values[list] = [...others.slice(0, at), ...part, ...others.slice(at)];
    if (!part.length) this.current[this.tool] = others.length;
  }

  setRegion(points) {
    const [a, b] = points, whole = (...values) => values.map(Math.round);
    this.values.roi = points.length > 1 ? whole(Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])) : null;
  }

  get corners() { return this.partial?.[this.tool] ?? this.points; }

  add(point) {
    if (this.tool === "roi" && this.corners.length > 1) return this.setPoints([point]);
    this.setPoints([...this.corners, this.inside(point)]);
    this.canvas.querySelector("circle:last-of-type")?.focus({ preventScroll: true });
  }

  inside([x, y]) { return [Math.min(Math.max(Math.round(x), 0), this.size[0]), Math.min(Math.max(Math.round(y), 0), this.size[1])]; }

  at(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.canvas.getScreenCTM().inverse());
    return this.inside([point.x, point.y]);
  }

  tap(event) {
    event.preventDefault();
    const corner = event.target.dataset.corner, side = event.target.dataset.side;
    if (corner !== undefined) this.drag(event, Number(corner));
    else if (side !== undefined) this.toggle(Number(side));
    else this.add(this.at(event));
  }

  drag(event, index) {
    const move = moved => { const points = [...this.corners]; points[index] = this.at(moved); this.setPoints(points); };
    const end = () => { this.canvas.removeEventListener("pointermove", move); this.check(); };
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", end, { once: true });
    this.canvas.addEventListener("pointercancel", end, { once: true });
  }

  toggle(side) {
    const open = this.values.open_sides;
    this.values.open_sides = open.includes(side) ? open.filter(other => other !== side) : [...open, side].sort((a, b) => a - b);
    this.draw();
    this.check();
  }

  sideKey(event, side) {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    this.toggle(side);
    this.canvas.querySelector(`[data-side="${side}"]`)?.focus();
  }

  key(event, index) {
    const step = event.shiftKey ? 10 : 1, points = [...this.corners], [x, y] = points[index];
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key === "Delete" || event.key === "Backspace") points.splice(index, 1);
    else if (moves[event.key]) points[index] = this.inside([x + moves[event.key][0], y + moves[event.key][1]]);
    else return;
    event.preventDefault();
    this.setPoints(points);
    this.canvas.querySelector(`[data-corner="${Math.min(index, points.length - 1)}"]`)?.focus();
  }

  draw() {
    const v = this.values, unit = Math.max(...this.size) / 100, list = points => points.map(point => point.join(",")).join(" ");
    const parts = v.masks.map(points => svg("polygon", { class: "mask", points: list(points) }));
    if (v.roi) parts.push(svg("polygon", { class: "roi", points: list([[v.roi[0], v.roi[1]], [v.roi[2], v.roi[1]], [v.roi[2], v.roi[3]], [v.roi[0], v.roi[3]]]) }));
    if (v.floor) parts.push(...this.floor(v.floor, unit));
    for (const [name, points] of [...Object.entries(v.zones), ...v.beds.map(bed => ["bed", bed])]) parts.push(svg("polygon", { class: "zone", points: list(points) }), this.label(name, middle(points), unit));
    parts.push(...this.corners.map(([x, y], i) => svg("circle", { cx: x, cy: y, r: 1.3 * unit, tabindex: 0, role: "button", "data-corner": i,
      "aria-label": `${TOOLS[this.tool]}, corner ${i + 1}, ${x} ${y}`, onkeydown: event => this.key(event, i) })));
    this.canvas.replaceChildren(...parts);
  }

  floor(points, unit) {
    const sides = points.map((point, i) => [point, points[(i + 1) % points.length]]);
    const lines = sides.map(([a, b], i) => svg("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], "data-side": i, class: this.values.open_sides.includes(i) ? "open" : "wall",
      tabindex: 0, role: "button", "aria-label": `${this.values.open_sides.includes(i) ? "opening" : "wall"} ${i}`, onkeydown: event => this.sideKey(event, i) }));
    const names = sides.map((side, i) => this.label(`${i}${this.values.open_sides.includes(i) ? " open" : ""}`, middle(side), unit));
    return [svg("polygon", { class: "floor", points: points.map(point => point.join(",")).join(" ") }), ...lines, ...names];
  }

  label(text, [x, y], unit) {
    return svg("text", { transform: `translate(${x} ${y}) scale(${3 * unit})`, "text-anchor": "middle", "stroke-width": 0.2, "pointer-events": "none" }, text);
  }

  check() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.send(false).catch(error => this.tell([error.message])), CHECK_MS);
  }

  async send(save) {
    const asked = this.asked = (this.asked ?? 0) + 1;
    const found = await this.card.store.send({ ...this.values, save });
    if (asked === this.asked) this.tell(found.problems, found);
    return found;
  }

  tell(problems, found = {}) {
    this.saveButton.disabled = problems.length > 0;
    const m = found.measures;
    this.found.replaceChildren(
      ...problems.map(text => el("p", { class: "bad" }, `✕ ${text}`)),
      ...(found.remarks ?? []).map(text => el("p", { class: "warn" }, text)),
      ...(m ? [el("p", { class: "measures" }, `Understood: sides ${m.sides_m.map(one => one ?? "?").join(", ")} m; the camera hangs ${m.camera_height_m} m above the floor.`)] : []),
      ...(problems.length ? [] : [el("p", { class: "good" }, "✓ this drawing can be saved")]),
      ...(found.toml ? [el("pre", {}, found.toml)] : []));
  }

  async save() {
    clearTimeout(this.waiting);
    try {
      const found = await this.send(true);
      if (!found.saved) return;
      if (this.undoButton) this.undoButton.disabled = false;
      say(found.place ? `saved: ${found.place}` : `saved; changed: ${found.applied.changed.join(", ") || "nothing"}`);
    } catch (error) { say(error); }
  }

  async undo() {
    try {
      await this.card.store.undo();
      const found = await this.card.store.get();
      this.values = found.drawing;
      this.partial = {};
      this.latest();
      this.show();
      this.draw();
      this.check();
      say("the drawing before the last save is back");
    } catch (error) { say(error); }
  }

  close() {
    clearTimeout(this.waiting);
    this.canvas.remove();
    this.panel.remove();
    this.card.root.classList.remove("wide");
    this.card.drawing = null;
  }
}

function middle(points) {
  return [0, 1].map(axis => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}
