// A place to draw: with a mouse, a finger, a pen or the keyboard. Strokes are lists of points from 0 to 1.

import { byId, colour, say } from "./dom.js";
import { paint } from "./pixels.js";

const PEN = 0.075;
const NEAREST = 0.006;
const STEP = 1 / 24;
const FAR = 4;
const MOST_POINTS = 4500;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pad {
  /** `changed(strokes)` is called after every change; the list is empty when nothing is drawn. */
  constructor(changed) {
    this.canvas = byId("pad");
    this.changed = changed;
    this.strokes = [];
    this.image = null;
    this.pen = { x: 0.5, y: 0.2, down: false, shown: false };
    this.pointer = null;
    this.listen();
    new ResizeObserver(() => this.render()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.render());
  }

  /** Shows an image, such as a real row; strokes take its place until they are undone. */
  show(image) {
    this.strokes = [];
    this.image = image;
    this.lift();
    this.render();
  }

  clear() {
    this.show(null);
    this.changed(this.strokes);
  }

  undo() {
    this.lift();
    if (!this.strokes.pop()) return;
    this.render();
    this.changed(this.strokes);
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this.pointer !== null) return;
      this.pointer = event.pointerId;
      canvas.setPointerCapture(event.pointerId);
      this.pen.shown = false;
      this.begin(this.place(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.pointer) return;
      const between = event.getCoalescedEvents?.() ?? [];
      for (const each of between.length ? between : [event]) this.extend(this.place(each));
      this.update();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => {
        if (event.pointerId === this.pointer) this.pointer = null;
      });
    }
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("blur", () => {
      this.lift();
      this.pen.shown = false;
      this.render();
    });
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = MOVES[event.key];
    if (move) this.move(move, event.shiftKey ? FAR : 1);
    else if (event.key === " " || event.key === "Enter") this.toggle();
    else if (event.key === "Backspace") this.undo();
    else if (event.key === "Escape") this.clear();
    else return;
    event.preventDefault();
  }

  move([right, down], steps) {
    const { pen } = this;
    const within = (value) => Math.min(0.96, Math.max(0.04, value));
    pen.shown = true;
    pen.x = within(pen.x + right * steps * STEP);
    pen.y = within(pen.y + down * steps * STEP);
    if (pen.down) this.extend([pen.x, pen.y]);
    this.update();
  }

  toggle() {
    const { pen } = this;
    pen.shown = true;
    pen.down = !pen.down;
    if (pen.down) this.begin([pen.x, pen.y]);
    say(byId("pen"), pen.down ? "Pen down" : "Pen up");
    this.render();
  }

  lift() {
    this.pen.down = false;
  }

  begin(point) {
    if (this.full) return;
    this.strokes.push([point]);
    this.update();
  }

  extend(point) {
    const stroke = this.strokes.at(-1);
    if (!stroke || this.full) return;
    const [x, y] = stroke.at(-1);
    if (Math.hypot(point[0] - x, point[1] - y) >= NEAREST) stroke.push(point);
  }

  /** Whether the drawing takes no more points: the server refuses one of more than 5,000. */
  get full() {
    return this.strokes.reduce((sum, each) => sum + each.length, 0) >= MOST_POINTS;
  }

  update() {
    this.render();
    if (this.strokes.length) this.changed(this.strokes);
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  render() {
    const { canvas, pen } = this;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (!side) return;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, side, side);
    if (this.image && !this.strokes.length) paint(canvas, this.image, { keepSize: true });
    context.strokeStyle = context.fillStyle = colour("--ink");
    context.lineWidth = PEN * side;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.strokes) this.line(context, stroke, side);
    if (pen.shown) this.ring(context, side);
    byId("pad-hint").hidden = this.strokes.length > 0 || this.image !== null;
  }

  line(context, stroke, side) {
    context.beginPath();
    context.moveTo(stroke[0][0] * side, stroke[0][1] * side);
    for (const [x, y] of stroke) context.lineTo(x * side, y * side);
    context.stroke();
    if (stroke.length === 1) this.dot(context, stroke[0], side);
  }

  /** A tap: a line of one point has no length, and no ink. */
  dot(context, [x, y], side) {
    context.beginPath();
    context.arc(x * side, y * side, (PEN * side) / 2, 0, 2 * Math.PI);
    context.fill();
  }

  ring(context, side) {
    const { pen } = this;
    context.beginPath();
    context.arc(pen.x * side, pen.y * side, PEN * side * 0.62, 0, 2 * Math.PI);
    context.lineWidth = 0.012 * side;
    context.strokeStyle = colour(pen.down ? "--pytorch" : "--tensorflow");
    context.stroke();
  }
}
