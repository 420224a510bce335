// Posters for self-joining: who scans one and types a name is in, or waits here until somebody admits them.

import { get, path, post, remove } from './api.js';
import { form, goes } from './ask.js';
import { button, choice, h, labelled, shape } from './build.js';
import { keys, Table } from './table.js';
import { words } from './words.js';

const say = words.posters;

const ssid = (elements) => elements.ssid.value.trim();

export function posters(desk) {
  let channels = new Map();
  const table = new Table({
    name: 'posters', caption: words.tabs.posters, id: (row) => row.id, empty: say.none, sort: { key: 'name', down: false },
    signature: () => JSON.stringify([...channels]),
    columns: [
      { key: 'name', label: say.name, opens: true, value: (row) => row.name, cell: (row) => h('b', {}, row.name) },
      {
        key: 'channels', label: words.tabs.channels, kind: 'wide', value: (row) => Object.keys(row.channels).map(nameOf).join(' '),
        cell: (row) => h('ul', { class: 'chips' }, Object.entries(row.channels).map(([id, right]) => h('li', {}, nameOf(id), h('small', {}, words.rights[right].toLowerCase())))),
      },
      { key: 'used', label: say.used, kind: 'number', brief: true, value: (row) => row.used, downFirst: true, cell: (row) => say.usedOf(row.used, row.limit) },
      { key: 'ends', label: say.ends, value: (row) => row.ends, cell: (row) => words.moment(row.ends * 1000) },
      { key: 'guestHours', label: say.guests, value: (row) => row.guestHours, cell: (row) => words.hours(row.guestHours) },
      { key: 'approval', label: say.approval, value: (row) => (row.approval ? 1 : 0), cell: (row) => (row.approval ? say.asks : say.open) },
      keys((row) => [
        h('a', { class: 'button small', href: `/admin/sheet.html#${encodeURIComponent(row.id)}`, target: '_blank', 'data-action': 'sheet', 'aria-label': words.of(say.sheet, row.name) }, say.sheet),
        goes(desk, { word: words.remove, name: row.name, sentence: say.removeSentence, action: 'remove', run: () => remove(path`/posters/${row.id}`) }),
      ]),
    ],
  });
  const nameOf = (id) => channels.get(id) ?? id;

  const admit = (row, yes) => desk.change(waiting, row.id, yes ? 'admit' : 'turn-away', () => post(path`/arrivals/${row.id}`, { admit: yes, name: row.name }));
  const waiting = new Table({
    name: 'arrivals', caption: say.waiting, id: (row) => row.id, empty: say.nobodyWaits, sort: { key: 'since', down: false },
    columns: [
      { key: 'name', label: say.who, opens: true, value: (row) => row.name, cell: (row) => h('b', {}, row.name) },
      { key: 'poster', label: say.by, value: (row) => row.poster, cell: (row) => row.poster },
      { key: 'since', label: say.since, value: (row) => row.since, cell: (row) => words.timeOfDay(row.since * 1000) },
      keys((row) => [
        button(say.admit, () => admit(row, true), { 'data-action': 'admit', 'data-field': 'admit', 'aria-label': words.of(say.admit, row.name), class: 'small primary' }),
        button(say.turnAway, () => admit(row, false), { 'data-action': 'turn-away', 'data-field': 'turn-away', 'aria-label': words.of(say.turnAway, row.name), class: 'small danger' }),
      ], 'keys brief'),
    ],
  });

  function add() {
    const chosen = new Map();
    const field = ([id, name]) => {
      const select = choice(Object.entries(words.rights), 'none', { 'data-channel': id, 'aria-label': words.people.rightOf(say.guest, name) });
      chosen.set(id, select);
      return h('label', { class: 'line' }, h('span', {}, name), select);
    };
    form({
      name: 'add-poster', title: say.addTitle, go: say.addGo,
      fields: [
        labelled(say.name, h('input', { name: 'name', required: true, maxlength: 64, autocomplete: 'off', 'data-name': say.name }), say.nameHint),
        h('fieldset', { class: 'lines' }, h('legend', {}, say.guestsHear), [...channels].map(field)),
        h('div', { class: 'pair' },
          labelled(say.limit, h('input', { type: 'number', name: 'limit', min: 1, max: 1000, value: 50, required: true, 'data-name': say.limit })),
          labelled(say.hangs, choice(words.invite.spans, '24', { name: 'hours' }))),
        h('div', { class: 'pair' },
          labelled(say.wifi, h('input', { name: 'ssid', maxlength: 32, autocomplete: 'off' }), say.wifiHint),
          labelled(say.password, h('input', { name: 'password', maxlength: 63, autocomplete: 'off' }), say.passwordHint)),
        labelled(say.guests, choice(words.invite.spans, '24', { name: 'guestHours' })),
        h('label', { class: 'ticked' }, h('input', { type: 'checkbox', name: 'approval' }), h('span', {}, say.approvalHint)),
      ],
      run: ({ elements }) => desk.act(() => post('/posters', {
        name: elements.name.value.trim(), limit: Number(elements.limit.value),
        ends: Math.floor(Date.now() / 1000) + Number(elements.hours.value) * 3600,
        guestHours: Number(elements.guestHours.value), approval: elements.approval.checked,
        wifi: ssid(elements) ? { ssid: ssid(elements), password: elements.password.value || null } : undefined,
        channels: Object.fromEntries([...chosen].map(([id, select]) => [id, select.value]).filter(([, right]) => right !== 'none')),
      })),
    });
  }

  const { bar, count } = desk.bar({ table, add: button([shape('add'), say.add], add, { class: 'primary', 'data-action': 'add' }), counted: say.count });
  return {
    element: h('div', { class: 'section' }, h('h2', {}, say.waiting), waiting.element, h('h2', {}, say.hanging), bar, table.element),
    live: true,
    async load() {
      const [all, arrivals, now] = await Promise.all([get('/posters'), get('/arrivals'), get('/channels')]);
      channels = new Map(now.channels.map((channel) => [channel.id, channel.name]));
      table.show(all.posters);
      waiting.show(arrivals.arrivals);
      desk.badge('posters', arrivals.arrivals.length);
      count();
    },
  };
}
