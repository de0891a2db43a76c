// One clip: its views and overlays, the 3D panel, and what its row says.

import { Cameras } from "./cameras.js";
import { details } from "./details.js";
import { el } from "./dom.js";
import { getBinary, getJson } from "./http.js";
import { Mesh } from "./mesh.js";
import { Player } from "./player.js";
import { Scene } from "./scene.js";
import { Stage } from "./stage.js";

const MOUSE = "drag: turn · shift-drag: move · wheel: nearer · double-click: as it was";

// Shows the clip in `root`; what it returns ends it.
export function openClip(root, id, back, classes) {
  const asking = new AbortController();
  const closing = [() => asking.abort()];
  const heading = el("div", { class: "bar" }, el("a", { class: "quiet", href: back, id: "back" }, "‹ Clips"), el("h1", {}, id.key));
  root.replaceChildren(heading, el("p", { class: "empty" }, "Opening…"));
  getJson("/api/clip", id, asking.signal)
    .then((answer) => closing.push(build(root, heading, { ...answer, id, classes })))
    .catch((error) => {
      if (error.name !== "AbortError") root.replaceChildren(heading, el("p", { class: "problem", role: "alert" }, error.message));
    });
  return () => closing.forEach((end) => end());
}

function build(root, heading, clip) {
  const views = el("div", { class: "views", id: "views" });
  const stage = new Stage(views, clip);
  const space = makeSpace(clip, stage);
  const player = new Player(clip, async (n) => {
    const [drawn] = await Promise.all([stage.draw(n), space.load(n)]);
    if (drawn) space.draw(n);
  });
  const again = () => player.again();
  const { row } = clip;
  heading.append(el("span", { class: "count" }, `${row.recipe} · identity ${row.identity} · ${row.split} · ${row.width} × ${row.height} · ${clip.fps} fps`));
  const pictures = el("section", { class: "panel pictures" }, views, player.root, overlays(clip, stage, again));
  root.replaceChildren(heading, el("div", { class: "clip" }, pictures, space.root, details(clip)));
  if (!clip.views.length) views.append(el("p", { class: "problem" }, "This clip has no member that holds pictures of a view; audit the corpus."));

  const keys = (event) => {
    if (event.target.matches("select, input:not([type=range])") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.matches("button, summary")) return;
    const actions = { " ": () => player.toggle(), ArrowLeft: () => player.scrub(player.frame - 1), ArrowRight: () => player.scrub(player.frame + 1) };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  };
  window.addEventListener("keydown", keys);
  space.start().then(() => player.show(0));
  return () => {
    window.removeEventListener("keydown", keys);
    player.close();
    stage.close();
    space.close();
  };
}

// Buttons for the layers that some view has, landmarks, and opacity.
function overlays(clip, stage, again) {
  const layers = [...new Set(clip.views.flatMap((view) => view.layers))].filter((layer) => layer !== clip.colour);
  const problem = el("p", { class: "view-problem", hidden: true });
  const buttons = ["", ...layers].map((layer) => el("button", { type: "button", ariaPressed: String(layer === ""), "data-layer": layer, onclick: () => choose(layer) }, (layer || "colour").replace("_", " ")));
  const choose = (layer) => {
    stage.setOverlay(layer);
    classLegend.hidden = layer !== "segmentation";
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.layer === layer)));
    again();
  };
  const opacity = el("input", { type: "range", id: "opacity", min: 0, max: 100, value: 60, ariaLabel: "opacity of the overlay", oninput: () => {
    stage.opacity = Number(opacity.value) / 100;
    again();
  } });
  const landmarks = el("input", { type: "checkbox", id: "landmarks", onchange: async () => {
    stage.landmarksShown = landmarks.checked;
    pointLegend.hidden = !landmarks.checked;
    try {
      stage.landmarks ??= new Float32Array(await getBinary("/api/landmarks", clip.id));
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    }
    again();
  } });
  const named = (name, colour) => {
    const dot = el("i", { class: "dot" });
    dot.style.background = colour;
    return el("span", {}, dot, name);
  };
  const pointLegend = el("div", { class: "legend", hidden: true }, named("visible", "#3dff8b"), named("hidden", "#ff4848"));
  const classLegend = el("div", { class: "legend", hidden: true }, ...clip.classes.slice(1).map(({ name, colour }) => named(name.replace("_", " "), colour)));
  return el(
    "div",
    {},
    el("div", { class: "overlays" }, el("div", { class: "segmented", role: "group", ariaLabel: "overlay" }, ...buttons), el("label", {}, "opacity", opacity), el("label", {}, landmarks, "landmarks"), pointLegend),
    classLegend,
    problem,
  );
}

// The 3D panel; where the browser cannot, or the head is not on this machine, it says so.
function makeSpace(clip, stage) {
  const canvas = el("canvas", { id: "scene" });
  const message = el("p", { class: "scene-message" });
  const hint = el("p", { class: "hint" }, MOUSE);
  const root = el("section", { class: "panel scene" }, canvas, hint, message);
  const mesh = new Mesh(clip);
  let scene = null;
  let points = null;
  let current = null;
  const say = (text) => {
    if (text && !message.textContent.includes(text)) message.textContent = [message.textContent, text].filter(Boolean).join(" · ");
  };
  const optional = (promise) => promise.catch((error) => say(error.message));

  return {
    root,
    async start() {
      try {
        scene = new Scene(canvas);
      } catch (error) {
        return say(error.message);
      }
      const numbers = await optional(getBinary("/api/cameras", clip.id));
      const marks = await optional(getBinary("/api/points", clip.id));
      const { views, width, height } = clip.row;
      if (marks) points = new Float32Array(marks);
      const cameras = numbers ? new Cameras(new Float32Array(numbers), views, clip.frames, width, height) : null;
      scene?.set({ cameras, points: pointsOf(0), pictures: stage.canvases });
      scene?.fit();
    },
    async load(n) {
      if (!scene) return;
      hint.textContent = current ? MOUSE : "the head is being posed…";
      current = await mesh.frame(n);
      hint.textContent = MOUSE;
      say(mesh.problem);
    },
    draw(n) {
      scene?.set({ mesh: current, points: pointsOf(n), frame: n });
    },
    close() {
      scene?.close();
      scene = null;
    },
  };

  function pointsOf(n) {
    if (!points) return null;
    const count = points.length / clip.frames;
    return points.subarray(n * count, (n + 1) * count);
  }
}
