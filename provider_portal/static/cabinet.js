// What pages gain with scripts; every one of them works without.
document.addEventListener("submit", function (event) {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});
document.addEventListener("focusin", function (event) {
  if (event.target.matches("[data-select]")) event.target.select();
});
// Buttons that copy what stands in an element; a browser lets pages copy on https and loopback alone.
document.querySelectorAll("[data-copy]").forEach((one) => { one.hidden = !navigator.clipboard; });
document.addEventListener("click", function (event) {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const from = document.getElementById(button.dataset.copy);
  navigator.clipboard.writeText(from.value ?? from.innerText).then(() => { button.textContent = button.dataset.done; });
});
// A menu that is open closes with Escape, and the focus goes back to where it was opened.
document.addEventListener("keydown", function (event) {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.menu[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
// A part of the page that is replaced gives the focus back to what had it; if that is gone, to the part itself.
(function () {
  let held = null;
  const told = (one) => [one.localName, one.textContent.trim(), one.pathname, ...["name", "value", "aria-label"].map((name) => one.getAttribute(name))].join("\n");
  document.addEventListener("htmx:before:swap", function () {
    const one = document.activeElement, part = one?.closest("main [id]");
    held = part && { one, part: part.id, told: told(one) };
  });
  document.addEventListener("htmx:after:swap", function () {
    if (!held || held.one.isConnected) return;
    const part = document.getElementById(held.part) ?? document.getElementById("main");
    const again = [...part.querySelectorAll("a, button, [tabindex]")].find((one) => told(one) === held.told);
    if (!again) part.tabIndex = -1;
    (again ?? part).focus({ preventScroll: true });
  });
})();
