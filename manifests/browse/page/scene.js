// The 3D panel: the head's mesh and landmarks, and each camera as a frustum that carries its picture.

import { attribute, multiply, perspective, program } from "./gl.js";
import { rgbOf } from "./colours.js";
import { Orbit } from "./orbit.js";

const FIELD_OF_VIEW = 0.7;

const MESH = [
  `attribute vec3 position; attribute vec3 normal; uniform mat4 view; varying vec3 n;
   void main() { n = normal; gl_Position = view * vec4(position, 1.0); }`,
  `precision mediump float; varying vec3 n; uniform vec3 eye;
   void main() {
     vec3 d = normalize(n);
     float key = max(dot(d, normalize(eye + vec3(0.3, 0.6, 0.2))), 0.0);
     float rim = max(dot(d, normalize(vec3(-0.6, 0.3, -0.7))), 0.0);
     gl_FragColor = vec4(vec3(0.80, 0.76, 0.72) * (0.16 + 0.74 * key) + vec3(0.25, 0.33, 0.45) * rim, 1.0);
   }`,
];
const COLOURED = [
  `attribute vec3 position; attribute vec4 colour; uniform mat4 view; uniform float size; varying vec4 c;
   void main() { c = colour; gl_Position = view * vec4(position, 1.0); gl_PointSize = max(size / gl_Position.w, 1.5); }`,
  `precision mediump float; varying vec4 c; void main() { gl_FragColor = vec4(c.rgb * c.a, c.a); }`,
];
const PICTURE = [
  `attribute vec3 position; attribute vec2 place; uniform mat4 view; varying vec2 p;
   void main() { p = place; gl_Position = view * vec4(position, 1.0); }`,
  `precision mediump float; varying vec2 p; uniform sampler2D picture;
   void main() { gl_FragColor = vec4(texture2D(picture, p).rgb, 1.0) * 0.9; }`,
];

export class Scene {
  // Throws where the browser has no WebGL.
  constructor(canvas) {
    this.canvas = canvas;
    const gl = canvas.getContext("webgl", { antialias: true, preserveDrawingBuffer: true });
    if (!gl || !gl.getExtension("OES_element_index_uint")) throw new Error("3D: this browser has no WebGL");
    this.gl = gl;
    this.programs = { mesh: program(gl, ...MESH), coloured: program(gl, ...COLOURED), picture: program(gl, ...PICTURE) };
    this.buffers = [0, 1, 2].map(() => gl.createBuffer());
    this.texture = gl.createTexture();
    this.orbit = new Orbit(canvas, () => this.redraw());
    this.content = { mesh: null, points: null, cameras: null, frame: 0, pictures: new Map() };
    this.planned = 0;
    this.resized = new ResizeObserver(() => this.redraw());
    this.resized.observe(canvas);
  }

  // Change what is shown: mesh of a frame, points [N * 3], cameras, frame, canvases of the views by number.
  set(content) {
    Object.assign(this.content, content);
    this.redraw();
  }

  // Look at the head from where it and all cameras are in sight.
  fit() {
    const { cameras, points, mesh } = this.content;
    const target = middle(points ?? mesh?.positions ?? []);
    let reach = 0.35;
    for (let view = 0; cameras && view < cameras.views; view++) {
      const centre = cameras.centre(view, 0);
      if (centre) reach = Math.max(reach, Math.hypot(...centre.map((value, i) => value - target[i])));
    }
    this.reach = Math.min(reach, 50);
    this.orbit.home(target.map((value, i) => value + (i === 2 ? this.reach * 0.3 : 0)), this.reach * 1.75);
    this.redraw();
  }

  redraw() {
    if (!this.planned) this.planned = requestAnimationFrame(() => this.#draw());
  }

  close() {
    cancelAnimationFrame(this.planned);
    this.resized.disconnect();
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  #draw() {
    this.planned = 0;
    const { gl, canvas, content } = this;
    const ratio = Math.min(2, devicePixelRatio || 1);
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    gl.viewport(0, 0, width, height);
    gl.clearColor(0.067, 0.073, 0.082, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const distance = this.orbit.distance;
    this.view = multiply(perspective(FIELD_OF_VIEW, width / height, distance / 100, distance * 20 + 10), this.orbit.matrix);
    this.#grid();
    if (content.mesh) this.#mesh(content.mesh);
    if (content.points) this.#points(content.points, 0.004 * height);
    if (content.cameras) this.#cameras(content);
  }

  #use(made) {
    this.gl.useProgram(made);
    this.gl.uniformMatrix4fv(this.gl.getUniformLocation(made, "view"), false, this.view);
    return made;
  }

  #mesh({ positions, normals, faces }) {
    const { gl } = this;
    const made = this.#use(this.programs.mesh);
    const eye = this.orbit.eye.map((value, i) => (value - this.orbit.target[i]) / this.orbit.distance);
    gl.uniform3fv(gl.getUniformLocation(made, "eye"), eye);
    attribute(gl, made, "position", this.buffers[0], positions, 3);
    attribute(gl, made, "normal", this.buffers[1], normals, 3);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers[2]);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, faces, gl.DYNAMIC_DRAW);
    gl.drawElements(gl.TRIANGLES, faces.length, gl.UNSIGNED_INT, 0);
  }

  #coloured(kind, positions, colours, size = 1) {
    const { gl } = this;
    const made = this.#use(this.programs.coloured);
    gl.uniform1f(gl.getUniformLocation(made, "size"), size);
    attribute(gl, made, "position", this.buffers[0], new Float32Array(positions), 3);
    attribute(gl, made, "colour", this.buffers[1], new Float32Array(colours), 4);
    gl.drawArrays(kind, 0, positions.length / 3);
  }

  #points(points, size) {
    const colours = [];
    for (let i = 0; i < points.length; i += 3) colours.push(0.24, 1, 0.55, 1);
    this.#coloured(this.gl.POINTS, points, colours, size);
  }

  // The floor: a square each 0.25 m, below the head's neck, and the world's axes.
  #grid() {
    const floor = -0.3;
    const positions = [];
    const colours = [];
    const line = (a, b, colour) => {
      positions.push(...a, ...b);
      colours.push(...colour, ...colour);
    };
    for (let i = -8; i <= 8; i++) {
      const faint = i % 4 === 0 ? [0.5, 0.55, 0.62, 0.28] : [0.5, 0.55, 0.62, 0.12];
      line([i / 4, floor, -2], [i / 4, floor, 2], faint);
      line([-2, floor, i / 4], [2, floor, i / 4], faint);
    }
    line([0, 0, 0], [0.1, 0, 0], [1, 0.35, 0.35, 1]);
    line([0, 0, 0], [0, 0.1, 0], [0.4, 1, 0.4, 1]);
    line([0, 0, 0], [0, 0, 0.1], [0.4, 0.6, 1, 1]);
    this.#coloured(this.gl.LINES, positions, colours);
  }

  #cameras({ cameras, frame, pictures }) {
    const depth = (this.reach ?? 1) * 0.2;
    for (let view = 0; view < cameras.views; view++) {
      const frustum = cameras.frustum(view, frame, depth);
      const colour = rgbOf(view);
      this.#path(cameras, view, [...colour, 0.45]);
      if (!frustum) continue;
      const { centre, corners } = frustum;
      if (pictures.has(view)) this.#picture(corners, pictures.get(view));
      const positions = [];
      corners.forEach((corner, i) => positions.push(...centre, ...corner, ...corner, ...corners[(i + 1) % 4]));
      const top = middle([...corners[0], ...corners[1]]);
      const tip = top.map((value, i) => value + (corners[0][i] - corners[3][i]) * 0.18);
      positions.push(...corners[0], ...tip, ...tip, ...corners[1]);
      const colours = Array.from({ length: positions.length / 3 }, () => [...colour, 1]).flat();
      this.#coloured(this.gl.LINES, positions, colours);
    }
  }

  // Where a camera goes over the clip.
  #path(cameras, view, colour) {
    const positions = [];
    const step = Math.max(1, Math.floor(cameras.frames / 500));
    for (let frame = 0; frame < cameras.frames; frame += step) {
      const centre = cameras.centre(view, frame);
      if (centre) positions.push(...centre);
    }
    this.#coloured(this.gl.LINE_STRIP, positions, Array.from({ length: positions.length / 3 }, () => colour).flat());
  }

  #picture(corners, canvas) {
    const { gl } = this;
    const made = this.#use(this.programs.picture);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, canvas);
    for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    attribute(gl, made, "position", this.buffers[0], new Float32Array(corners.flat()), 3);
    attribute(gl, made, "place", this.buffers[1], new Float32Array([0, 0, 1, 0, 1, 1, 0, 1]), 2);
    gl.drawArrays(gl.TRIANGLE_FAN, 0, 4);
  }
}

// Mean of the finite points of [N * 3].
function middle(points) {
  const sum = [0, 0, 0];
  let count = 0;
  for (let i = 0; i + 2 < points.length; i += 3) {
    if (![0, 1, 2].every((axis) => Number.isFinite(points[i + axis]))) continue;
    sum.forEach((_, axis) => (sum[axis] += points[i + axis]));
    count += 1;
  }
  return sum.map((value) => value / (count || 1));
}
