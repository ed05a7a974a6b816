(() => {
  "use strict";
  const tip = document.getElementById("tip");
  const margin = 12;

  function place(x, y) {
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(margin, x - box.width / 2), innerWidth - box.width - margin);
    const above = y - box.height - margin;
    tip.style.left = `${left}px`;
    tip.style.top = `${above < margin ? y + 2 * margin : above}px`;
  }

  function show(element, x, y) {
    tip.textContent = element.dataset.tip;
    tip.hidden = false;
    place(x, y);
  }

  const hide = () => { tip.hidden = true; };
  const asked = (event) => event.target.closest?.("[data-tip]");

  function follow(event) {
    const element = asked(event);
    if (element) show(element, event.clientX, event.clientY);
    else hide();
  }

  document.addEventListener("pointermove", follow);
  document.addEventListener("pointerdown", follow);
  document.addEventListener("focusin", (event) => {
    const element = asked(event);
    if (!element) return hide();
    const box = element.getBoundingClientRect();
    show(element, box.left + box.width / 2, box.top);
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  const data = document.getElementById("report").textContent;
  const link = document.getElementById("download");
  link.href = URL.createObjectURL(new Blob([data], { type: "application/json" }));
  link.hidden = false;

  // On paper there is nothing to open.
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("section > details")) details.open = true;
  });
})();
