// Who sits where, and where one may sit down.

import { byId, make, relist, sure } from './dom.js';
import { words } from './words.js';

export class PositionDialog {
  mayClose = false;
  #wanted = false;

  constructor({ session, positions }) {
    Object.assign(this, { session, positions });
    this.dialog = byId('position-dialog');
    byId('position-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const name = byId('position-name').value.trim();
      if (name) positions.take(name);
    });
    byId('position-without').addEventListener('click', () => positions.without());
    byId('position-leave').addEventListener('click', () => positions.leave());
    byId('position-close').addEventListener('click', () => this.close());
    // Whoever has not sat down yet has to choose: sitting without a position is a choice, too.
    this.dialog.addEventListener('cancel', (event) => {
      if (!this.mayClose) event.preventDefault();
    });
    // A browser asks only once before it closes a dialog all the same.
    this.dialog.addEventListener('close', () => {
      if (this.#wanted && !this.mayClose) this.open();
    });
  }

  /** `mayClose`: there is a desk to go back to. */
  open(mayClose = false) {
    this.mayClose = mayClose;
    this.#wanted = true;
    if (!this.dialog.open) this.dialog.showModal();
    if (!this.positions.all?.length) byId('position-name').value ||= words.position.first;
    this.draw();
  }

  close() {
    this.#wanted = false;
    this.dialog.close();
  }

  draw() {
    if (!this.dialog.open) return;
    byId('position-leave').hidden = !this.positions.mine;
    byId('position-without').hidden = this.mayClose;
    byId('position-close').hidden = !this.mayClose;
    const rows = (this.positions.all ?? []).map(({ positionId, holder }) => ({
      positionId, holder: holder?.name ?? null, mine: positionId === this.positions.mine,
    }));
    relist(byId('position-list'), rows, (row) => this.#row(row));
  }

  #row({ positionId, holder, mine }) {
    const p = words.position;
    const item = make('li', {}, make('strong', { textContent: positionId }), make('span', { textContent: holder ? p.holder(holder) : p.free }));
    if (mine) return item;
    const button = make('button', { type: 'button', className: 'primary' });
    button.dataset.position = button.dataset.key = positionId;
    button.textContent = holder ? p.takeOver(holder) : p.take;
    button.addEventListener('click', () => this.positions.take(positionId));
    if (!holder) {
      item.append(sure(make('button', { type: 'button' }), p.remove, p.removeSure(positionId), () => this.positions.remove(positionId)));
    }
    item.append(button);
    return item;
  }
}
