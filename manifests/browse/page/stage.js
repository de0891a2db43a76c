// The views of a clip side by side. A frame is drawn when all its pictures are here, so views stay in step.

import { el } from "./dom.js";
import { Film } from "./film.js";
import { colourOf } from "./colours.js";

const SHARP_WIDTH = 480; // small pictures are drawn this large, so that landmarks stay fine
const LARGEST_EDGE = 2048;
const MOST_VIEWS = 16;

export class Stage {
  constructor(root, clip) {
    this.clip = clip;
    this.overlay = "";
    this.opacity = 0.6;
    this.landmarks = null; // Float32Array [V, T, N, 3]
    this.landmarksShown = false;
    this.asked = 0;
    this.views = clip.views.slice(0, MOST_VIEWS).map((view) => new ViewStage(clip, view));
    root.replaceChildren(...this.views.map((view) => view.root));
    if (clip.views.length > MOST_VIEWS) root.append(el("p", { class: "count" }, `The first ${MOST_VIEWS} of ${clip.views.length} views.`));
  }

  get canvases() {
    return new Map(this.views.map((view) => [view.number, view.canvas]));
  }

  // Frames that are overtaken by another are not drawn; true where it was.
  async draw(n) {
    const turn = ++this.asked;
    const layers = [this.clip.colour, ...(this.overlay ? [this.overlay] : [])];
    const pictures = await Promise.all(this.views.map((view) => view.pictures(n, layers)));
    if (turn !== this.asked) return false;
    this.views.forEach((view, i) => view.draw(pictures[i], this.overlay ? this.opacity : 0));
    if (this.landmarksShown && this.landmarks) this.views.forEach((view) => view.drawLandmarks(this.landmarks, n));
    return true;
  }

  setOverlay(layer) {
    this.overlay = layer;
    this.views.forEach((view) => view.forget());
  }

  close() {
    this.asked += 1;
    this.views.forEach((view) => view.close());
  }
}

class ViewStage {
  constructor(clip, { number, layers }) {
    this.clip = clip;
    this.number = number;
    this.layers = layers;
    this.films = new Map();
    this.failed = new Map();
    const { width, height } = clip.row;
    this.scale = Math.min(Math.max(1, Math.ceil(SHARP_WIDTH / width)), LARGEST_EDGE / Math.max(width, height));
    this.canvas = el("canvas", { width: Math.round(width * this.scale), height: Math.round(height * this.scale) });
    this.context = this.canvas.getContext("2d");
    this.context.imageSmoothingEnabled = this.scale < 1;
    this.message = el("p", { class: "view-problem", hidden: true });
    const dot = el("i", { class: "dot" });
    dot.style.background = colourOf(number);
    const name = `v${String(number).padStart(2, "0")}`;
    this.root = el("figure", { class: "view" }, this.canvas, this.message, el("figcaption", {}, dot, name));
  }

  // The layers' bitmaps, null for one that is not there or is damaged.
  async pictures(n, layers) {
    return Promise.all(layers.map((layer) => this.#picture(n, layer)));
  }

  async #picture(n, layer) {
    if (this.failed.has(layer)) return null;
    if (!this.layers.includes(layer)) return this.#fail(layer, `no ${layer} in this view`);
    if (!this.films.has(layer)) {
      const type = layer === this.clip.colour ? "image/jpeg" : "image/webp";
      this.films.set(layer, new Film(this.clip, this.number, layer, type));
    }
    try {
      return await this.films.get(layer).frame(n);
    } catch (error) {
      return this.#fail(layer, error.message);
    }
  }

  #fail(layer, message) {
    this.failed.set(layer, message);
    this.#tell();
    return null;
  }

  #tell() {
    this.message.textContent = [...this.failed.values()].join(" · ");
    this.message.hidden = this.failed.size === 0;
  }

  draw([colour, overlay], opacity) {
    const { context, canvas } = this;
    context.globalAlpha = 1;
    context.fillStyle = "#0c0d0f";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (colour) context.drawImage(colour, 0, 0, canvas.width, canvas.height);
    if (overlay) {
      context.globalAlpha = opacity;
      context.drawImage(overlay, 0, 0, canvas.width, canvas.height);
    }
  }

  drawLandmarks(landmarks, n) {
    const { context, clip, scale } = this;
    const points = landmarks.length / (clip.row.views * clip.frames * 3);
    const start = (this.number * clip.frames + n) * points * 3;
    context.globalAlpha = 1;
    const radius = Math.max(1.6, this.canvas.width / 260);
    for (let i = start; i < start + points * 3; i += 3) {
      const [x, y, visible] = landmarks.subarray(i, i + 3);
      if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
      context.beginPath();
      context.arc(x * scale, y * scale, radius, 0, 2 * Math.PI);
      context.fillStyle = visible ? "#3dff8b" : "rgba(255, 72, 72, 0.35)";
      context.strokeStyle = visible ? "rgba(0, 0, 0, 0.6)" : "#ff4848";
      context.lineWidth = Math.max(1, radius / 3);
      context.fill();
      context.stroke();
    }
  }

  forget() {
    this.failed.clear();
    this.#tell();
    for (const [layer, film] of this.films) {
      if (layer !== this.clip.colour) {
        film.close();
        this.films.delete(layer);
      }
    }
  }

  close() {
    this.films.forEach((film) => film.close());
    this.films.clear();
  }
}
