// Keeps a page as it is in the hub now. The elements with data-live (each with an id) are what may change. When the hub tells
// of one of the body's data-topics ("*": any), and once a minute for the ages in it, the page is fetched anew and what differs is
// exchanged node by node, so that focus, selection, scrolling and open <details> stay. Where data-keep-order is set, children stay
// in their order: nothing moves under a pointer. Without this script a page is whole all the same, and as old as its last loading.

const MINUTE = 60_000;
const body = document.body;
const topics = (body.dataset.topics ?? "").split(" ").filter(Boolean);
const pause = Number(body.dataset.pauseMs ?? 1_000);
const light = document.getElementById("live");
let events = null, timer = 0, last = Date.now(), busy = false, again = false;

function show(state, words) {
  if (light) { light.dataset.state = state; light.textContent = words; }
}

function patchChildren(old, fresh) {
  const keyed = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  const keepOrder = "keepOrder" in old.dataset;
  const before = [...keyed.keys()].join(" ");
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    if (keepOrder && !child.id) continue;
    const same = child.id ? keyed.get(child.id) : at && !at.id ? at : undefined;
    keyed.delete(child.id);
    if (!same) old.insertBefore(child, keepOrder ? null : at);
    else {
      if (same === at) at = at.nextSibling;
      else if (!keepOrder) old.insertBefore(same, at);
      patch(same, child);
    }
  }
  if (keepOrder) {
    for (const left of keyed.values()) left.dataset.gone = "";
    const now = [...fresh.children].map((child) => child.id).join(" ");
    const hint = document.getElementById(old.dataset.keepOrder);
    if (hint && before !== now) hint.hidden = false;
    return;
  }
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
}

function patch(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) { old.replaceWith(fresh); return; }
  if (old.nodeType !== Node.ELEMENT_NODE) { old.nodeValue = fresh.nodeValue; return; }
  const kept = old.nodeName === "DETAILS" ? ["open"] : [];
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value && !kept.includes(name)) old.setAttribute(name, value);
  patchChildren(old, fresh);
}

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  last = Date.now();
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html", "X-Fleet-Live": "1" }, redirect: "manual" });
    if (answer.type === "opaqueredirect") show("away", "Logged out");
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const focused = document.activeElement;
      for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(old.id);
        if (fresh) patch(old, fresh);
      }
      if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
    }
  } catch { show("away", "Offline"); }
  busy = false;
  if (again) { again = false; refreshSoon(); }
}

function refreshSoon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, Math.max(50, last + pause - Date.now()));
}

function listen() {
  // A hidden page listens no more: browsers open but six connections to one host.
  if (document.hidden) { events?.close(); events = null; return; }
  if (events) return;
  events = new EventSource(body.dataset.events);
  events.addEventListener("hello", () => { show("live", "Live"); refreshSoon(); });
  events.addEventListener("changed", (event) => {
    const changed = event.data.split(" ");
    if (topics.includes("*") || topics.some((topic) => changed.includes(topic))) refreshSoon();
  });
  events.addEventListener("error", () => show("away", "Offline"));
}

if (topics.length) {
  document.addEventListener("visibilitychange", listen);
  setInterval(() => { if (!document.hidden && Date.now() - last >= MINUTE) refresh(); }, MINUTE / 4);
  listen();
}
