"use strict";
// The page works without this script. With it, the page refreshes itself, counts down, and sounds for a new order. The
// script builds no content: it shows what the server rendered.
(() => {
  const LOST_AFTER = 15000, LOOK_PATIENCE = 5000, SEND_PATIENCE = 8000;
  const main = () => document.querySelector("main");
  const source = new WeakMap(); // the shape of what is shown, as the server rendered it
  let etag, timer, audio, lock, looks = 0, refused = false;
  let sending = Promise.resolve(), pending = 0, broken = 0;
  let server = Number(document.body.dataset.now || 0) * 1000, at = ticks();
  let heard = at, heardAt = server || Date.now();

  // Two clocks: the first may stop while a tablet sleeps, the second may be set.
  function ticks() { return { run: performance.now(), wall: Date.now() }; }
  function since(then) {
    const now = ticks();
    return Math.max(now.run - then.run, now.wall - then.wall, 0);
  }
  const now = () => server + since(at);

  const parts = (box) => [...box.children];
  // Without what its times say: that changes each minute, and the script counts by itself.
  function shape(part) {
    const copy = part.cloneNode(true);
    for (const each of copy.querySelectorAll("time")) each.textContent = "";
    return copy.outerHTML;
  }
  function remember(part) {
    if (part.dataset && "list" in part.dataset) parts(part).forEach(remember);
    else source.set(part, shape(part));
  }

  function button(text, press) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", press);
    return made;
  }

  function inUse(part) {
    const active = document.activeElement;
    // A long note has the focus while it is read.
    if (part.contains(active) && !active.matches(".note")) return true;
    const fields = [...part.querySelectorAll("input:not([type=hidden]),select,textarea")];
    return fields.some((f) => f.type === "checkbox" ? f.checked : f.value);
  }

  function say(part, text, dismiss) {
    let said = part.querySelector(":scope > [role=alert]");
    if (!said) {
      said = document.createElement("p");
      said.setAttribute("role", "alert");
      part.append(said);
    }
    said.textContent = text;
    if (dismiss) said.append(" ", button("Show it", dismiss));
  }

  // Replaces the parts that changed by those that the server rendered, but not a form that somebody is filling in.
  function bring(box, next, force) {
    const shown = new Map(parts(box).map((part) => [part.id, part]));
    let place = box.firstElementChild;
    for (const part of parts(next)) {
      const old = shown.get(part.id);
      shown.delete(part.id);
      let put = part;
      if (old && "list" in part.dataset) {
        bring(old, part, force);
        put = old;
      } else if (old && old !== force && source.get(old) === shape(part)) {
        put = old;
      } else if (old && old !== force && inUse(old)) {
        if (old.dataset.next !== shape(part)) {
          old.dataset.next = shape(part);
          say(old, "This order changed while you were writing.", () => { remember(part); old.replaceWith(part); tick(); });
        }
        put = old;
      } else {
        remember(part);
        if (old) { if (place === old) place = part; old.replaceWith(part); }
      }
      if (put === place) place = place.nextElementSibling;
      else if (put !== old || !inUse(put)) box.insertBefore(put, place);
    }
    for (const old of shown.values()) {
      if (old !== force && inUse(old)) {
        if (!old.dataset.gone) {
          old.dataset.gone = "1";
          say(old, "This order waits no more: see below.", () => old.remove());
        }
      } else old.remove();
    }
  }

  // A deployment may have brought another script or stylesheet. A page that sounds is not loaded anew by itself: the new one
  // would be silent until somebody touches it.
  let outdated = false;
  function renew() {
    if (!outdated || pending || "hold" in main().dataset || parts(main()).some(inUse)) return;
    if (!audio) { location.reload(); return; }
    if (document.getElementById("renew")) return;
    const load = button("There is a new version of this page: load it", () => location.reload());
    load.id = "renew";
    document.querySelector("footer")?.prepend(load);
  }

  function show(text, force) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const next = page.querySelector("main");
    if (!next) return;
    const script = (of) => of.querySelector('script[src^="/page.js"]')?.getAttribute("src");
    outdated = script(page) !== script(document);
    const waiting = new Set([...document.querySelectorAll("#open > *")].map((card) => card.id));
    const old = main();
    const fresh = [...next.querySelectorAll("#open > *")].some((card) => !waiting.has(card.id));
    document.title = page.title;
    if (old.querySelector("#open") && next.querySelector("#open")) {
      attributes(old, next);
      bring(old, next, force);
    } else if (force || source.get(old) === shape(next) || !inUse(old)) {
      if (force || source.get(old) !== shape(next)) {
        remember(next);
        parts(next).forEach(remember);
        old.replaceWith(next);
      }
    } else {
      attributes(old, next);
      bring(old, next, force);
    }
    tick();
    if (fresh && "alert" in next.dataset) sound();
  }

  // What the page's own attributes say: how often to look, whether an order waits.
  function attributes(old, next) {
    for (const name of ["poll", "alert", "hold"]) {
      if (name in next.dataset) old.dataset[name] = next.dataset[name];
      else delete old.dataset[name];
    }
  }

  // Nothing can change here any more.
  const over = () => refused || !("poll" in main().dataset);

  function success(response) {
    heard = ticks();
    const told = Number(response.headers.get("x-now"));
    if (told) { server = told * 1000; at = heard; }
    heardAt = now();
    uncover();
    const clock = document.querySelector("[data-clock]");
    if (clock) clock.dateTime = new Date(server).toISOString();
  }

  // The API, or something on the way, answers without this header.
  const isOurs = (response) => response.headers.has("x-now");

  async function ask(options, patience) {
    const stop = new AbortController();
    const timeout = setTimeout(() => stop.abort(), patience);
    try {
      const response = await fetch(location.href, { ...options, signal: stop.signal, cache: "no-store" });
      return [response, await response.text()];
    } finally { clearTimeout(timeout); }
  }

  async function look() {
    clearTimeout(timer);
    const mine = ++looks;
    let failed = true;
    try {
      const [response, text] = await ask({ headers: etag ? { "if-none-match": etag } : {} }, LOOK_PATIENCE);
      if (mine !== looks) return;
      if (isOurs(response) && response.status < 500) {
        // The first page was a notice, which has neither clock nor sound.
        if (!server && response.status === 200) { location.reload(); return; }
        failed = false;
        success(response);
        // Its time is over, or it was revoked: it will hardly work again.
        const ended = response.status === 403;
        if (ended && !refused) sound();
        refused = ended;
        if (response.status !== 304 && !("hold" in main().dataset)) {
          etag = response.headers.get("etag");
          show(text);
        }
      }
    } catch { /* tried again */ }
    if (mine === looks) { plan(failed); renew(); }
    tick();
  }
  function plan(failed) {
    clearTimeout(timer);
    if (over()) return;
    // Soon after a failure, and not all pages at the same moment.
    timer = setTimeout(look, failed ? 3000 + 1000 * Math.random() : Number(main().dataset.poll) || 10000);
  }

  const time = (date) => date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  function tick() {
    for (const each of document.querySelectorAll("time")) {
      const moment = new Date(each.dateTime);
      if (isNaN(moment)) continue;
      if (each.matches(".left *")) {
        const left = Math.max(0, Math.floor((moment - now()) / 1000));
        each.textContent = Math.floor(left / 60) + ":" + String(left % 60).padStart(2, "0");
        each.classList.toggle("late", left < 120);
      } else {
        const day = Math.abs(moment - now()) > 43200000 ? moment.toLocaleDateString() + " " : "";
        each.textContent = "at " + day + time(moment);
      }
    }
    if (since(heard) > LOST_AFTER && !over() && !document.getElementById("lost")) cover();
  }

  // Nothing of a page that may be out of date can be read as fresh, or pressed.
  let uncover = () => {};
  function cover() {
    const lost = document.createElement("div"), again = button("Try again", look);
    lost.id = "lost";
    lost.setAttribute("role", "alert");
    lost.textContent = "Not connected since " + time(new Date(heardAt)) + ".";
    lost.append(again);
    const covered = [...document.body.children], focused = document.activeElement;
    covered.forEach((each) => { each.inert = true; });
    document.body.append(lost);
    again.focus();
    sound();
    uncover = () => {
      uncover = () => {};
      lost.remove();
      covered.forEach((each) => { each.inert = false; });
      focused.focus();
    };
  }

  document.addEventListener("submit", (event) => {
    const { target: form, submitter } = event;
    if (!submitter) return;
    event.preventDefault();
    const card = form.closest("main > *, [data-list] > *");
    const body = new URLSearchParams(new FormData(form));
    if (submitter.name) body.append(submitter.name, submitter.value);
    const buttons = [...card.querySelectorAll("button:not([hidden])")];
    buttons.forEach((button) => { button.disabled = true; });
    // One after the other: the address of the page that follows an answer remembers the answers before. Nothing goes out by
    // itself after one failed, when somebody may have turned to another way.
    const before = broken;
    pending++;
    sending = sending.then(async () => {
      if (before === broken) await send(card, form, body, buttons);
      else {
        say(card, "Nothing was sent. Try again.");
        buttons.forEach((button) => { button.disabled = false; });
      }
      pending--;
    });
  });

  async function send(card, form, body, buttons) {
    clearTimeout(timer);
    looks++;
    let sent = false;
    try {
      const [response, text] = await ask({ method: "POST", body }, SEND_PATIENCE);
      // Nothing that was asked before the answer is shown after it.
      looks++;
      // The answer was sent. Its page remembers that, even if the page cannot be shown now.
      sent = response.redirected;
      if (sent) { history.replaceState(null, "", response.url); etag = null; }
      if (isOurs(response) && response.ok) {
        success(response);
        show(text, card);
      } else if (sent) {
        say(card, "Sent. What became of it shows here in a moment.");
        form.reset();
      } else {
        const said = new DOMParser().parseFromString(text, "text/html").querySelector("main");
        say(card, said ? [...said.querySelectorAll("h1,#then")].map((part) => part.textContent).join(" ") : "Nothing was sent. Try again.");
      }
    } catch {
      broken++;
      say(card, "Not connected: it is not known whether this arrived. Look at the order before you answer again.");
    }
    buttons.forEach((button) => { button.disabled = sent; });
    plan();
  }

  // A browser lets a page sound only after somebody touched it.
  function sound() {
    if (!audio) return;
    for (const [start, pitch] of [[0, 880], [0.25, 1175]]) {
      const tone = audio.createOscillator(), level = audio.createGain();
      tone.frequency.value = pitch;
      tone.connect(level).connect(audio.destination);
      level.gain.setValueAtTime(0.4, audio.currentTime + start);
      level.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + start + 0.22);
      tone.start(audio.currentTime + start);
      tone.stop(audio.currentTime + start + 0.25);
    }
  }
  // And it may stop sounding, and let the screen go dark, while the page is not seen.
  function listen() {
    audio.resume().catch(() => {});
    lock?.release();
    navigator.wakeLock?.request("screen").then((given) => { lock = given; }).catch(() => {});
  }
  if (document.getElementById("open")) {
    const isOn = () => audio?.state === "running";
    const label = () => { toggle.textContent = isOn() ? "Sound is on: turn it off" : "Sound is off: turn it on"; };
    const toggle = button("", () => {
      if (isOn()) {
        audio.close();
        audio = null;
        lock?.release();
      } else {
        audio ??= new AudioContext();
        audio.onstatechange = label;
        listen();
        sound();
      }
      label();
    });
    toggle.id = "sound";
    label();
    document.querySelector("footer")?.prepend(toggle);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible") return;
    if (audio) listen();
    // A link that was refused may hold again.
    if (refused || !over()) look();
  });
  addEventListener("online", () => { if (!over()) look(); });
  remember(main());
  parts(main()).forEach(remember);
  tick();
  setInterval(tick, 1000);
  plan();
})();
