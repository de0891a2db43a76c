// One colour a view, the same in the pictures' captions and in the 3D panel.

const COLOURS = ["#6aa9ff", "#ffb454", "#5fd38d", "#e58bff", "#ff6f6f", "#4fd6d6", "#d6d34f", "#c99b7a"];

export function colourOf(view) {
  return COLOURS[view % COLOURS.length];
}

export function rgbOf(view) {
  const hex = colourOf(view);
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
}
