// People: who may be on this box, what they may do, and their way in.

import { get, patch, path, post, put, remove } from './api.js';
import { ask, form, goes, show } from './ask.js';
import { button, choice, h, labelled, shape } from './build.js';
import { showCard } from './card.js';
import { choiceField, momentField, rightField, rightLine, textField, tickField } from './fields.js';
import { keys, Table } from './table.js';
import { momentOf } from './times.js';
import { words } from './words.js';

const say = words.people;
/** Beyond these a table of rights is wider than any screen, and takes seconds to draw. */
const MOST_COLUMNS = 10;
const MOST_ROWS = 100;
const DEVICE_CHOICES = [1, 2, 3, 5, 10];

export const setRight = (channel, user, right) => right === 'none'
  ? remove(path`/channels/${channel}/members/${user}`)
  : put(path`/channels/${channel}/members/${user}`, { right });

/** How long an invitation stays good, and for how many devices. */
const wayIn = () => [
  labelled(words.invite.hours, choice(words.invite.spans, '24', { name: 'hours' })),
  labelled(words.invite.devices, choice(DEVICE_CHOICES.map((n) => [String(n), words.invite.forDevices(n)]), '1', { name: 'devices' })),
];

export function people(desk) {
  let channels = [];
  const save = (row, field, body) => desk.change(table, row.id, field, () => patch(path`/users/${row.id}`, body));

  const fixed = [
    {
      key: 'name', label: say.name, opens: true, value: (row) => row.name, find: (row) => `${row.name} ${row.id}`,
      cell: (row) => textField({
        field: 'name', label: words.of(say.name, row.name), value: row.name, maxlength: 64, save: (name) => save(row, 'name', { name }),
      }),
    },
    {
      key: 'role', label: say.role, brief: true, value: (row) => words.role[row.role],
      cell: (row) => choiceField({
        field: 'role', label: words.of(say.role, row.name), value: row.role, options: Object.entries(words.role),
        save: (role) => (row.id === desk.user && role !== 'admin' ? giveUp(row, role) : save(row, 'role', { role })),
      }),
    },
    {
      key: 'emergency', label: say.emergency, kind: 'middle', value: (row) => (row.emergency ? 1 : 0), downFirst: true,
      cell: (row) => tickField({
        field: 'emergency', label: words.of(say.emergency, row.name), value: row.emergency, save: (emergency) => save(row, 'emergency', { emergency }),
      }),
    },
    {
      key: 'ends', label: say.ends, kind: 'ends', value: (row) => row.ends ?? null,
      cell: (row) => momentField({
        field: 'ends', label: words.of(say.ends, row.name), value: row.ends ?? null, none: say.noEnd, save: (ends) => save(row, 'ends', { ends }),
      }),
    },
  ];
  const ranks = { talk: 2, listen: 1 };
  const rights = () => channels.map((channel) => ({
    key: `right:${channel.id}`, label: channel.name, kind: 'upright', downFirst: true,
    value: (row) => ranks[row.channels[channel.id]] ?? 0,
    cell: (row) => rightField({
      field: `right:${channel.id}`, label: say.rightOf(row.name, channel.name), value: row.channels[channel.id] ?? 'none',
      save: (right) => desk.change(table, row.id, `right:${channel.id}`, () => setRight(channel.id, row.id, right)),
    }),
  }));
  const belongs = {
    key: 'channels', label: words.tabs.channels, downFirst: true, value: (row) => Object.keys(row.channels).length,
    cell: (row) => button([shape('channels'), String(Object.keys(row.channels).length)], () => showRights(row),
      { 'data-action': 'channels', 'data-field': 'channels', 'aria-label': say.channelsOf(row.name, Object.keys(row.channels).length), class: 'small' }),
  };
  const done = keys((row) => [
    button(say.invite, () => invite(row), { 'data-action': 'invite', 'aria-label': words.does(say.invite, row.name), class: 'small' }),
    goes(desk, { word: words.remove, name: row.name, sentence: say.removeSentence(row.name), action: 'remove', run: () => remove(path`/users/${row.id}`) }),
  ]);
  const columns = () => [...fixed, ...(channels.length > MOST_COLUMNS ? [belongs] : rights()), done];
  const table = new Table({ name: 'people', caption: words.tabs.people, columns: columns(), id: (row) => row.id, empty: say.none, sort: { key: 'name', down: false }, most: MOST_ROWS });

  function showRights(row) {
    const error = h('p', { class: 'error', role: 'alert', hidden: true });
    const line = (channel) => rightLine({
      name: channel.name, note: channel.group ?? '', label: say.rightOf(row.name, channel.name), right: row.channels[channel.id] ?? 'none',
      save: (right) => desk.act(() => setRight(channel.id, row.id, right)), error, 'data-channel': channel.id,
    });
    show({ name: 'rights', title: say.channelsTitle(row.name), content: [error, h('ul', { class: 'lines' }, channels.map(line))] });
  }

  function giveUp(row, role) {
    ask({
      title: say.giveUpTitle, sentence: say.giveUpSentence, go: say.giveUpGo, run: () => desk.act(() => patch(path`/users/${row.id}`, { role })),
    });
    return false;
  }

  function invite(row) {
    form({
      name: 'invite', title: words.does(say.invite, row.name), go: words.invite.go, fields: wayIn(),
      run: async ({ elements }) => {
        const asked = { userId: row.id, hours: Number(elements.hours.value), devices: Number(elements.devices.value) };
        showCard(await desk.act(() => post('/invitations', asked)), desk.box);
      },
    });
  }

  function add() {
    const rightsOf = new Map();
    const field = (channel) => {
      const select = choice(Object.entries(words.rights), 'none', { 'data-channel': channel.id, 'aria-label': say.rightOf(say.someone, channel.name) });
      rightsOf.set(channel.id, select);
      return h('label', { class: 'line' }, h('span', {}, channel.name), select);
    };
    const everywhere = choice([['', say.choose], ...Object.entries(words.rights)], '', { 'aria-label': say.everywhere });
    everywhere.addEventListener('change', () => {
      if (everywhere.value) for (const select of rightsOf.values()) select.value = everywhere.value;
      everywhere.value = '';
    });
    form({
      name: 'add-person', title: say.addTitle, go: say.addGo,
      fields: [
        labelled(say.name, h('input', { name: 'name', required: true, maxlength: 64, autocomplete: 'off', 'data-name': say.name })),
        h('div', { class: 'pair' },
          labelled(say.role, choice(Object.entries(words.role), 'user', { name: 'role' })),
          labelled(say.ends, h('input', { type: 'datetime-local', name: 'ends' }), say.endsHint)),
        h('label', { class: 'ticked' }, h('input', { type: 'checkbox', name: 'emergency' }), h('span', {}, say.mayRaise)),
        h('fieldset', { class: 'lines' }, h('legend', {}, words.tabs.channels),
          h('label', { class: 'line all' }, h('span', {}, say.everywhere), everywhere), channels.map(field)),
        h('div', { class: 'pair' }, wayIn()),
      ],
      run: async ({ elements }) => {
        const given = [...rightsOf].map(([id, select]) => [id, select.value]).filter(([, right]) => right !== 'none');
        const person = {
          name: elements.name.value.trim(), role: elements.role.value, emergency: elements.emergency.checked,
          ends: momentOf(elements.ends.value) ?? undefined, channels: Object.fromEntries(given),
        };
        const way = { hours: Number(elements.hours.value), devices: Number(elements.devices.value) };
        const card = await desk.act(async () => {
          const made = await post('/users', person);
          return post('/invitations', { userId: made.id, ...way });
        });
        showCard(card, desk.box);
      },
    });
  }

  const { bar, count } = desk.bar({ table, add: button([shape('add'), say.add], add, { class: 'primary', 'data-action': 'add' }), counted: say.count });
  return {
    element: h('div', { class: 'section' }, bar, h('p', { class: 'key' }, say.key.map(([sign, word]) =>
      h('span', {}, h('span', { class: 'right', 'data-right': sign[0] }, shape(sign[1])), word))), table.element),
    async load() {
      const [users, now] = await Promise.all([get('/users'), get('/channels')]);
      channels = now.channels;
      table.lay(columns());
      table.show(users.users);
      count();
    },
  };
}
