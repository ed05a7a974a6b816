// What is done to an image before it is asked about.

import { byId, make } from "./dom.js";

const SLIDERS = [
  { key: "right", label: "Shift right", low: -3, high: 3, step: 0.25, unit: " px" },
  { key: "down", label: "Shift down", low: -3, high: 3, step: 0.25, unit: " px" },
  { key: "rotate", label: "Rotate", low: -60, high: 60, step: 2, unit: "°" },
  { key: "blur", label: "Blur", low: 0, high: 1.5, step: 0.05, unit: " px" },
  { key: "noise", label: "Noise", low: 0, high: 0.5, step: 0.01, unit: " %", times: 100 },
];
const SEED = 1;

export class Sliders {
  constructor(changed) {
    this.inputs = {};
    const box = byId("sliders");
    byId("change").hidden = false;
    byId("change").open = matchMedia("(min-width: 981px)").matches;
    for (const slider of SLIDERS) box.append(this.row(slider, changed));
    const reset = make("button", { type: "button", class: "plain" }, "Reset sliders");
    reset.addEventListener("click", () => {
      this.reset();
      changed();
    });
    box.append(reset);
  }

  row(slider, changed) {
    const id = `slider-${slider.key}`;
    const input = make("input", { type: "range", id, min: slider.low, max: slider.high, step: slider.step, value: 0 });
    const output = make("output", { for: id });
    const show = () => {
      const shown = Number(input.value) * (slider.times ?? 1);
      output.textContent = `${Number(shown.toFixed(2))}${slider.unit}`;
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", () => {
      show();
      changed();
    });
    this.inputs[slider.key] = { input, show };
    show();
    return make("div", { class: "slider" }, make("label", { for: id }, slider.label), input, output);
  }

  reset() {
    for (const { input, show } of Object.values(this.inputs)) {
      input.value = 0;
      show();
    }
  }

  values() {
    const entries = Object.entries(this.inputs).map(([key, { input }]) => [key, Number(input.value)]);
    return { ...Object.fromEntries(entries), seed: SEED };
  }
}
