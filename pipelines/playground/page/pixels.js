// Small images of one channel as squares of ink.

import { colour } from "./dom.js";

/** Rows of numbers, whether the channel has an axis of its own or not. */
export const rowsOf = (image) => image.map((row) => row.map((cell) => (Array.isArray(cell) ? cell[0] : cell)));

/** Fills a canvas with an image `{ rows, low, high }`. */
export function paint(canvas, { rows, low, high }, { keepSize = false } = {}) {
  const across = rows[0].length;
  if (!keepSize) {
    const cell = Math.max(4, Math.floor(256 / across));
    canvas.width = across * cell;
    canvas.height = rows.length * cell;
  }
  const context = canvas.getContext("2d");
  const wide = canvas.width / across;
  const tall = canvas.height / rows.length;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = colour("--ink");
  rows.forEach((row, y) => row.forEach((value, x) => {
    context.globalAlpha = Math.min(1, Math.max(0, (value - low) / (high - low)));
    context.fillRect(Math.floor(x * wide), Math.floor(y * tall), Math.ceil(wide), Math.ceil(tall));
  }));
  context.globalAlpha = 1;
}
