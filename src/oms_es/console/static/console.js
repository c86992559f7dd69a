// Keys: / to search, g and a letter to go, j and k along the rows. Everything works without.
"use strict";
(() => {
  const places = { i: "/console/inbox", o: "/console/orders", s: "/console/stock", d: "/console/dead-letters", h: "/console/health", c: "/console/commands" };
  let goes = false;
  const isTyping = (element) => element.matches("input, select, textarea, [contenteditable]");
  const move = (step) => {
    const links = [...document.querySelectorAll("main tbody th a, main .exception h2, main .rail a")].filter((one) => one.offsetParent);
    const rows = links.filter((one) => one.matches("tbody th a"));
    const among = rows.length ? rows : links;
    const now = among.indexOf(document.activeElement);
    const next = among[Math.min(among.length - 1, Math.max(0, now + step))];
    if (next) next.focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (goes && places[event.key]) { location.assign(places[event.key]); return; }
    goes = event.key === "g";
    if (event.key === "/") { document.getElementById("q")?.focus(); event.preventDefault(); }
    if (event.key === "j") move(1);
    if (event.key === "k") move(-1);
  });
  // As of: the slider says what it stands at while it is moved, and goes there when it is let go.
  const slider = document.getElementById("as-of");
  if (slider) {
    const tick = () => document.querySelector(`#as-of-ticks option[value="${slider.value}"]`);
    const said = slider.parentElement.querySelector(".said");
    slider.addEventListener("input", () => {
      said.textContent = tick().label;
      slider.setAttribute("aria-valuetext", tick().label);
    });
    slider.addEventListener("change", () => {
      const at = tick().dataset.at;
      location.assign(at ? `${slider.dataset.base}?at=${encodeURIComponent(at)}` : slider.dataset.base);
    });
  }
  // What an event follows from, and what follows from it, while it is pointed at.
  const light = (point, on) => {
    for (const arc of document.querySelectorAll(".timeline .arc")) {
      const mine = [arc.dataset.of, arc.dataset.to].includes(point.dataset.position);
      arc.classList.toggle("lit", on && mine);
    }
  };
  for (const point of document.querySelectorAll(".timeline .point")) {
    for (const [name, on] of [["mouseenter", true], ["focus", true], ["mouseleave", false], ["blur", false]]) {
      point.addEventListener(name, () => light(point, on));
    }
  }
})();
