/** Light or dark: as the system is, until a person says otherwise. */

const KEY = "sightline-theme";

/** @returns {"light" | "dark" | null} */
function chosen() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : null;
  } catch {
    // A browser may forbid storage; then the choice lasts as long as the page.
    return null;
  }
}

/** @param {"light" | "dark"} theme */
function keep(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch (error) {
    console.info("The choice of light or dark is not remembered:", error);
  }
}

/**
 * The switch between the two.
 * @param {HTMLButtonElement} button
 */
export function themeSwitch(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const tell = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    keep(isDark() ? "light" : "dark");
    tell();
  });
  system.addEventListener("change", tell);
  tell();
}

const theme = chosen();
if (theme) document.documentElement.dataset.theme = theme;
