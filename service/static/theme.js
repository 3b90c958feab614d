// The theme: follows the system until the user chooses one with the button.
// A classic script in the head, so that nothing is painted in the wrong colours first.

(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is switched off
    }
  }

  function store(theme) {
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // then it lasts as long as the page
    }
  }

  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

  const remembered = stored();
  if (remembered === "light" || remembered === "dark") root.dataset.theme = remembered;

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => button.setAttribute("aria-pressed", String(isDark()));
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      store(root.dataset.theme);
      show();
    });
    system.addEventListener("change", show);
    show();
  });
})();
