// The page of `edged calibrate --page`: draws outlines into the camera's image, and asks the command what is wrong.
"use strict";

const OUTLINES = { floor: "#fac83c", feeder: "#7abefa", hay: "#a6e07a", water: "#d79cff" };
const OPEN = "#78dc78";
const GRAB_PX = 12; // of the screen: a press so near to a corner moves it

const element = (id) => document.getElementById(id);
const canvas = document.querySelector("canvas");
const image = new Image();
const outlines = {}; // name -> [[x, y], ...], in px of the image
let openSides = [];
let current = "floor";
let dragged = null;
let checks = 0;

function drawing() {
  const { floor, ...rest } = outlines;
  const zones = Object.fromEntries(Object.entries(rest).filter(([, corners]) => corners.length));
  const size = [Number(element("width").value), Number(element("depth").value)];
  return { floor, zones, open_sides: openSides, ...(size.some(Boolean) && { floor_m: size }) };
}

function draw() {
  const context = canvas.getContext("2d");
  const px = canvas.width / canvas.clientWidth; // of the image for one of the screen
  context.drawImage(image, 0, 0);
  context.lineWidth = 2 * px;
  context.font = `${14 * px}px system-ui, sans-serif`;
  for (const [name, corners] of Object.entries(outlines)) {
    corners.forEach((corner, i) => {
      const next = corners[(i + 1) % corners.length];
      const isOpen = name === "floor" && openSides.includes(i);
      context.strokeStyle = context.fillStyle = isOpen ? OPEN : OUTLINES[name];
      context.beginPath();
      context.moveTo(...corner);
      context.lineTo(...next);
      context.stroke();
      context.fillRect(corner[0] - 4 * px, corner[1] - 4 * px, 8 * px, 8 * px);
      if (name === "floor" && corners.length > 2) {
        write(context, px, `side ${i}${isOpen ? ", open" : ""}`, [(corner[0] + next[0]) / 2, (corner[1] + next[1]) / 2]);
      }
    });
    if (name !== "floor" && corners.length) write(context, px, name, corners[0]);
  }
}

function write(context, px, text, [x, y]) {
  const colour = context.fillStyle;
  const width = context.measureText(text).width;
  const left = Math.max(0, Math.min(x + 8 * px, canvas.width - width - 8 * px));
  const top = Math.max(0, Math.min(y - 10 * px, canvas.height - 20 * px));
  context.fillStyle = "#1e2328";
  context.fillRect(left, top, width + 8 * px, 20 * px);
  context.fillStyle = colour;
  context.fillText(text, left + 4 * px, top + 15 * px);
}

function position(event) {
  const box = canvas.getBoundingClientRect();
  const within = (value, limit) => Math.round(Math.max(0, Math.min(value, 1)) * limit);
  return [
    within((event.clientX - box.left) / box.width, canvas.width),
    within((event.clientY - box.top) / box.height, canvas.height),
  ];
}

function nearCorner([x, y]) {
  const reach = (GRAB_PX * canvas.width) / canvas.clientWidth;
  const found = outlines[current].findIndex((corner) => Math.hypot(corner[0] - x, corner[1] - y) <= reach);
  return found < 0 ? null : found;
}

async function ask(path) {
  const response = await fetch(path, { method: "POST", body: JSON.stringify(drawing()) });
  return response.ok ? response.json() : { errors: [await response.text()] };
}

async function changed() {
  const count = outlines.floor.length;
  openSides = openSides.filter((side) => side < count);
  draw();
  listSides(count);
  element("save").disabled = true;
  const number = ++checks;
  const answer = await ask("check").catch(() => ({ errors: ["edged calibrate has ended; start it again"] }));
  if (number === checks) show(answer);
}

function show({ errors, toml = "", height = "" }) {
  element("errors").textContent = errors.join("\n");
  element("height").textContent = height;
  element("toml").textContent = toml;
  element("save").disabled = errors.length > 0;
}

function listSides(count) {
  const boxes = [...Array(count > 2 ? count : 0).keys()].map((side) =>
    choice("checkbox", `side ${side}`, openSides.includes(side), (checked) => {
      openSides = checked ? [...openSides, side].sort() : openSides.filter((other) => other !== side);
      changed();
    }),
  );
  element("sides").replaceChildren(element("sides").firstElementChild, ...boxes);
}

function choice(type, text, checked, onChange) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type, checked, name: type });
  input.addEventListener("change", () => onChange(input.checked));
  label.append(input, ` ${text}`);
  return label;
}

async function save(event) {
  event.preventDefault();
  const answer = await ask("save").catch(() => ({ errors: ["edged calibrate has ended; start it again"] }));
  show(answer);
  if (answer.errors.length) return;
  element("save").disabled = true;
  element("height").textContent = answer.file ? `Saved in ${answer.file}.` : "The terminal has these lines.";
}

function listen() {
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    dragged = nearCorner(position(event)) ?? outlines[current].push(position(event)) - 1;
    draw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (dragged === null) return;
    outlines[current][dragged] = position(event);
    draw();
  });
  canvas.addEventListener("pointerup", () => {
    dragged = null;
    changed();
  });
  element("undo").addEventListener("click", () => (outlines[current].pop(), changed()));
  element("clear").addEventListener("click", () => ((outlines[current] = []), changed()));
  for (const id of ["width", "depth"]) element(id).addEventListener("input", changed);
  document.querySelector("form").addEventListener("submit", save);
  window.addEventListener("resize", draw);
}

async function start() {
  const given = await (await fetch("drawing.json")).json();
  document.querySelector("h1").textContent = `Stall of camera ${given.camera}`;
  const zones = given.zones ?? {};
  for (const name of Object.keys(zones)) OUTLINES[name] ??= "#7abefa";
  for (const name of Object.keys(OUTLINES)) {
    outlines[name] = name === "floor" ? given.floor ?? [] : zones[name] ?? [];
    element("outlines").append(choice("radio", name, name === current, () => (current = name)));
  }
  openSides = given.open_sides ?? [];
  [element("width").value, element("depth").value] = given.floor_m ?? ["", ""];
  image.src = "image.jpg";
  await image.decode();
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  listen();
  await changed();
}

start();
