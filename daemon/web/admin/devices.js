// Devices that were let in, and invitations that still let one in.

import { get, path, remove } from './api.js';
import { goes } from './ask.js';
import { h } from './build.js';
import { keys, Table } from './table.js';
import { words } from './words.js';

const moment = (key, label) => ({
  key, label, value: (row) => row[key], downFirst: true, cell: (row) => words.moment(row[key] * 1000),
});

export function devices(desk) {
  const say = words.devices;
  let online = new Set();
  const table = new Table({
    name: 'devices', caption: words.tabs.devices, id: (row) => row.id, empty: say.none, sort: { key: 'name', down: false },
    signature: (row) => online.has(row.id),
    columns: [
      { key: 'name', label: say.name, opens: true, value: (row) => row.name, cell: (row) => h('b', {}, row.name) },
      { key: 'id', label: say.id, value: (row) => row.id, cell: (row) => h('code', {}, row.id) },
      moment('since', say.since),
      { key: 'by', label: say.by, value: (row) => (row.fromToken ? say.token : say.invitation), cell: (row) => (row.fromToken ? say.token : say.invitation) },
      {
        key: 'online', label: say.now, brief: true, value: (row) => (online.has(row.id) ? 1 : 0), downFirst: true,
        cell: (row) => h('span', { class: 'state', 'data-state': online.has(row.id) ? 'awake' : 'off' }, online.has(row.id) ? words.rollCall.online : words.rollCall.offline),
      },
      keys((row) => goes(desk, {
        word: say.lockOut, name: say.of(row.name), sentence: say.lockSentence(row.name), action: 'lock-out', run: () => remove(path`/devices/${row.id}`),
      })),
    ],
  });
  const { bar, count } = desk.bar({ table, counted: say.count });
  return {
    element: h('div', { class: 'section' }, bar, table.element),
    live: true,
    async load() {
      const [all, now] = await Promise.all([get('/devices'), get('/sessions')]);
      online = new Set(now.sessions.map((session) => session.deviceId));
      table.show(all.devices);
      count();
    },
  };
}

export function invitations(desk) {
  const say = words.invitations;
  const table = new Table({
    name: 'invitations', caption: words.tabs.invitations, id: (row) => row.id, empty: say.none, sort: { key: 'ends', down: false },
    columns: [
      { key: 'name', label: say.name, opens: true, value: (row) => row.name, cell: (row) => h('b', {}, row.name) },
      moment('ends', say.ends),
      { key: 'left', label: say.devices, brief: true, kind: 'number', value: (row) => row.devices, cell: (row) => say.used(row.used, row.devices) },
      keys((row) => goes(desk, {
        word: say.withdraw, name: say.of(row.name), sentence: say.withdrawSentence, action: 'withdraw', run: () => remove(path`/invitations/${row.id}`),
      })),
    ],
  });
  const { bar, count } = desk.bar({ table, counted: say.count });
  return {
    element: h('div', { class: 'section' }, bar, table.element),
    async load() {
      table.show((await get('/invitations')).invitations);
      count();
    },
  };
}
