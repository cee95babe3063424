// Switches of a camera and the choice of a profile, each for some minutes or until it is changed again.
import { el, post, say, show } from "./kit.js";

const SWITCHES = { camera: "Camera", alerts: "Alerts", images: "Pictures" };

function minutesInput() {
  return el("input", { type: "number", min: 1, max: 10080, inputmode: "numeric", placeholder: "no end" });
}

const until = ts => ts == null ? "" : `until ${new Date(ts).toLocaleString([], { dateStyle: "short", timeStyle: "short" })}`;

// Sends a command with the minutes of `input`, and hands its answer, the `switches` message, to `done`.
async function command(verb, values, input, done) {
  if (!input.reportValidity()) return;
  const minutes = input.value === "" ? {} : { minutes: input.valueAsNumber };
  done(await post(`/api/commands/${verb}`, { ...values, ...minutes }));
}

export class CameraSwitches {
  constructor(camera) {
    this.camera = camera;
    this.minutes = minutesInput();
    this.boxes = Object.fromEntries(Object.keys(SWITCHES).map(what => [what, el("input", { type: "checkbox", role: "switch", onchange: () => this.flip(what) })]));
    this.ends = Object.fromEntries(Object.keys(SWITCHES).map(what => [what, el("span", { class: "faint" })]));
    const rows = Object.entries(SWITCHES).map(([what, text]) => el("div", { class: "row" }, el("label", {}, this.boxes[what], text), this.ends[what]));
    this.root = el("details", {}, el("summary", {}, "Switches"), el("label", {}, "for", this.minutes, "minutes"), ...rows);
  }

  async flip(what) {
    this.busy = true;
    try {
      await command("switch", { camera: this.camera, what, on: this.boxes[what].checked }, this.minutes, body => this.take(body.cameras[this.camera]));
    } catch (error) { say(error); }
    this.busy = false;
  }

  update(state) { if (!this.busy) this.take(state); }

  take(state) {
    for (const [what, one] of Object.entries(state)) {
      this.boxes[what].checked = one.on;
      if (one.allowed !== undefined) this.boxes[what].disabled = !one.allowed;
      this.ends[what].textContent = one.allowed === false ? "off in the configuration" : until(one.until_ts);
    }
  }
}

export class ProfileChoice {
  constructor() {
    this.minutes = minutesInput();
    this.select = el("select", { id: "profile" });
    this.state = el("span", { class: "faint", id: "profile-state" });
    this.button = el("button", { onclick: () => this.choose() }, "Use");
    this.root = el("details", { class: "profile" }, el("summary", {}, "Profile ", this.state),
      el("div", { class: "row" }, el("label", {}, "use", this.select), el("label", {}, "for", this.minutes, "minutes"), this.button));
  }

  async choose() {
    try {
      await command("profile", { name: this.select.value }, this.minutes, body => this.update(body.profile, true));
    } catch (error) { say(error); }
  }

  // The select follows what is selected, but not while somebody chooses.
  update(profile, chosen = false) {
    show(this.root, profile.choices.length > 2);
    if (profile.choices.join() !== this.choices) {
      this.choices = profile.choices.join();
      this.selected = null;
      this.select.replaceChildren(...profile.choices.map(name => el("option", {}, name)));
    }
    if (chosen || this.selected !== profile.selected) this.select.value = this.selected = profile.selected;
    this.state.textContent = `${profile.active ? `${profile.active} applies` : "no profile applies"} ${until(profile.until_ts)}`;
  }
}
