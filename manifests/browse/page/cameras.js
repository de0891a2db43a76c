// Camera geometry: OpenCV axes, row-major K and world_to_camera, as the corpus stores them.

const NUMBERS = 25;

export class Cameras {
  // `data` Float32Array [V, T, 25]: K, then world_to_camera.
  constructor(data, views, frames, width, height) {
    Object.assign(this, { data, views, frames, width, height });
  }

  // World position of a camera, or null where its numbers are none.
  centre(view, frame) {
    return finite(this.#toWorld(view, frame, [0, 0, 0]));
  }

  // Centre and the picture's four corners (from top left, clockwise) at a depth in metres.
  frustum(view, frame, depth) {
    const k = this.#numbers(view, frame);
    const corners = [[0, 0], [this.width, 0], [this.width, this.height], [0, this.height]].map(([x, y]) => {
      const down = (y - k[5]) / k[4];
      const right = (x - k[2] - k[1] * down) / k[0];
      return finite(this.#toWorld(view, frame, [right * depth, down * depth, depth]));
    });
    const centre = this.centre(view, frame);
    return centre && corners.every(Boolean) ? { centre, corners } : null;
  }

  #numbers(view, frame) {
    const start = (view * this.frames + frame) * NUMBERS;
    return this.data.subarray(start, start + NUMBERS);
  }

  // Transposed rotation times (point - translation).
  #toWorld(view, frame, point) {
    const m = this.#numbers(view, frame).subarray(9);
    const p = [point[0] - m[3], point[1] - m[7], point[2] - m[11]];
    return [0, 1, 2].map((axis) => m[axis] * p[0] + m[4 + axis] * p[1] + m[8 + axis] * p[2]);
  }
}

function finite(point) {
  return point.every(Number.isFinite) ? point : null;
}
