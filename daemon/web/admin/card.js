// An invitation as it is handed over: to be scanned, copied or printed. It is shown once; the box keeps only its hash.

import { show } from './ask.js';
import { button, h, picture } from './build.js';
import { printed } from './print.js';
import { words } from './words.js';

const say = words.card;

export function showCard(card, box) {
  const link = h('input', { value: card.link, readonly: true, 'aria-label': say.link, 'data-field': 'link', class: 'field' });
  link.addEventListener('focus', () => link.select());
  const copied = h('span', { role: 'status', class: 'quiet' });
  const copy = button(say.copy, async () => {
    try {
      await navigator.clipboard.writeText(card.link);
      copied.textContent = say.copied;
    } catch {
      link.focus();
      copied.textContent = say.copyYourself;
    }
  }, { 'data-action': 'copy', class: 'primary' });
  const paper = h('div', { class: 'card-paper' },
    h('p', { class: 'card-box' }, box),
    h('p', { class: 'card-name' }, card.name),
    picture(card.qrSvg, say.qr(card.name)),
    h('p', {}, say.scan),
    h('p', { class: 'quiet' }, say.until(words.moment(card.ends * 1000), card.devices)));
  show({
    name: 'card', title: say.title(card.name),
    content: [paper, h('div', { class: 'copying' }, link, copy), copied, h('p', { class: 'quiet' }, say.once)],
    buttons: [button(say.print, () => printed(paper), { 'data-action': 'print' })],
  });
}
