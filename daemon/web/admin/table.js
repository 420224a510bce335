// A table that keeps its place: rows are redrawn only where the box says something new, they move only when a person sorts
// or searches, and a field somebody is in stays theirs.

import { button, h, shape } from './build.js';
import { words } from './words.js';

export class Table {
  #rows = new Map();
  #shown = new Map();
  #order = [];
  #asked = '';
  #sort;
  #fails = new Map();
  #until;

  /**
   * columns: [{key, label, cell(row) -> node or text, value(row) -> what it sorts and is found by, brief, kind, short}]
   * `most`: how many rows are shown until more are asked for.
   * `brief`: shown in a closed row on a narrow screen. `kind`: its class. `plain`: the header cannot be clicked.
   */
  constructor({ name, caption, columns, id, empty, sort, most = Infinity, signature = () => '' }) {
    Object.assign(this, { name, columns: [], id, empty, most, signature });
    this.#until = most;
    this.#sort = sort ?? { key: null, down: false };
    this.head = h('tr', { role: 'row' });
    this.body = h('tbody', { role: 'rowgroup' });
    this.none = h('p', { class: 'none', hidden: true });
    this.more = button('', () => {
      this.#until += this.most;
      this.#draw();
    }, { 'data-action': 'more', hidden: true });
    const table = h('table', { role: 'table', 'data-table': name }, h('caption', { class: 'unseen' }, caption),
      h('thead', { role: 'rowgroup' }, this.head), this.body);
    this.element = h('div', { class: 'table', tabindex: '0', role: 'region', 'aria-label': caption }, table, this.none, this.more);
    this.table = table;
    this.lay(columns);
  }

  /** Other columns than before, such as another channel's. */
  lay(columns) {
    const keys = (all) => JSON.stringify(all.map(({ key, label }) => [key, label]));
    if (keys(columns) === keys(this.columns)) {
      this.columns = columns;
      return;
    }
    this.columns = columns;
    this.#shown.clear();
    this.head.replaceChildren(...columns.map((column) => this.#header(column)));
    this.#markSort();
  }

  show(rows) {
    const next = new Map(rows.map((row) => [String(this.id(row)), row]));
    const same = next.size === this.#rows.size && [...next.keys()].every((id) => this.#rows.has(id));
    this.#rows = next;
    if (!same || !this.#order.length) this.#arrange();
    this.#draw();
  }

  /** Shows only rows in which every word of the text occurs. */
  search(text) {
    this.#asked = text.toLowerCase().trim();
    this.#until = this.most;
    this.#arrange();
    this.#draw();
  }

  get count() {
    return this.#order.length;
  }

  row(id) {
    return this.#shown.get(String(id))?.element ?? null;
  }

  /** The box's sentence, under the row and told of the field. */
  fail(id, field, sentence) {
    this.clear(id);
    this.#fails.set(String(id), { field, sentence });
    this.#draw();
  }

  clear(id) {
    if (this.#fails.delete(String(id))) this.#draw();
  }

  #header(column) {
    const properties = { role: 'columnheader', scope: 'col', class: column.kind, 'data-key': column.key };
    if (column.plain) return h('th', properties, h('span', { class: column.unseen ? 'unseen' : '' }, column.label));
    const sort = button([h('span', {}, column.label), shape('sort')], () => {
      const again = this.#sort.key === column.key;
      this.#sort = { key: column.key, down: again ? !this.#sort.down : column.downFirst === true };
      this.#markSort();
      this.#arrange();
      this.#draw();
    }, { class: 'sort', title: column.label });
    return h('th', properties, sort);
  }

  #markSort() {
    for (const header of this.head.children) {
      const sorted = header.dataset.key === this.#sort.key;
      if (sorted) header.setAttribute('aria-sort', this.#sort.down ? 'descending' : 'ascending');
      else header.removeAttribute('aria-sort');
    }
  }

  #arrange() {
    const found = (row) => {
      const text = this.columns.map((column) => textual(column.find?.(row) ?? column.value?.(row))).join(' ').toLowerCase();
      return this.#asked.split(/\s+/).every((word) => text.includes(word));
    };
    let order = [...this.#rows].filter(([, row]) => !this.#asked || found(row));
    const column = this.columns.find((each) => each.key === this.#sort.key);
    if (column) {
      const way = this.#sort.down ? -1 : 1;
      order = order.map((entry) => [entry, column.value(entry[1])]);
      order.sort(([, a], [, b]) => way * compare(a, b));
      order = order.map(([entry]) => entry);
    }
    this.#order = order.map(([id]) => id);
  }

  #draw() {
    const wanted = [];
    for (const id of this.#order.slice(0, this.#until)) {
      const row = this.#rows.get(id);
      if (!row) continue;
      const shown = this.#line(id, row);
      wanted.push(shown.element);
      const failed = this.#fails.get(id);
      // Made once: said again, a screen reader would read it again.
      if (failed) wanted.push(failed.element ??= this.#failure(id, shown.element, failed));
    }
    for (const id of this.#shown.keys()) if (!this.#rows.has(id)) this.#shown.delete(id);
    place(this.body, wanted);
    const left = this.#order.length - this.#until;
    this.more.hidden = !(left > 0);
    if (left > 0) this.more.textContent = words.table.showMore(Math.min(left, this.most));
    this.none.hidden = wanted.length > 0;
    this.none.textContent = this.#asked ? words.table.notFound : this.empty;
  }

  #line(id, row) {
    const signature = JSON.stringify(row) + this.signature(row);
    const before = this.#shown.get(id);
    if (before?.signature === signature) return before;
    const inside = before?.element.contains(document.activeElement) ? document.activeElement : null;
    // Half-typed words are not taken from under the fingers: the box's newer ones come when they are done.
    if (inside && inside.tagName === 'INPUT' && inside.value !== inside.defaultValue && inside.type !== 'checkbox') return before;
    const element = h('tr', { role: 'row', 'data-row': id, 'data-open': before?.element.dataset.open },
      this.columns.map((column) => this.#cell(column, row)));
    const shown = { signature, element };
    this.#shown.set(id, shown);
    if (before?.element.isConnected) before.element.replaceWith(element);
    if (inside?.dataset.field) element.querySelector(`[data-field="${CSS.escape(inside.dataset.field)}"]`)?.focus();
    return shown;
  }

  #cell(column, row) {
    const content = [column.cell(row)].flat();
    const more = column.opens
      ? button(shape('more'), (event) => {
        const line = event.target.closest('tr');
        const open = line.toggleAttribute('data-open');
        event.currentTarget.setAttribute('aria-expanded', open);
      }, { class: 'opens', 'aria-label': words.table.more(String(column.value(row))), 'aria-expanded': 'false' })
      : null;
    const kind = [column.kind, column.brief || column.opens ? 'brief' : ''].filter(Boolean).join(' ');
    const label = column.unseen ? undefined : column.label;
    return h(column.opens ? 'th' : 'td', {
      role: column.opens ? 'rowheader' : 'cell', scope: column.opens ? 'row' : undefined, class: kind, 'data-label': label, 'data-key': column.key,
    }, content, more);
  }

  #failure(id, line, { field, sentence }) {
    const control = line.querySelector(`[data-field="${CSS.escape(field ?? '')}"]`);
    const name = `fail-${this.name}-${id}`;
    control?.setAttribute('aria-invalid', 'true');
    control?.setAttribute('aria-describedby', name);
    const close = button(words.table.understood, () => {
      control?.removeAttribute('aria-invalid');
      this.clear(id);
    }, { class: 'small' });
    return h('tr', { class: 'failure', role: 'row' }, h('td', { role: 'cell', colspan: this.columns.length },
      h('p', { class: 'error', role: 'alert', id: name }, shape('denied'), h('span', {}, sentence), close)));
  }
}

/** The column of what can be done with a row. */
export const keys = (cell, kind = 'keys') => ({ key: 'keys', label: words.table.keys, unseen: true, plain: true, kind, cell });

// Numbers are sorted by, not looked for.
const textual = (value) => (typeof value === 'string' ? value : '');
const letters = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });
function compare(a, b) {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  // What is not known comes last, whatever it is compared with.
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  return letters.compare(String(a), String(b));
}

/** Children in this order, moving none that already stand where they belong: a moved field loses its focus. */
export function place(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  wanted.forEach((child, i) => {
    if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] ?? null);
  });
}
