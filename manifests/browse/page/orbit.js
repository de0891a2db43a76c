// A camera that a mouse turns about a point: drag to turn, right or shift drag to move, wheel to come nearer.

import { cross, lookAt, normalised, subtract } from "./gl.js";

export class Orbit {
  constructor(canvas, changed) {
    this.home([0, 0, 0], 1);
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      if (event.buttons & 2 || event.shiftKey) this.#move(event.movementX, event.movementY, canvas.clientHeight);
      else this.#turn(event.movementX, event.movementY);
      changed();
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.distance = Math.min(100, Math.max(0.02, this.distance * Math.exp(event.deltaY * 0.001)));
      changed();
    }, { passive: false });
    canvas.addEventListener("dblclick", () => {
      this.home(this.start.target, this.start.distance);
      changed();
    });
  }

  // Metres; from half left and a little above, as the face looks along +Z.
  home(target, distance) {
    this.start = { target: [...target], distance };
    Object.assign(this, { target: [...target], distance, azimuth: 0.75, elevation: 0.32 });
  }

  get eye() {
    const { azimuth, elevation, distance, target } = this;
    const flat = Math.cos(elevation) * distance;
    return [target[0] + Math.sin(azimuth) * flat, target[1] + Math.sin(elevation) * distance, target[2] + Math.cos(azimuth) * flat];
  }

  get matrix() {
    return lookAt(this.eye, this.target);
  }

  #turn(dx, dy) {
    this.azimuth -= dx * 0.008;
    this.elevation = Math.max(-1.5, Math.min(1.5, this.elevation + dy * 0.008));
  }

  #move(dx, dy, height) {
    const back = normalised(subtract(this.eye, this.target));
    const right = normalised(cross([0, 1, 0], back));
    const up = cross(back, right);
    const scale = (this.distance * 0.8) / height;
    this.target = this.target.map((value, i) => value - right[i] * dx * scale + up[i] * dy * scale);
  }
}
