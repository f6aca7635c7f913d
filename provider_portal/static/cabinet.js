// What pages gain with scripts; every one of them works without.
document.addEventListener("submit", function (event) {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});
document.addEventListener("focusin", function (event) {
  if (event.target.matches("[data-select]")) event.target.select();
});
// A menu that is open closes with Escape, and the focus goes back to where it was opened.
document.addEventListener("keydown", function (event) {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.menu[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
