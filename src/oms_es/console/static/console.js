// Keys: / to search, g and a letter to go, j and k along the rows. Everything works without.
"use strict";
(() => {
  const places = { i: "/console/inbox", o: "/console/orders", s: "/console/stock", d: "/console/dead-letters", h: "/console/health", c: "/console/commands", p: "/console/shipping", r: "/console/returns", f: "/console/reports", m: "/console/finance" };
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
  // On a phone the places are wider than the screen: where one is stands within it.
  document.querySelector(".places [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  document.querySelector("[data-print]")?.addEventListener("click", () => window.print());
  // A scanner types a SKU and a return key: the line of it has one more.
  const scan = document.querySelector("[data-scan]");
  scan?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const line = [...document.querySelectorAll("[data-sku]")].find((one) => one.dataset.sku === scan.value.trim());
    scan.setAttribute("aria-invalid", String(!line));
    if (!line) { scan.select(); return; }
    line.value = String(Number(line.value || 0) + 1);
    scan.value = "";
  });
  // A grade proposes where the goods go.
  for (const grade of document.querySelectorAll("[data-disposition]")) {
    grade.addEventListener("change", () => {
      grade.closest("fieldset").querySelector("select[name$=disposition]").value = grade.dataset.disposition;
    });
  }
  // As of: the slider says what it stands at while it is moved, and goes there when it is released.
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
