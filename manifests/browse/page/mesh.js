// The head mesh of a clip, fetched by the window of frames.

import { getBinary } from "./http.js";
import { kept } from "./film.js";

const WINDOWS_KEPT = 12;

export class Mesh {
  constructor(clip) {
    this.clip = clip;
    this.windows = new Map();
    this.problem = "";
  }

  // {positions [V * 3], normals [V * 3], faces [F * 3]} of a frame; null, with `problem` set, where there is none.
  async frame(n) {
    if (this.problem) return null;
    const size = this.clip.mesh_window;
    const number = Math.floor(n / size);
    try {
      const { vertices, count, faces } = await this.#window(number);
      this.#window(Math.floor(((n + size) % this.clip.frames) / size)).catch(() => {});
      const at = (n - number * size) * count * 3;
      const positions = vertices.subarray(at, at + count * 3);
      return { positions, normals: vertexNormals(positions, faces), faces };
    } catch (error) {
      this.problem = error.message;
      return null;
    }
  }

  #window(number) {
    return kept(this.windows, number, WINDOWS_KEPT, async () => {
      const data = await getBinary("/api/mesh", { ...this.clip.id, start: number * this.clip.mesh_window });
      const [, count, faceCount] = new Uint32Array(data, 0, 3);
      const faces = new Uint32Array(data, 12, faceCount * 3);
      return { count, faces, vertices: new Float32Array(data, 12 + faceCount * 12) };
    });
  }
}

// Area-weighted, not normalised: the shader does that.
function vertexNormals(p, faces) {
  const normals = new Float32Array(p.length);
  for (let f = 0; f < faces.length; f += 3) {
    const a = faces[f] * 3;
    const b = faces[f + 1] * 3;
    const c = faces[f + 2] * 3;
    const ux = p[b] - p[a], uy = p[b + 1] - p[a + 1], uz = p[b + 2] - p[a + 2];
    const vx = p[c] - p[a], vy = p[c + 1] - p[a + 1], vz = p[c + 2] - p[a + 2];
    const n = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    for (const i of [a, b, c]) {
      normals[i] += n[0];
      normals[i + 1] += n[1];
      normals[i + 2] += n[2];
    }
  }
  return normals;
}
