// Sessions: whose device is connected from where, on which channels, and who talks. A kick ends one; the device may come back.

import { get, path, remove } from './api.js';
import { goes } from './ask.js';
import { h, shape } from './build.js';
import { keys, Table } from './table.js';
import { words } from './words.js';

const say = words.sessions;

export function sessions(desk) {
  let names = new Map();
  const onChannels = (row) => [...row.channels].sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
  const nameOf = (on) => names.get(on.channelId) ?? on.channelId;
  const state = (on) => (on.talking ? 'talking' : !on.connected ? 'connecting' : on.muted ? 'muted' : 'hears');

  const table = new Table({
    name: 'sessions', caption: words.tabs.sessions, id: (row) => row.sessionId, empty: say.none, sort: { key: 'name', down: false },
    signature: () => JSON.stringify([...names]),
    columns: [
      {
        key: 'name', label: say.name, opens: true, value: (row) => row.name,
        cell: (row) => h('span', { class: 'person' }, h('b', {}, row.name), row.role === 'user' ? null : h('small', {}, words.role[row.role])),
      },
      {
        key: 'presence', label: say.presence, brief: true, value: (row) => say.presenceOf[row.presence],
        cell: (row) => h('span', { class: 'state', 'data-state': row.presence }, say.presenceOf[row.presence]),
      },
      { key: 'address', label: say.address, value: (row) => row.address, cell: (row) => h('code', {}, row.address) },
      { key: 'since', label: say.since, value: (row) => row.since, downFirst: true, cell: (row) => words.moment(row.since * 1000) },
      { key: 'position', label: say.position, value: (row) => row.position ?? null, cell: (row) => row.position ?? '' },
      {
        key: 'channels', label: words.tabs.channels, kind: 'wide', value: (row) => row.channels.length, find: (row) => onChannels(row).map(nameOf).join(' '), downFirst: true,
        cell: (row) => h('ul', { class: 'chips' }, onChannels(row).map((on) =>
          h('li', { 'data-state': state(on) }, on.talking ? shape('on-air') : null, nameOf(on), h('small', {}, say.channelState[state(on)])))),
      },
      keys((row) => goes(desk, {
        word: say.kick, name: row.name, sentence: say.kickSentence(row.name, row.address), action: 'kick', run: () => remove(path`/sessions/${row.sessionId}`),
      })),
    ],
  });
  const { bar, count } = desk.bar({ table, counted: say.count });
  return {
    element: h('div', { class: 'section' }, bar, table.element),
    live: true,
    async load() {
      const [now, all] = await Promise.all([get('/sessions'), get('/channels')]);
      names = new Map(all.channels.map((channel) => [channel.id, channel.name]));
      table.show(now.sessions);
      count();
    },
  };
}
