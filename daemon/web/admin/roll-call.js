// Roll call: before the doors open everyone says a word, and this tells who was heard, how well, and who was not.

import { get } from './api.js';
import { button, choice, h, shape } from './build.js';
import { printed } from './print.js';
import { Table } from './table.js';
import { words } from './words.js';

const say = words.rollCall;
// Where speech should sit, dBov: quieter than -36 is hard to follow beside a stage, louder than -10 is distorted.
const QUIET = -36;
const LOUD = -10;
const LOST_WORTH_A_WORD = 3;

const level = (db) => (db === null ? 'unknown' : db < QUIET ? 'quiet' : db > LOUD ? 'loud' : 'good');

export function rollCall(desk) {
  let everyone = [];
  const table = new Table({
    name: 'roll-call', caption: words.tabs['roll-call'], id: (row) => row.userId, empty: say.none, sort: { key: 'lastHeard', down: false },
    columns: [
      { key: 'name', label: say.name, opens: true, value: (row) => row.name, cell: (row) => h('b', {}, row.name) },
      {
        key: 'lastHeard', label: say.heard, brief: true, value: (row) => row.lastHeard ?? 0, downFirst: true,
        cell: (row) => (row.lastHeard
          ? h('span', { class: 'state', 'data-state': 'heard' }, shape('hearing'), say.at(words.timeOfDay(row.lastHeard)))
          : h('span', { class: 'state', 'data-state': 'unheard' }, shape('idle'), say.notYet)),
      },
      {
        key: 'levelDb', label: say.level, value: (row) => row.levelDb ?? null,
        cell: (row) => h('span', { class: 'state', 'data-state': row.lastHeard ? level(row.levelDb) : 'none' }, row.lastHeard ? say.levelOf[level(row.levelDb)](row.levelDb) : ''),
      },
      {
        key: 'lostPercent', label: say.lost, value: (row) => row.lostPercent ?? null, downFirst: true,
        cell: (row) => h('span', { class: 'state', 'data-state': row.lostPercent >= LOST_WORTH_A_WORD ? 'quiet' : 'none' }, row.lastHeard && row.lostPercent !== null ? say.lostOf(row.lostPercent) : ''),
      },
      { key: 'transmissions', label: say.talks, kind: 'number', value: (row) => row.transmissions, downFirst: true, cell: (row) => say.talked(row.transmissions, row.seconds) },
      { key: 'online', label: say.now, value: (row) => (row.online ? 1 : 0), downFirst: true, cell: (row) => h('span', { class: 'state', 'data-state': row.online ? 'awake' : 'off' }, row.online ? say.online : say.offline) },
    ],
  });
  const which = choice(Object.entries(say.which), 'all', { 'aria-label': say.show, 'data-field': 'which' });
  const print = button(say.print, () => printed(h('div', {}, h('h1', {}, say.paper(desk.box, words.moment(Date.now()))), summary.cloneNode(true), table.table.cloneNode(true))), { 'data-action': 'print' });
  const summary = h('p', { class: 'summary', role: 'status' });
  const { bar, count } = desk.bar({ table, add: h('span', { class: 'group' }, which, print), counted: () => '' });

  function draw() {
    const heard = everyone.filter((row) => row.lastHeard);
    summary.textContent = say.summary(heard.length, everyone.length);
    const wanted = { all: () => true, heard: (row) => row.lastHeard, missing: (row) => !row.lastHeard, weak: (row) => row.lastHeard && (level(row.levelDb) === 'quiet' || level(row.levelDb) === 'loud' || row.lostPercent >= LOST_WORTH_A_WORD) };
    table.show(everyone.filter(wanted[which.value]));
    count();
  }
  which.addEventListener('change', draw);

  return {
    element: h('div', { class: 'section' }, bar, summary, table.element),
    live: true,
    async load() {
      everyone = (await get('/roll-call')).people.sort((a, b) => a.name.localeCompare(b.name));
      draw();
    },
  };
}
