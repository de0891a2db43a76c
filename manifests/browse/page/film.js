// One layer of one view: pictures come from the server by the window, and are decoded when they are near.

import { getBinary } from "./http.js";

const WINDOWS_KEPT = 24;
const BITMAPS_KEPT = 12;

export class Film {
  constructor(clip, view, layer, type) {
    Object.assign(this, { clip, view, layer, type });
    this.windows = new Map(); // window number -> promise of blobs, the latest asked for last
    this.bitmaps = new Map(); // frame -> promise of an ImageBitmap, likewise
  }

  // An ImageBitmap, valid until BITMAPS_KEPT others were asked for.
  async frame(n) {
    const bitmap = this.#bitmap(n);
    this.#window(Math.floor(((n + this.clip.window) % this.clip.frames) / this.clip.window)).catch(() => {});
    this.#bitmap((n + 1) % this.clip.frames).catch(() => {});
    return bitmap;
  }

  close() {
    for (const bitmap of this.bitmaps.values()) bitmap.then((picture) => picture.close(), () => {});
    this.bitmaps.clear();
    this.windows.clear();
  }

  #bitmap(n) {
    return kept(this.bitmaps, n, BITMAPS_KEPT, () => this.#decode(n), (old) => old.then((picture) => picture.close(), () => {}));
  }

  async #decode(n) {
    const number = Math.floor(n / this.clip.window);
    const blobs = await this.#window(number);
    const blob = blobs[n - number * this.clip.window];
    if (!blob) throw new Error(`frame ${n} is missing`);
    return createImageBitmap(blob);
  }

  #window(number) {
    return kept(this.windows, number, WINDOWS_KEPT, () => this.#fetch(number));
  }

  async #fetch(number) {
    const start = number * this.clip.window;
    const data = await getBinary("/api/frames", { ...this.clip.id, view: this.view, layer: this.layer, start });
    const count = new DataView(data).getUint32(0, true);
    const sizes = new Uint32Array(data, 4, count);
    let at = 4 + 4 * count;
    return [...sizes].map((size) => {
      const blob = new Blob([new Uint8Array(data, at, size)], { type: this.type });
      at += size;
      return blob;
    });
  }
}

// A small cache in the order of use. What failed is not kept.
export function kept(cache, key, most, make, drop = () => {}) {
  const found = cache.get(key);
  const value = found ?? make();
  cache.delete(key);
  cache.set(key, value);
  if (!found) value.catch(() => cache.get(key) === value && cache.delete(key));
  while (cache.size > most) {
    const [oldest, old] = cache.entries().next().value;
    cache.delete(oldest);
    drop(old);
  }
  return value;
}
