// The console works without this script. It looks again at what changes, and counts what is selected.
"use strict";

const live = document.getElementById("live");
let announced = 0;

/** Say a text to screen readers, at most every ten seconds. */
function announce(text) {
  if (!text || live.textContent === text || Date.now() - announced < 10_000) return;
  announced = Date.now();
  live.textContent = text;
}

/** Look at a fragment again and again: never while the page is hidden, or somebody is inside it or has written something; slower after failures. */
function poll(element) {
  const shortest = Number(element.dataset.seconds) * 1000;
  let delay = shortest;
  let seen = "";
  const isWritten = () => [...element.querySelectorAll("input:not([type=hidden]), textarea")].some((each) => each.value !== each.defaultValue);
  const isBusy = () => document.hidden || isWritten() || element.querySelector("input:focus, textarea:focus, select:focus, details[open] form") !== null;

  async function look() {
    if (!isBusy()) {
      try {
        const answer = await fetch(element.dataset.poll, { cache: "no-cache", credentials: "same-origin" });
        if (answer.redirected || answer.status === 401) return location.reload();
        if (!answer.ok) throw new Error(String(answer.status));
        show(await answer.text());
        delay = shortest;
      } catch {
        delay = Math.min(delay * 2, 60_000);
        announce("The gateway does not answer. This page may be out of date.");
      }
    }
    if (!("still" in element.dataset)) setTimeout(look, delay);
  }

  function show(text) {
    if (text === seen) return;
    const focused = element.contains(document.activeElement) ? name(document.activeElement) : null;
    const state = element.querySelector("[data-state]")?.dataset.state;
    seen = text;
    element.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
    if (focused !== null) targets().find((each) => name(each) === focused)?.focus();
    announce(element.querySelector("[data-announce]")?.dataset.announce);
    const now = element.querySelector("[data-state]")?.dataset.state;
    if (now !== state && ["awaiting_confirmation", "completed", "aborted", "stopped", "paused", "expired"].includes(now)) announced = 0;
    if (["awaiting_confirmation", "completed", "aborted", "expired"].includes(now)) element.dataset.still = "";
  }

  const targets = () => [...element.querySelectorAll("a, button, summary, [tabindex]")];
  // Not the position: what is added before a button would move the focus to another one.
  const name = (each) => each.getAttribute("formaction") ?? each.getAttribute("href") ?? each.getAttribute("aria-label") ?? each.textContent;
  if (!("still" in element.dataset)) setTimeout(look, delay);
  document.addEventListener("visibilitychange", () => { delay = shortest; });
}

/** Count what is selected, show it in the boxes, and close the actions that no selected job allows. */
function select(form) {
  const boxes = [...form.querySelectorAll("input[name=job]")];
  const all = form.querySelector("[data-all]");
  const every = form.querySelector("[data-check-all]");
  const text = form.querySelector("[data-selected]");
  const radios = [...form.querySelectorAll("input[name=action]:not(:disabled)")];
  const words = new Map(radios.map((each) => [each, form.querySelector(`[data-why="${each.value}"]`)?.textContent]));

  const own = new Map(); // whether each box was checked before all jobs were selected

  /** While all matching jobs are selected, every box is checked and closed. Afterwards each is as it was. */
  function cover() {
    for (const each of every ? [every, ...boxes] : boxes) {
      if (all.checked === each.disabled) continue;
      if (all.checked) own.set(each, each.checked);
      each.checked = all.checked || (own.get(each) ?? false);
      each.disabled = all.checked;
    }
  }

  function count() {
    if (all) cover();
    const chosen = boxes.filter((each) => each.checked);
    const number = all?.checked ? Number(all.dataset.all) : chosen.length;
    if (text) text.textContent = number ? `${number.toLocaleString("en")} selected` : "Select jobs";
    if (every) every.checked = boxes.length > 0 && chosen.length === boxes.length;
    for (const radio of radios) {
      const why = form.querySelector(`[data-why="${radio.value}"]`);
      const fits = chosen.filter((each) => each.dataset.allowed.split(" ").includes(radio.value)).length;
      const isKnown = chosen.length > 0 && !all?.checked;
      radio.disabled = isKnown && fits === 0;
      if (radio.disabled) radio.checked = false;
      why.textContent = !isKnown ? words.get(radio) : fits ? `${fits} of ${chosen.length} selected allow it.` : "No selected job allows it.";
    }
  }

  if (every) {
    every.hidden = false;
    every.addEventListener("change", () => { for (const each of boxes) each.checked = every.checked; });
  }
  form.addEventListener("change", count);
  addEventListener("pageshow", count);
}

/** Let a form be sent once: a second press waits for the first. */
function sendOnce(event) {
  if (event.target.dataset.sent) event.preventDefault();
  else if (event.target.method === "post") event.target.dataset.sent = "yes";
}

for (const element of document.querySelectorAll("[data-poll]")) poll(element);
const selection = document.getElementById("selection");
if (selection) select(selection);
document.addEventListener("submit", sendOnce);
addEventListener("pageshow", () => { for (const form of document.forms) delete form.dataset.sent; });
