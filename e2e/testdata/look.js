// What a reader of a page may object to, as sentences. It runs in the page.

function objections() {
  return [].concat(tooWide(), tooFaint(), outOfPlace());
}

function shown(e) {
  return e.checkVisibility() && e.getClientRects().length > 0 && !e.closest('.unseen');
}

function tooWide() {
  const width = document.documentElement.scrollWidth;
  return width > innerWidth ? [`the page is ${width} px wide in a window of ${innerWidth}`] : [];
}

// Texts are elements with text of their own that is shown.
function texts() {
  return [...document.querySelectorAll('body *')].filter(e =>
    !e.closest('style, title, desc') && shown(e) && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
}

function ownText(e) {
  return [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join(' ');
}

function channels(colour) {
  const all = (colour.match(/[\d.]+/g) || []).map(Number);
  return all.length < 3 || all[3] === 0 ? null : all;
}

// The ground of a text is the last thing that was painted behind it.
function ground(e) {
  if (e.ownerSVGElement) {
    const at = e.getBoundingClientRect(), x = at.left + 2, y = (at.top + at.bottom) / 2;
    const behind = [...e.ownerSVGElement.querySelectorAll('rect')].filter(r => {
      const b = r.getBoundingClientRect();
      return r.compareDocumentPosition(e) & 4 && channels(getComputedStyle(r).fill) && b.left <= x && x <= b.right && b.top <= y && y <= b.bottom;
    });
    if (behind.length) return channels(getComputedStyle(behind.at(-1)).fill);
    e = e.ownerSVGElement;
  }
  for (; e; e = e.parentElement) {
    const colour = channels(getComputedStyle(e).backgroundColor);
    if (colour) return colour;
  }
  return [255, 255, 255];
}

// https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
function luminance(colour) {
  const [r, g, b] = colour.slice(0, 3).map(c => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function tooFaint() {
  return texts().flatMap(e => {
    const style = getComputedStyle(e), ink = channels(e.ownerSVGElement ? style.fill : style.color);
    const [dark, light] = [luminance(ink), luminance(ground(e))].sort((a, b) => a - b);
    const contrast = (light + 0.05) / (dark + 0.05);
    return contrast < 4.5 ? [`${ownText(e)}: contrast ${contrast.toFixed(1)}`] : [];
  });
}

// Texts of the picture are shown, within their boxes, and not over each other.
function outOfPlace() {
  const slack = 1;
  const pictures = [...document.querySelectorAll('svg.picture')];
  const hidden = pictures.filter(shown).flatMap(p => [...p.querySelectorAll('text')]).filter(e => !shown(e));
  const all = texts().filter(e => e.matches('svg.picture text')).map(e => ({e, at: e.getBoundingClientRect()}));
  const out = hidden.map(e => `${ownText(e)}: not shown`);
  if (pictures.length && pictures.filter(shown).length !== 1) out.push('there is not one picture');
  all.forEach(({e, at}, i) => {
    const box = e.parentElement.closest('g').querySelector('rect').getBoundingClientRect();
    if (at.left < box.left - slack || at.right > box.right + slack || at.top < box.top - slack || at.bottom > box.bottom + slack)
      out.push(`${ownText(e)}: not within its box`);
    for (const other of all.slice(i + 1))
      if (at.left + slack < other.at.right && other.at.left + slack < at.right && at.top + slack < other.at.bottom && other.at.top + slack < at.bottom)
        out.push(`${ownText(e)}: lies over ${ownText(other.e)}`);
  });
  return out;
}

function boxes() {
  return [...document.querySelectorAll('svg.picture a')].filter(shown);
}

function partsOfPicture() {
  return [...new Set(boxes().map(a => a.getAttribute('href')))];
}

// The corner of a part is where nothing lies over it.
function cornerOf(href) {
  const box = boxes().find(a => a.getAttribute('href') === href).querySelector('rect.box');
  box.scrollIntoView({block: 'center'});
  const at = box.getBoundingClientRect();
  return [at.left + 5, at.top + 5];
}

function opened(href) {
  const target = document.querySelector(href);
  const at = target.getBoundingClientRect();
  if (location.hash !== href) return `the address is ${location.hash}`;
  if (!shown(target)) return 'hidden';
  return at.top < -1 || at.top > innerHeight - 20 ? `out of sight, at ${at.top} of ${innerHeight}` : 'shown';
}

function followFinding(href) {
  const part = document.querySelector(href);
  part.querySelectorAll('details').forEach(d => d.open = true);
  const link = [...part.querySelectorAll('.lines a')].at(-1);
  if (!link) return '';
  link.click();
  return link.getAttribute('href');
}

function hiddenOnPaper() {
  const out = [];
  for (const e of document.querySelectorAll('section.part, #findings li, #findings .finding'))
    if (!shown(e) || e.getBoundingClientRect().height === 0) out.push(`hidden: ${e.textContent.trim().slice(0, 60)}`);
  return out;
}
