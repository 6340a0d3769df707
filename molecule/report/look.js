// What a person sees of the page. look.py runs this as the body of a function.
const visible = (element) => element.checkVisibility({visibilityProperty: true}) && element.getClientRects().length > 0;
const number = (text) => text.match(/[\d.]+/g).map(Number);
const light = (colour) => {
  const [r, g, b] = number(colour).map((part) => part / 255).map(
    (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if ((number(colour)[3] ?? 1) > 0) return colour;
  }
  return 'rgb(255, 255, 255)';
};
const contrast = (element) => {
  const style = getComputedStyle(element);
  const text = light(element instanceof SVGElement ? style.fill : style.color), behind = light(ground(element));
  return (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
};
const all = [...document.body.querySelectorAll('*')].filter(visible);
const texts = all.filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
const width = document.documentElement.clientWidth;
const contrasts = texts.map((element) => [contrast(element), element.textContent.slice(0, 40)]);
contrasts.sort((first, second) => first[0] - second[0]);
const boxes = all.filter((element) => !(element instanceof SVGElement));
const outside = boxes.filter((element) => element.getBoundingClientRect().right > width + 1);
const verdict = document.querySelector('.verdict').getBoundingClientRect();
const smallest = Math.min(...texts.map((element) => parseFloat(getComputedStyle(element).fontSize)));
return {
  title: document.title,
  overflow: document.documentElement.scrollWidth - width,
  outside: outside.slice(0, 5).map((element) => element.outerHTML.slice(0, 80)),
  contrast: contrasts[0],
  smallest_text: smallest,
  verdict_ends_at: verdict.bottom,
  ground: getComputedStyle(document.body).backgroundColor,
  headings: [...document.querySelectorAll('h1,h2,h3')].map((element) => [element.tagName, element.textContent]),
  text: document.body.innerText.replace(/[\u2068\u2069]/g, ""),
  dead_links: [...document.querySelectorAll('a[href^="#"]')].map((link) => link.getAttribute('href')).filter(
    (target) => !document.getElementById(target.slice(1))),
  loaded: performance.getEntriesByType('resource').map((each) => each.name),
  scripts: document.scripts.length,
};
