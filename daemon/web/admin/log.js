// The log: every change and every transmission, newest first. It also stands, short and live, beside whatever is edited.

import { get, query } from './api.js';
import { button, h } from './build.js';
import { place } from './table.js';
import { words } from './words.js';

const say = words.log;
const PAGE = 100;
const BESIDE = 40;

const entry = (each) => h('li', { 'data-seq': each.seq, 'data-what': each.what },
  h('time', { datetime: new Date(each.at).toISOString(), title: words.exactly(each.at) }, words.shortly(each.at)),
  h('span', { class: 'text' }, each.text),
  h('small', {}, say.by(each.who, each.from)));

/** Entries by their number, so that nothing that stands moves when more come. */
class Lines {
  #lines = new Map();
  constructor(list) {
    this.list = list;
  }
  show(entries) {
    const next = new Map(entries.map((each) => [each.seq, this.#lines.get(each.seq) ?? entry(each)]));
    this.#lines = next;
    place(this.list, [...next.values()]);
  }
}

/** The column beside the sections. `poll()` resolves to the entries that are new since the last time. */
export function logColumn(list) {
  const lines = new Lines(list);
  let newest = -1;
  return {
    get newest() {
      return newest;
    },
    async poll() {
      const { entries } = await get(`/log${query({ limit: BESIDE })}`);
      const fresh = entries.filter((each) => each.seq > newest);
      newest = Math.max(newest, ...entries.map((each) => each.seq));
      lines.show(entries);
      return fresh;
    },
  };
}

export function log() {
  let entries = [];
  let asked = '';
  const list = h('ol', { class: 'log-list', tabindex: '0', 'aria-label': words.tabs.log });
  const lines = new Lines(list);
  const none = h('p', { class: 'none', hidden: true }, say.none);
  const older = button(say.older, async () => {
    older.disabled = true;
    try {
      const more = (await get(`/log${query({ limit: PAGE, before: entries.at(-1)?.seq, q: asked })}`)).entries;
      entries = [...entries, ...more];
      draw(more.length === PAGE);
    } finally {
      older.disabled = false;
    }
  }, { 'data-action': 'older' });
  const search = h('input', { type: 'search', placeholder: say.search, 'aria-label': say.search, 'data-field': 'search' });
  let waiting = 0;
  search.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      asked = search.value.trim();
      entries = [];
      await section.load();
    }, 250);
  });

  function draw(more) {
    lines.show(entries);
    none.hidden = entries.length > 0;
    older.hidden = !more;
  }

  const section = {
    element: h('div', { class: 'section' }, h('div', { class: 'bar' }, search), list, none, older),
    live: true,
    async load() {
      const q = asked;
      const newest = (await get(`/log${query({ limit: PAGE, q })}`)).entries;
      if (q !== asked) return;
      // What was fetched on demand stays, unless more than a page came meanwhile: then there would be a gap.
      const oldest = newest.at(-1)?.seq ?? -1;
      const known = newest.some((each) => each.seq === entries[0]?.seq);
      const kept = known ? entries.filter((each) => each.seq < oldest) : [];
      const more = kept.length ? !older.hidden : newest.length === PAGE;
      entries = [...newest, ...kept];
      draw(more);
    },
  };
  return section;
}
