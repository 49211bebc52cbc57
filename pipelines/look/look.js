"use strict";

const form = document.getElementById("filter");
if (form) {
  // What is empty asks for nothing, and need not stand in the address.
  const empty = () => [...form.elements].filter((field) => field.name && !field.value);
  form.addEventListener("submit", () => {
    for (const field of empty()) field.disabled = true;
  });
  form.addEventListener("change", (event) => {
    const whole = form.elements.parameter?.value || !["from", "to"].includes(event.target.name);
    if (whole) form.requestSubmit();
  });
  addEventListener("pageshow", () => {
    for (const field of form.elements) field.disabled = false;
  });
}

const ops = document.getElementById("ops");
if (ops) {
  fetch(ops.dataset.from)
    .then((answer) => answer.text())
    .then((text) => {
      ops.innerHTML = text;
    })
    .catch(() => {
      ops.textContent = "augshard look does not answer any more.";
    });
}

addEventListener("keydown", (event) => {
  if (event.target.closest("input, select") || event.altKey || event.ctrlKey || event.metaKey) return;
  const link = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  document.querySelector(`a[rel=${link}]`)?.click();
});
