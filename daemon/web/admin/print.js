// Prints one piece of the page alone.

import { h } from './build.js';

export function printed(piece) {
  const sheet = h('div', { id: 'sheet' });
  sheet.append(piece.cloneNode(true));
  document.body.append(sheet);
  document.body.dataset.printing = 'sheet';
  const done = () => {
    sheet.remove();
    delete document.body.dataset.printing;
  };
  addEventListener('afterprint', done, { once: true });
  // A picture that was copied a moment ago may not be drawn yet.
  Promise.all([...sheet.querySelectorAll('img')].map((image) => image.decode().catch(() => {}))).then(() => print());
}
