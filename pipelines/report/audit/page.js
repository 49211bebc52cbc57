"use strict";
// Filters the contact sheets, keeps the filters in the address, and shows what was drawn for a picture.
(() => {
  const form = document.getElementById("filters");
  if (!form) return;
  const AT_FIRST = 24;
  const columns = JSON.parse(document.getElementById("columns").textContent);
  const cards = [...document.querySelectorAll(".card")].map((card) => ({
    card,
    label: card.dataset.class,
    kinds: words(card.dataset.kinds),
    tiles: [...card.querySelectorAll(".tile")].map((tile) => ({
      tile,
      isSource: tile.classList.contains("source"),
      ops: words(tile.dataset.ops),
      kinds: words(tile.dataset.kinds),
      caption: tile.querySelector(".drawn"),
    })),
  }));
  const labels = new Set(cards.map(({ label }) => label));
  const more = document.getElementById("more");
  let all = false;

  function words(text) {
    return text.split(" ").filter(Boolean);
  }

  function count(number) {
    return number.toLocaleString("en");
  }

  function chosen() {
    const said = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
    return { label: said.get("class") || "", op: said.get("op") || "", kind: said.get("finding") || "" };
  }

  function drawn(tile) {
    const values = tile.dataset.drawn ? tile.dataset.drawn.split("|") : [];
    return values.map((value, i) => [columns[i], value]).filter(([, value]) => value !== "");
  }

  function show() {
    const { label, op, kind } = chosen();
    for (const [name, value] of [["class", label], ["op", op], ["finding", kind]]) {
      if (form.elements[name] && form.elements[name].value !== value) form.elements[name].value = value;
    }
    const ofClass = labels.has(label)
      ? (name) => name === label
      : (name) => name.toLowerCase().includes(label.toLowerCase());
    const within = op.split(":")[0] + ".";
    const isShown = (column) => column.startsWith(within) && column !== within + "applied";
    let matching = 0;
    for (const { card, label: name, kinds, tiles } of cards) {
      const whole = !kind || kinds.includes(kind);
      let left = 0;
      for (const { tile, isSource, ops, kinds: own, caption } of tiles) {
        const matches = (!op || ops.includes(op)) && (whole || own.includes(kind));
        tile.hidden = !matches && !(isSource && (op || kind));
        left += matches && (!isSource || !op) ? 1 : 0;
        const said = op && !isSource ? drawn(tile).filter(([column]) => isShown(column)) : [];
        caption.textContent = said.map(([column, value]) => "\n" + column.slice(within.length) + " " + value).join("");
      }
      const matches = left > 0 && ofClass(name);
      matching += matches ? 1 : 0;
      card.hidden = !matches || (!all && matching > AT_FIRST);
    }
    const of = matching === cards.length ? "" : ` of ${count(cards.length)}`;
    document.getElementById("matches").textContent = `${count(matching)}${of} sources`;
    more.hidden = all || matching <= AT_FIRST;
    more.textContent = `Show all ${count(matching)}`;
  }

  function change() {
    const said = new URLSearchParams();
    for (const name of ["class", "op", "finding"]) {
      const value = form.elements[name] ? form.elements[name].value : "";
      if (value) said.set(name, value);
    }
    history.replaceState(null, "", "#" + (said.toString() || "pictures"));
    all = false;
    show();
  }

  form.addEventListener("input", change);
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => {
    all = true;
    show();
  });
  for (const link of document.querySelectorAll("a.pick")) {
    link.addEventListener("click", () => form.scrollIntoView());
  }
  window.addEventListener("hashchange", show);

  const inspector = document.getElementById("inspector");
  const [close, body] = inspector.children;

  function element(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  function inspect(tile) {
    const picture = tile.querySelector("img");
    const card = tile.closest(".card");
    const list = document.createElement("dl");
    for (const [column, value] of drawn(tile)) list.append(element("dt", column), element("dd", value));
    body.replaceChildren(
      ...(picture ? [picture.cloneNode()] : []),
      element("p", card.querySelector("h3").firstChild.textContent.trim() + ", " + tile.children[1].textContent),
      ...(tile.dataset.words ? [element("p", tile.dataset.words)] : []),
      ...words(tile.dataset.kinds).map((kind) => element("p", kind)),
      element("p", tile.dataset.place),
      list,
    );
    body.lastChild.previousSibling.className = "muted";
    if (tile.dataset.words) body.querySelectorAll("p")[1].className = "said";
    inspector.hidden = false;
  }

  function leave() {
    inspector.hidden = true;
  }

  const sheet = document.querySelector(".cards");
  for (const kind of ["pointerover", "focusin", "click"]) {
    sheet.addEventListener(kind, (event) => {
      const tile = event.target.closest(".tile");
      if (tile) inspect(tile);
    });
  }
  sheet.addEventListener("pointerleave", leave);
  sheet.addEventListener("focusout", leave);
  close.addEventListener("click", leave);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
  });
  show();
})();
