// The column that says what happened here: who talked, who called, what was an emergency.

import { make, picture } from './dom.js';
import { timeToTheSecond } from './words.js';

const KEPT = 200;

export class Log {
  constructor(place) {
    this.place = place;
  }

  /** `kind` is a shape's name; `since` when it was, by this page's clock. */
  add(kind, sentence, since = performance.now()) {
    const at = Date.now() - (performance.now() - since);
    const time = make('time', { textContent: timeToTheSecond(at) });
    const line = make('li', {}, time, picture(kind), make('span', { textContent: sentence }));
    line.dataset.kind = kind;
    this.place.prepend(line);
    while (this.place.children.length > KEPT) this.place.lastElementChild.remove();
  }
}
