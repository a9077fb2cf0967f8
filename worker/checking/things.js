// What a page has that a selector could mean. Never what somebody typed into it.
(most) => {
  const text = (value) => (value || "").replace(/\s+/g, " ").trim().slice(0, 60);
  const shown = (element) => !!(element.offsetWidth || element.offsetHeight || element.getClientRects().length);
  const quoted = (value) => JSON.stringify(value);
  const things = [];
  const telling = "a[href],button,input,select,textarea,summary,label,form,iframe,[role],[onclick],[id],[name],[class]";
  for (const element of document.querySelectorAll(telling)) {
    if (things.length >= most) break;
    const tag = element.localName;
    if (["html", "body", "head", "script", "style", "link", "meta", "path", "svg"].includes(tag)) continue;
    const type = (element.getAttribute("type") || "").toLowerCase();
    if (tag === "input" && type === "hidden") continue;
    const button = tag === "button" || ["submit", "button", "reset", "image"].includes(type)
      || element.getAttribute("role") === "button";
    const field = ["input", "select", "textarea"].includes(tag) && !button;
    const label = field
      ? text((element.labels && element.labels[0] && element.labels[0].innerText)
          || element.getAttribute("aria-label") || element.getAttribute("placeholder"))
      : text((button && tag === "input" ? element.value : "") || element.getAttribute("aria-label")
          || (tag === "a" || button || element.children.length === 0 ? element.innerText || element.textContent : ""));
    const sort = field ? "field" : tag === "a" ? "link" : button ? "button" : tag;
    things.push({
      tag, type, sort, label, visible: shown(element), id: element.id || "",
      name: element.getAttribute("name") || "", classes: [...element.classList].slice(0, 5),
      href: tag === "a" ? (element.getAttribute("href") || "").slice(0, 120) : "",
      data: [...element.attributes].filter((a) => a.name.startsWith("data-") && a.value.length < 60)
        .slice(0, 4).map((a) => [a.name, a.value]),
      seen: !!element.nightfleetSeen,
      unique: !!element.id && document.querySelectorAll("[id=" + quoted(element.id) + "]").length === 1,
    });
  }
  return { things, title: document.title.slice(0, 200), password: !!document.querySelector("input[type=password i]") };
}
