// The clock of a clip: every frame is shown, in order; where pictures come late it waits rather than skips.

import { el } from "./dom.js";

export class Player {
  // `draw(n)` shows a frame and resolves once it stands.
  constructor(clip, draw) {
    this.clip = clip;
    this.draw = draw;
    this.frame = 0;
    this.speed = 1;
    this.playing = false;
    this.closed = false;
    this.button = el("button", { type: "button", class: "play", id: "play", onclick: () => this.toggle() });
    this.slider = el("input", { type: "range", id: "scrub", min: 0, max: clip.frames - 1, step: 1, value: 0, ariaLabel: "frame", oninput: () => this.scrub(Number(this.slider.value)) });
    this.label = el("output", { id: "frame", class: "frame" });
    const step = (by, sign) => el("button", { type: "button", class: "quiet", title: by < 0 ? "one frame back (←)" : "one frame on (→)", onclick: () => this.scrub(this.frame + by) }, sign);
    const speed = el("select", { ariaLabel: "speed", onchange: () => { this.speed = Number(speed.value); } });
    speed.append(...[0.1, 0.25, 0.5, 1, 2].map((value) => el("option", { value, selected: value === 1 }, `${value}×`)));
    this.root = el("div", { class: "player" }, this.button, step(-1, "‹"), this.slider, step(1, "›"), this.label, speed);
    this.#label();
  }

  toggle() {
    this.playing = !this.playing;
    this.#label();
    if (this.playing) this.#play();
  }

  // Stops, and shows one frame; the ends join.
  scrub(frame) {
    this.playing = false;
    return this.show((frame + this.clip.frames) % this.clip.frames);
  }

  async show(frame) {
    this.frame = frame;
    this.#label();
    await this.draw(frame);
  }

  again() {
    return this.playing ? null : this.show(this.frame);
  }

  close() {
    this.closed = true;
    this.playing = false;
  }

  async #play() {
    const run = {};
    this.run = run;
    let due = performance.now();
    while (this.playing && this.run === run && !this.closed) {
      due += 1000 / (this.clip.fps * this.speed);
      await this.show((this.frame + 1) % this.clip.frames);
      const left = due - performance.now();
      if (left < -500) due = performance.now();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, left)));
    }
  }

  #label() {
    this.button.textContent = this.playing ? "❚❚" : "▶";
    this.button.title = this.playing ? "pause (space)" : "play (space)";
    this.slider.value = this.frame;
    const seconds = (this.frame / this.clip.fps).toFixed(2);
    this.label.textContent = `${this.frame + 1} / ${this.clip.frames}  ${seconds} s`;
  }
}
