// Follows a log: an element with data-tail, the address of server-sent events, gets a line for each that comes. What is said is put
// in as text, never as HTML. As long as the end is in view, it stays in view. At most data-lines lines are kept.

const TONES = { WARNING: "warn", ERROR: "bad", CRITICAL: "bad" };
// What a page would obey, or not show: control and format characters, right-to-left overrides among them.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

function safe(text) {
  return (text ?? "").replace(HIDDEN, (it) => (it === "\n" ? it : `\\u${it.codePointAt(0).toString(16).padStart(4, "0")}`));
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = safe(text);
  return made;
}

function show(line) {
  const row = element("li", TONES[line.level]);
  const at = element("time", "", line.at.slice(0, 19).replace("T", " "));
  at.dateTime = line.at;
  row.append(at, " ", element("span", "level", line.level), " ", element("span", "from", line.logger), " ", element("bdi", "text", line.message));
  if (line.trace) {
    const folded = element("details");
    folded.append(element("summary", "", "Traceback"), element("pre", "", line.trace));
    row.append(folded);
  }
  return row;
}

for (const log of document.querySelectorAll("[data-tail]")) {
  const most = Number(log.dataset.lines ?? 2_000);
  const events = new EventSource(log.dataset.tail);
  events.addEventListener("lines", (event) => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(...JSON.parse(event.data).map(show));
    while (log.childElementCount > most) log.firstElementChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  });
  log.scrollTop = log.scrollHeight;
  addEventListener("pagehide", () => events.close());
}
