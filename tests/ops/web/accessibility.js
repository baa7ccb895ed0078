// What a page must keep to be read by anybody, as a list of complaints. Run inside the page.
() => {
  const complaints = [];
  const say = (what, element) => complaints.push(`${what}: ${element.outerHTML.slice(0, 120)}`);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const name = (element) => (element.getAttribute("aria-label")
    ?? all(`[id="${element.getAttribute("aria-labelledby")}"]`)[0]?.textContent ?? element.textContent).trim();

  if (!document.documentElement.lang) complaints.push("the page has no language");
  if (!document.title.trim()) complaints.push("the page has no title");
  for (const [landmark, count] of [["header", 1], ["main", 1], ["footer", 1], ["h1", 1]]) {
    if (all(landmark).length !== count) complaints.push(`expected ${count} ${landmark}, got ${all(landmark).length}`);
  }
  let level = 0;
  for (const heading of all("h1, h2, h3, h4")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) say(`heading after h${level}`, heading);
    level = next;
  }
  for (const each of all("a[href], button, summary")) if (!name(each)) say("no name", each);
  for (const each of all("nav, section")) {
    if (!each.getAttribute("aria-label") && !each.getAttribute("aria-labelledby")) say("no name", each);
  }
  for (const each of all("img")) if (!each.alt.trim()) say("no alternative text", each);
  for (const each of all("svg")) {
    if (!each.closest("[aria-hidden=true], [role=img], [role=group]")) say("neither hidden nor named", each);
  }
  for (const each of all("input, select, textarea, progress")) {
    if (!each.labels?.length && !each.getAttribute("aria-label")) say("no label", each);
  }
  for (const each of all("table")) {
    if (!each.querySelector("thead th[scope=col]")) say("no headings of columns", each);
  }
  for (const each of all("[tabindex]")) if (each.tabIndex > 0) say("takes a place in the order of tabs", each);
  for (const each of all("[aria-labelledby]")) {
    if (!document.getElementById(each.getAttribute("aria-labelledby"))) say("named by nothing", each);
  }

  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const seen = new Map();
  const colour = (text) => {
    if (!seen.has(text)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      seen.set(text, [...canvas.getImageData(0, 0, 1, 1).data]);
    }
    return seen.get(text);
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const found = colour(getComputedStyle(each).backgroundColor);
      if (found[3] === 255) return found;
    }
    return colour("white");
  };
  const luminance = (rgb) => rgb.slice(0, 3)
    .map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const checked = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || checked.has(element) || !element.checkVisibility()) continue;
    if (element.closest(".hidden, title, noscript, script")) continue;
    checked.add(element);
    const style = getComputedStyle(element);
    const [ink, paper] = [colour(element.closest("svg") ? style.fill : style.color), ground(element)].map(luminance);
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (contrast < 4.5) say(`contrast ${contrast.toFixed(2)}`, element);
  }
  if (checked.size < 10) complaints.push(`only ${checked.size} texts were looked at`);
  return complaints;
}
