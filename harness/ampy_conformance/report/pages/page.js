"use strict";
(() => {
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const one = (what) => document.querySelector(what);
  const items = all("[data-outcome]").map((node) => ({ node, text: node.textContent.toLowerCase() }));
  const boxes = all('input[name="outcome"]');

  function show() {
    const words = one("#q").value.toLowerCase().split(/\s+/).filter(Boolean);
    const profile = one("#f-profile") ? one("#f-profile").value : "";
    const level = one("#f-level") ? one("#f-level").value : "";
    const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    let count = 0;
    for (const { node, text } of items) {
      const fits = node.dataset.outcome.split("|").some((each) => wanted.has(each))
        && (!profile || node.dataset.profile === profile)
        && (!level || node.dataset.level === level)
        && words.every((word) => text.includes(word));
      node.hidden = !fits;
      count += fits;
    }
    one("#shown").textContent = `${count} of ${items.length} clauses`;
  }

  function reset(only) {
    one("#q").value = "";
    for (const name of ["#f-profile", "#f-level"]) if (one(name)) one(name).value = "";
    for (const box of boxes) box.checked = !only || box.value === only;
    show();
  }

  if (one("#q")) {
    one(".filter").addEventListener("input", show);
    one(".filter").addEventListener("submit", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
        event.preventDefault();
        one("#q").focus();
      }
    });
    for (const link of all("[data-only]")) link.addEventListener("click", () => reset(link.dataset.only));
  }
  for (const button of all("[data-do]")) {
    button.addEventListener("click", () => {
      if (button.dataset.do === "all") reset();
      else for (const { node } of items) if (!node.hidden) node.open = button.dataset.do === "open";
    });
  }
  for (const button of all("[data-copy]")) {
    button.addEventListener("click", async () => {
      const text = button.parentElement.querySelector("code").textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(button.parentElement.querySelector("code"));
        button.textContent = "Selected";
      }
    });
  }

  // A link into something closed or filtered away opens it.
  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.hidden) reset();
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  reveal();

  // On paper what did not pass is open; afterwards all is as it was.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details.case:not([open])");
    for (const node of closed) node.open = true;
  });
  addEventListener("afterprint", () => { for (const node of closed) node.open = false; });
})();
