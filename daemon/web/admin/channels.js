// Channels: what is said where, by what rules, how long it is kept, and who belongs there.

import { get, patch, path, post, put, remove } from './api.js';
import { form, goes, show } from './ask.js';
import { button, choice, h, labelled, shape } from './build.js';
import { choiceField, during, rightLine, textField, tickField } from './fields.js';
import { setRight } from './people.js';
import { keys, Table } from './table.js';
import { words } from './words.js';

const say = words.channels;

/** The usual ones, and what this channel has where that is none of them. */
function records(value) {
  const usual = words.record.usual.map((each) => [each, words.record.of(each)]);
  return usual.some(([each]) => each === value) ? usual : [...usual, [value, words.record.of(value)]];
}

/** What many people may do on one channel; what they may do elsewhere stays. */
async function setRights(channel, ids, right) {
  if (right !== 'none') return put(path`/channels/${channel}/members`, { users: Object.fromEntries(ids.map((id) => [id, right])) });
  const { users } = await get('/users');
  const leaving = users.filter((user) => ids.includes(user.id) && user.channels[channel]);
  return put('/memberships', {
    users: Object.fromEntries(leaving.map(({ id, channels: { [channel]: _, ...others } }) => [id, others])),
  });
}

const OTHER = 'other';
const keepsFor = (text) => (text === 'off' ? 0 : Number.parseInt(text, 10) * (text.endsWith('d') ? 1440 : 1));

export function channels(desk) {
  let users = [];
  const save = (row, field, body) => desk.change(table, row.id, field, () => patch(path`/channels/${row.id}`, body));
  const number = (key, label, of, { min, max, scale = 1 }) => ({
    key, label, kind: 'number', value: (row) => row[key],
    cell: (row) => textField({
      field: key, type: 'number', label: of(row.name), value: row[key] / scale, min, max, kind: 'short',
      save: (value) => save(row, key, { [key]: Math.round(value * scale) }),
    }),
  });
  const memberCount = (row) => users.filter((user) => user.channels[row.id]).length;

  const table = new Table({
    name: 'channels', caption: words.tabs.channels, id: (row) => row.id, empty: say.none, sort: { key: 'name', down: false },
    signature: (row) => memberCount(row),
    columns: [
      {
        key: 'name', label: say.name, opens: true, value: (row) => row.name, find: (row) => `${row.name} ${row.id}`,
        cell: (row) => textField({ field: 'name', label: words.of(say.name, row.name), value: row.name, maxlength: 64, save: (name) => save(row, 'name', { name }) }),
      },
      {
        key: 'group', label: say.group, value: (row) => row.group ?? null,
        cell: (row) => textField({
          field: 'group', label: words.of(say.group, row.name), value: row.group ?? '', maxlength: 64, list: 'groups',
          save: (group) => save(row, 'group', { group: group || null }),
        }),
      },
      {
        key: 'members', label: say.members, brief: true, value: memberCount,
        cell: (row) => button([shape('people'), say.membersCount(memberCount(row))], () => members(row),
          { 'data-action': 'members', 'data-field': 'members', 'aria-label': say.membersOf(row.name, memberCount(row)), class: 'small' }),
      },
      {
        key: 'record', label: say.record, value: (row) => keepsFor(row.record), downFirst: true,
        cell: (row) => choiceField({
          field: 'record', label: words.of(say.record, row.name), value: row.record, options: [...records(row.record), [OTHER, words.record.other]],
          save: (record) => (record === OTHER ? otherRecord(row) : save(row, 'record', { record })),
        }),
      },
      {
        key: 'policy', label: say.policy, value: (row) => words.policy[row.policy],
        cell: (row) => choiceField({
          field: 'policy', label: words.of(say.policy, row.name), value: row.policy, options: Object.entries(words.policy),
          save: (policy) => save(row, 'policy', { policy }),
        }),
      },
      number('queueDepth', say.queue, say.queueOf, { min: 0, max: 32 }),
      number('talkLimitMs', say.limit, say.limitOf, { min: 5, max: 600, scale: 1000 }),
      {
        key: 'echo', label: say.echo, kind: 'middle', value: (row) => (row.echo ? 1 : 0), downFirst: true,
        cell: (row) => tickField({ field: 'echo', label: words.of(say.echoHint, row.name), value: row.echo, save: (echo) => save(row, 'echo', { echo }) }),
      },
      keys((row) => goes(desk, {
        word: words.remove, name: row.name, sentence: say.removeSentence(row.name, memberCount(row)), action: 'remove', run: () => remove(path`/channels/${row.id}`),
      })),
    ],
  });

  function otherRecord(row) {
    const [, n, unit] = /^(\d+)([md])$/.exec(row.record) ?? [null, '30', 'm'];
    form({
      name: 'record', title: words.of(say.record, row.name), go: words.save,
      fields: h('div', { class: 'pair' },
        labelled(words.record.howMany, h('input', { type: 'number', name: 'n', min: 1, max: 1440, value: n, required: true, 'data-name': words.record.howMany })),
        labelled(words.record.unit, choice(Object.entries(words.record.units), unit, { name: 'unit' }))),
      run: ({ elements }) => desk.act(() => patch(path`/channels/${row.id}`, { record: `${elements.n.value}${elements.unit.value}` })),
    });
    return false;
  }

  function members(row) {
    const rank = { talk: 0, listen: 1 };
    const list = h('ul', { class: 'lines' });
    const error = h('p', { class: 'error', role: 'alert', hidden: true });
    const draw = () => list.replaceChildren(...everyone.map((user) => rightLine({
      name: user.name, note: user.role === 'user' ? '' : words.role[user.role], label: words.people.rightOf(user.name, row.name),
      right: user.channels[row.id] ?? 'none', save: (right) => desk.act(() => setRight(row.id, user.id, right)), error, 'data-user': user.id,
    })));
    const everyone = [...users].sort((a, b) => (rank[a.channels[row.id]] ?? 2) - (rank[b.channels[row.id]] ?? 2) || a.name.localeCompare(b.name));
    const search = h('input', { type: 'search', placeholder: words.search, 'aria-label': words.search });
    search.addEventListener('input', () => {
      for (const line of list.children) line.hidden = !line.dataset.name.includes(search.value.toLowerCase().trim());
    });
    const all = choice([['', words.people.choose], ...Object.entries(words.rights)], '', { 'aria-label': say.everyone, 'data-action': 'everyone' });
    all.addEventListener('change', async () => {
      const right = all.value;
      all.value = '';
      if (!right) return;
      const shown = everyone.filter((user) => user.name.toLowerCase().includes(search.value.toLowerCase().trim()));
      error.hidden = true;
      try {
        await during(all, desk.act(() => setRights(row.id, shown.map((user) => user.id), right)));
        const now = new Map(users.map((user) => [user.id, user]));
        everyone.forEach((user, i) => { everyone[i] = now.get(user.id) ?? user; });
        draw();
        search.dispatchEvent(new Event('input'));
      } catch (refused) {
        error.textContent = refused.message;
        error.hidden = false;
      }
    });
    draw();
    show({
      name: 'members', title: say.membersTitle(row.name),
      content: [search, h('label', { class: 'line all' }, h('span', {}, say.everyone), all), error, list],
    });
  }

  function add() {
    form({
      name: 'add-channel', title: say.addTitle, go: say.addGo,
      fields: [
        labelled(say.name, h('input', { name: 'name', required: true, maxlength: 64, autocomplete: 'off', 'data-name': say.name })),
        labelled(say.group, h('input', { name: 'group', maxlength: 64, autocomplete: 'off', list: 'groups' }), say.groupHint),
        h('div', { class: 'pair' },
          labelled(say.record, choice(records('30m'), '30m', { name: 'record' })),
          labelled(say.policy, choice(Object.entries(words.policy), 'preempt', { name: 'policy' }))),
        h('div', { class: 'pair' },
          labelled(say.queue, h('input', { type: 'number', name: 'queue', min: 0, max: 32, value: 5, required: true, 'data-name': say.queue })),
          labelled(say.limit, h('input', { type: 'number', name: 'limit', min: 5, max: 600, value: 60, required: true, 'data-name': say.limit }))),
        h('label', { class: 'ticked' }, h('input', { type: 'checkbox', name: 'echo' }), h('span', {}, say.echoHint)),
      ],
      run: ({ elements }) => desk.act(() => post('/channels', {
        name: elements.name.value.trim(), group: elements.group.value.trim() || undefined, record: elements.record.value,
        policy: elements.policy.value, queueDepth: Number(elements.queue.value), talkLimitMs: Number(elements.limit.value) * 1000,
        echo: elements.echo.checked,
      })),
    });
  }

  const groups = h('datalist', { id: 'groups' });
  const { bar, count } = desk.bar({ table, add: button([shape('add'), say.add], add, { class: 'primary', 'data-action': 'add' }), counted: say.count });
  return {
    element: h('div', { class: 'section' }, bar, table.element, groups),
    async load() {
      const [people, now] = await Promise.all([get('/users'), get('/channels')]);
      users = people.users;
      const names = new Set(now.channels.map((channel) => channel.group).filter(Boolean));
      groups.replaceChildren(...[...names].sort().map((name) => h('option', { value: name })));
      table.show(now.channels);
      count();
    },
  };
}
