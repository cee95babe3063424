// The page of `edged calibrate --page`: one picture, drawn on as at the technician's page.
import { openDrawing } from "./draw.js";
import { el, get, post, say } from "./kit.js";

const store = { get: () => get("drawing.json"), send: values => post("drawing", values) };

try {
  const { camera } = await store.get();
  const picture = el("div", { class: "picture" }, el("img", { src: "image.jpg", alt: `Picture of ${camera}` }));
  const root = el("article", { "data-camera": camera }, el("h1", {}, `Camera ${camera}`), picture);
  document.querySelector("main").append(root);
  await openDrawing({ name: camera, root, picture, store });
} catch (error) { say(error); }
