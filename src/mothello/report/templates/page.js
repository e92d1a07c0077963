// Opens what a link leads to, and everything for print. Without it a section opens by a click on its heading.
(() => {
  const all = () => document.querySelectorAll("details");
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (const inner of target.querySelectorAll(":scope > details")) inner.open = true;
    target.scrollIntoView();
  };
  document.querySelector("nav").addEventListener("click", (event) => {
    if (event.target.hash === location.hash) open();
  });
  addEventListener("hashchange", open);
  addEventListener("beforeprint", () => all().forEach((one) => { one.open = true; }));
  open();
})();
