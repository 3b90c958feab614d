// The theme: that of the system unless light or dark is chosen.
// A classic script in the head, so that nothing is painted in the wrong colours first.

(() => {
  const root = document.documentElement;

  function stored() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is switched off
    }
  }

  function store(theme) {
    try {
      if (theme === "system") localStorage.removeItem("theme");
      else localStorage.setItem("theme", theme);
    } catch {
      // then it lasts as long as the page
    }
  }

  function adopt(theme) {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
  }

  const remembered = stored();
  if (remembered === "light" || remembered === "dark") adopt(remembered);

  addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = root.dataset.theme ?? "system";
    select.addEventListener("change", () => {
      adopt(select.value);
      store(select.value);
    });
  });
})();
