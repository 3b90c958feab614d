// Copy: a button that puts an answer onto the clipboard.

const TOLD_MS = 1500;

/**
 * Make `button` copy what `text()` returns. Where that is not allowed, as without https, it selects
 * `shown`, the element with the answer.
 */
export function copies(button, text, shown) {
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(shown); // Ctrl-C does it
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), TOLD_MS);
  });
}
