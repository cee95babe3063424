// The page: login, tabs, live pictures, alerts, device, log. All text from the device is set as text, never as markup.
import { post, get, el, when, show, say, Refused } from "./kit.js";
import { openDrawing } from "./draw.js";
import { CameraSwitches, ProfileChoice } from "./switches.js";

const TABS = { live: "Live", alerts: "Alerts", device: "Device", log: "Log" };
const STATUS_MS = 1000;
const cards = new Map(); // of cameras, by name
let tab = "live", running = false, status = null, alertKey = "";

const $ = id => document.getElementById(id);

// ---- session

$("login").addEventListener("submit", async event => {
  event.preventDefault();
  $("login-error").textContent = "";
  try {
    await post("/api/login", { token: $("token").value });
    $("token").value = "";
    enter();
  } catch (error) { $("login-error").textContent = error.message; }
});
$("logout").addEventListener("click", async () => { await post("/api/logout", {}); leave(); });

function leave() {
  running = false;
  show($("page"), false);
  show($("login"), true);
  $("token").focus();
}

function enter() {
  show($("login"), false);
  show($("page"), true);
  if (!running) { running = true; poll(); }
}

async function poll() {
  while (running) {
    try {
      render(await get("/api/status"));
      $("connection").textContent = "connected";
      $("connection").className = "good";
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return leave();
      $("connection").textContent = "✕ no connection to the device; trying again";
      $("connection").className = "bad";
    }
    await when(STATUS_MS);
  }
}

// ---- tabs

for (const [name, title] of Object.entries(TABS)) {
  const button = el("button", { role: "tab", id: `to-${name}`, "aria-controls": `tab-${name}` }, title);
  button.addEventListener("click", () => select(name));
  $("tabs").append(button);
}
$("tabs").addEventListener("keydown", event => {
  const names = Object.keys(TABS), steps = { ArrowLeft: -1, ArrowRight: 1 };
  if (!(event.key in steps)) return;
  event.preventDefault();
  select(names.at((names.indexOf(tab) + steps[event.key]) % names.length));
  $(`to-${tab}`).focus();
});

function select(name) {
  tab = name;
  for (const other of Object.keys(TABS)) {
    $(`to-${other}`).setAttribute("aria-selected", String(other === name));
    $(`to-${other}`).tabIndex = other === name ? 0 : -1; // the others by arrow keys
    show($(`tab-${other}`), other === name);
  }
  if (name === "log") renderLog();
  if (name === "alerts") { alertKey = ""; if (status) renderAlerts(status); }
}
select("live");

function render(body) {
  status = body;
  $("name").textContent = body.device.name || body.device.id;
  document.title = `${body.alerts.length ? `(${body.alerts.length}) ` : ""}${body.device.name || body.device.id}`;
  $("to-alerts").textContent = body.alerts.length ? `Alerts (${body.alerts.length})` : "Alerts";
  $("to-device").textContent = body.problems.length ? `Device (${body.problems.length})` : "Device";
  renderCameras(body);
  if (tab === "alerts") renderAlerts(body);
  if (tab === "device") renderDevice(body);
}

// ---- live

const profiles = new ProfileChoice();
$("tab-live").append(profiles.root);

function renderCameras(body) {
  const { profile, cameras } = body.switches;
  profiles.update(profile);
  for (const [name, card] of cards) if (!(name in cameras)) { card.close(); cards.delete(name); }
  for (const [name, switches] of Object.entries(cameras)) {
    if (!cards.has(name)) cards.set(name, new Card(name));
    const card = cards.get(name);
    card.switches.update(switches);
    card.setOff(!switches.camera.on);
    if (name in body.cameras) card.update(body.cameras[name]);
  }
}

class Card {
  constructor(name) {
    this.name = name;
    this.number = 0;
    this.inView = false;
    this.refused = false;
    const place = `/api/cameras/${encodeURIComponent(name)}/drawing`;
    this.store = { get: () => get(place), send: values => post(place, values), undo: () => post("/api/undo", {}) };
    this.img = el("img", { alt: `Live picture of ${name}` });
    this.note = el("p", { role: "status" }, "waiting for a picture …");
    this.picture = el("div", { class: "picture" }, this.img, this.note);
    this.line = el("p");
    this.figures = el("p", { class: "faint" });
    this.aim = el("button", {}, "Aim for 10 minutes");
    this.aim.addEventListener("click", () => this.toggleAim());
    this.kind = el("select", { "aria-label": `Kind of the test alert of ${name}` });
    this.switches = new CameraSwitches(name);
    this.root = el("article", { "data-camera": name },
      el("h2", {}, name), this.picture, this.line, this.figures,
      this.actions = el("div", { class: "row" }, this.aim,
        this.button("Draw", () => openDrawing(this)),
        this.button("Restart", () => this.command("restart-camera", {}, "the camera is opened again")),
        this.sideButton = this.button("From the side", () => this.toggleSide()),
        this.dayButton = this.button("Day", () => this.toggleDay())),
      this.switches.root,
      this.test = el("details", {}, el("summary", {}, "Test alert"), el("div", { class: "row" }, this.kind,
        this.button("Ring", () => this.command("test-alert", { event_type: this.kind.value, seconds: 60 }, "it rings for a minute")))),
      this.side = el("div"), this.day = el("div"));
    $("tab-live").append(this.root);
    new IntersectionObserver(found => { this.inView = found.at(-1).isIntersecting; }).observe(this.root);
    this.alive = true;
    this.follow();
  }

  button(text, action) {
    const button = el("button", {}, text);
    button.addEventListener("click", () => Promise.resolve(action()).catch(say));
    return button;
  }

  async command(verb, values, done) {
    await post(`/api/commands/${verb}`, { camera: this.name, ...values });
    say(done);
  }

  close() { this.alive = false; this.root.remove(); }

  get wanted() { return running && tab === "live" && this.inView && !document.hidden && !this.refused && !this.off; }

  async follow() {
    while (this.alive) {
      if (!this.wanted) { await when(200); continue; }
      try {
        await this.next();
      } catch (error) {
        this.note.textContent = error.message;
        if (error instanceof Refused && error.status === 409) this.refuse();
        else await when(1000);
      }
    }
  }

  async next() {
    const response = await get(`/api/cameras/${encodeURIComponent(this.name)}/frame?after=${this.number}`, "picture");
    if (response.status === 204) { this.note.textContent = "no picture comes from the camera"; return; }
    const before = this.img.src;
    this.number = Number(response.headers.get("x-number"));
    this.size = response.headers.get("x-size").split(" ").map(Number);
    this.img.src = URL.createObjectURL(await response.blob());
    await this.img.decode().catch(() => {});
    this.img.dataset.number = String(this.number);
    if (before) URL.revokeObjectURL(before);
    this.note.textContent = "";
    if (this.sideImg) await this.drawSide();
  }

  // People in space, drawn again with every picture while it is open.
  async toggleSide() {
    if (this.sideImg) { this.closeSide(); return; }
    this.sideImg = el("img", { class: "still", alt: `People in front of ${this.name}, from the side` });
    this.side.replaceChildren(this.sideImg);
    await this.drawSide();
  }

  async drawSide() {
    const response = await get(`/api/cameras/${encodeURIComponent(this.name)}/side`, "picture");
    if (response.status === 204 || !this.sideImg) return;
    const before = this.sideImg.src;
    this.sideImg.src = URL.createObjectURL(await response.blob());
    if (before) URL.revokeObjectURL(before);
  }

  closeSide() {
    if (this.sideImg?.src) URL.revokeObjectURL(this.sideImg.src);
    this.sideImg = null;
    this.side.replaceChildren();
  }

  refuse() {
    this.refused = true;
    this.closeSide();
    this.img.removeAttribute("src");
    this.note.textContent = "Pictures of this camera are not shown (images = false). Aiming shows them for 10 minutes, and is announced.";
  }

  setOff(off) {
    if (off === this.off) return;
    this.off = off;
    for (const part of [this.figures, this.actions, this.test]) show(part, !off);
    if (!off) { this.note.textContent = "waiting for a picture …"; return; }
    this.drawing?.close();
    this.closeSide();
    this.img.removeAttribute("src");
    this.note.textContent = this.line.textContent = "○ switched off";
    this.line.className = "faint";
  }

  async toggleAim() {
    try {
      await post(`/api/cameras/${encodeURIComponent(this.name)}/aim`, { on: !this.aiming });
      this.refused = false;
      this.number = 0;
    } catch (error) { say(error); }
  }

  async toggleDay() {
    if (this.day.firstChild) { this.day.replaceChildren(); return; }
    const response = await get(`/api/cameras/${encodeURIComponent(this.name)}/day`, "picture");
    this.day.replaceChildren(el("img", { class: "still", alt: `The day of ${this.name}`, src: URL.createObjectURL(await response.blob()) }));
  }

  update(camera) {
    this.aiming = camera.aiming_s > 0;
    show(this.aim, !camera.images);
    this.aim.textContent = this.aiming ? `Stop aiming (${Math.ceil(camera.aiming_s / 60)} min)` : "Aim for 10 minutes";
    if (!camera.images && !this.aiming && !this.refused && this.img.src) this.refuse();
    if (camera.images) this.refused = false;
    show(this.dayButton, camera.stall);
    show(this.sideButton, camera.lift);
    const good = camera.state === "online";
    this.line.className = good ? "good" : "bad";
    this.line.textContent = `${good ? "●" : "✕"} ${camera.state}${camera.reason ? `: ${camera.reason}` : ""}${camera.scene ? ` · ${camera.scene}` : ""}`;
    const latency = camera.latency_ms ? `${Math.round(camera.latency_ms.p50)} ms (95 %: ${Math.round(camera.latency_ms.p95)})` : "–";
    const f = camera.frames;
    this.figures.textContent = `${camera.fps.toFixed(1)} of ${camera.fps_in.toFixed(1)} frames/s · latency ${latency} · captured ${f.captured} = processed ${f.processed} + dropped ${f.dropped} + failed ${f.failed} + waiting ${f.waiting}`;
    if (this.kind.childElementCount !== camera.kinds.length) this.kind.replaceChildren(...camera.kinds.map(kind => el("option", {}, kind)));
  }
}

// ---- alerts

async function renderAlerts(body) {
  const key = JSON.stringify([body.alerts.map(alert => [alert.alert_id, alert.stage]), Math.floor(Date.now() / 5000)]);
  if (key === alertKey || $("tab-alerts").querySelector("video:not([data-ended])")?.paused === false) return;
  alertKey = key;
  try {
    const past = await get("/api/alerts");
    const open = new Map(body.alerts.map(alert => [alert.alert_id, alert]));
    const parts = new Map(past.map(alert => [alert.alert_id, alert.parts]));
    const closed = past.filter(alert => !open.has(alert.alert_id));
    const shown = JSON.stringify([body.alerts, past.map(alert => [alert.alert_id, alert.stage, alert.parts])]);
    if ($("tab-alerts").dataset.shown === shown) return;
    $("tab-alerts").dataset.shown = shown;
    $("tab-alerts").replaceChildren(
      el("h2", {}, body.alerts.length ? "Open" : "No alert is open"),
      ...body.alerts.map(alert => alertCard(alert, parts.get(alert.alert_id) ?? [], true)),
      ...(closed.length ? [el("h2", {}, "Before")] : []),
      ...closed.map(alert => alertCard(alert, alert.parts, false)),
      ...(body.device.evidence ? [] : [el("p", { class: "faint" }, "Pictures of alerts are off: [evidence] enabled = true keeps them, for cameras with images = true.")]));
  } catch (error) { say(error); }
}

function alertCard(alert, parts, isOpen) {
  const at = `/api/alerts/${alert.alert_id}`;
  const evidence = Object.entries(alert.evidence ?? {}).map(([name, value]) => el("li", {}, `${name}: ${Math.round(value * 100) / 100}`));
  const act = (verb, values) => post(`/api/commands/${verb}`, { alert_id: alert.alert_id, ...values }).catch(say);
  const actions = !isOpen ? [] : [
    el("button", { class: "main", onclick: () => act("acknowledge", {}), disabled: alert.stage === "acknowledged" }, "Acknowledge"),
    el("button", { onclick: () => act("snooze", { minutes: 60 }) }, "Snooze for an hour")];
  return el("article", { "data-alert": alert.alert_id },
    el("h2", { class: alert.severity === "critical" ? "bad" : "warn" }, `${alert.severity === "critical" ? "‼ " : "! "}${alert.event_type}${alert.test ? " (test)" : ""}`),
    el("p", {}, `${alert.camera} · ${alert.stage} · since ${new Date(alert.since_ts).toLocaleString()}`),
    el("p", {}, alert.reason), el("ul", {}, ...evidence),
    ...(parts.includes("still") ? [el("img", { class: "still", src: `${at}/still`, alt: `What ${alert.camera} saw, annotated`, loading: "lazy" })] : []),
    ...(parts.includes("clip") ? [el("video", { src: `${at}/clip`, controls: true, preload: "metadata", playsinline: true })] : []),
    ...(parts.length && !parts.includes("clip") ? [el("p", { class: "faint" }, "the clip is being recorded …")] : []),
    el("div", { class: "row" }, ...actions));
}

// ---- device

function table(rows) {
  return el("table", {}, el("tbody", {}, ...rows.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value)))));
}

function renderDevice(body) {
  const device = body.health.device ?? {}, m = body.mqtt;
  const problems = body.problems.map(one => el("article", { "data-problem": one.code },
    el("h3", { class: "bad" }, `✕ ${one.source}: ${one.code}`), el("p", {}, one.detail), el("p", {}, one.cure && `→ ${one.cure}`)));
  const builds = Object.entries(body.models.engines ?? {}).map(([name, build]) => [name,
    el("span", {}, `${build.phase} `, ...(build.progress === null ? [] : [el("progress", { max: 1, value: build.progress })]), ` ${build.reason}`)]);
  const facts = [["version", body.device.version], ["up for", body.health.uptime_s == null ? "–" : `${Math.round(body.health.uptime_s / 60)} min`],
    ["temperature", device.temperature_c == null ? "not known" : `${device.temperature_c} °C`], ["CPU", `${device.cpu_percent ?? "–"} %`],
    ["memory free", `${device.memory_available_mb ?? "–"} of ${device.memory_total_mb ?? "–"} MB`], ["disk", `${device.disk_used_percent ?? "–"} % used`],
    ["clock", body.health.clock?.synced ? "set" : "not synchronised"]];
  const mqtt = [["state", el("span", { class: m.connected ? "good" : "bad" }, m.connected ? "● connected" : `✕ ${m.reason || "not connected"}`)],
    ["messages", `${m.published} published, ${m.waiting} wait, ${m.stored?.messages ?? 0} stored, ${m.dropped} dropped`]];
  const models = [["run on", body.models.backend], ["detector", body.models.detector],
    ...Object.entries(body.models.pose).map(([label, name]) => [`pose of ${label}`, name]), ...builds];
  $("tab-device").dataset.ready ||= buildDevice();
  $("device-facts").replaceChildren(el("h2", {}, body.problems.length ? "Problems" : "No problems"), ...problems,
    el("h2", {}, "Device"), table(facts), el("h2", {}, "Broker"), table(mqtt), el("h2", {}, "Models"), table(models));
}

function buildDevice() {
  const results = el("ul", { id: "doctor-results" });
  const button = el("button", { id: "doctor" }, "Run doctor");
  button.addEventListener("click", async () => {
    button.disabled = true;
    results.replaceChildren(el("li", {}, "looking …"));
    try {
      const found = await post("/api/doctor", {});
      results.replaceChildren(...found.map(one => el("li", { class: one.ok === false ? "bad" : "" },
        `${one.ok === false ? "✕" : one.ok ? "✓" : "–"} ${one.check}: ${one.message}${one.do ? ` → ${one.do}` : ""}`)));
    } catch (error) { results.replaceChildren(el("li", { class: "bad" }, error.message)); }
    button.disabled = false;
  });
  $("tab-device").append(el("div", { id: "device-facts" }), el("div", { class: "row" }, button), results);
  return "yes";
}

// ---- log

async function renderLog() {
  const again = el("button", { onclick: renderLog }, "Read again");
  try {
    const lines = await get("/api/log");
    $("tab-log").replaceChildren(el("div", { class: "row" }, again), el("pre", { tabindex: "0" }, lines.toReversed().join("\n")));
  } catch (error) { say(error); }
}

get("/api/status").then(enter, leave);
