// The admin page: who is on the box, what there is, who is here, what was said and how the box is.
//
//   section (people, channels, …) --> api.js --> box      a change is asked for, never assumed
//   log column <-- every 5 s while the page is looked at; what it tells anew brings the open section up to date
//
// For tests and for whoever looks from outside:
//   window.pttd              read-only: {state, user, tab, loaded, asking, lastError, logged}
//   state                    starting | signed-out | no-admin | unreachable | ready
//   tab, loaded              the open section (as in the address: #people), and whether the box's answer is shown
//   asking                   how many changes the box has not answered yet
//   lastError                the last sentence the box refused something with, '' after the next change it took
//   logged                   the number of the newest entry of the log column, -1 before the first
//   #tabs [data-tab]         the sections; aria-current
//   [data-table] [data-row]  a row by the box's id; [data-field] in it: name, role, emergency, ends, right:CHANNEL …;
//                            [data-action]: add, invite, remove, kick, lock-out, withdraw, admit, turn-away, members, play …
//   #ask                     the question before something goes: [data-action=sure], [data-action=keep]
//   #add-person, #add-channel, #add-poster, #invite   dialogs with named fields: [data-action=make]
//   #card                    an invitation: [data-field=link]
//   #log [data-seq]          the log beside what is edited

import { storedDevice } from '../js/sign-in.js';
import { get, Refused } from './api.js';
import { button, h, shape } from './build.js';
import { channels } from './channels.js';
import { devices, invitations } from './devices.js';
import { health } from './health.js';
import { log, logColumn } from './log.js';
import { people } from './people.js';
import { posters } from './posters.js';
import { recordings } from './recordings.js';
import { rollCall } from './roll-call.js';
import { sessions } from './sessions.js';
import { words } from './words.js';

const POLL_MS = 5000;
const byId = (id) => document.getElementById(id);
const MAKE = {
  people, channels, sessions, devices, invitations, 'roll-call': rollCall, posters, recordings, log, health,
};

const page = { state: 'starting', user: null, tab: null, loaded: false, asking: 0, lastError: '' };
const sections = new Map();
let column = null;

/** What the sections may ask of the page. */
const desk = {
  box: '',
  user: null,
  named(box) {
    desk.box = box;
    byId('box-name').textContent = box;
    document.title = words.title(box);
  },
  failed(refused) {
    page.lastError = refused.message;
    if (page.state !== 'ready') return;
    if (refused.status === 401) signedOut(words.gate.signedOut);
    if (refused.status === 403) noAdminAnyMore();
  },
  /** A change: what the box then shows is fetched anew. Throws what it refused with. */
  async act(run) {
    page.asking += 1;
    try {
      const answer = await run();
      page.lastError = '';
      await refresh();
      return answer;
    } catch (refused) {
      desk.failed(refused);
      throw refused;
    } finally {
      page.asking -= 1;
    }
  },
  /** A change in a row of a table: whether the box took it; where not, its sentence stands under the row. */
  async change(table, id, field, run) {
    try {
      await desk.act(run);
      table.clear(id);
      return true;
    } catch (refused) {
      table.fail(id, field, refused.message);
      return false;
    }
  },
  /** The line over a table: search, how many there are, and what makes a new one. */
  bar({ table, add, counted }) {
    const search = h('input', { type: 'search', placeholder: words.search, 'aria-label': words.search, 'data-field': 'search' });
    const told = h('span', { class: 'count', role: 'status' });
    const count = () => { told.textContent = counted(table.count); };
    search.addEventListener('input', () => {
      table.search(search.value);
      count();
    });
    return { bar: h('div', { class: 'bar' }, search, told, add), count };
  },
  badge(tab, n) {
    const badge = byId('tabs').querySelector(`[data-tab="${tab}"] .badge`);
    badge.textContent = n ? String(n) : '';
    badge.setAttribute('aria-label', n ? words.waiting(n) : '');
  },
};

// Sections

function section(name) {
  if (!sections.has(name)) sections.set(name, MAKE[name](desk));
  return sections.get(name);
}

async function load() {
  const { tab } = page;
  try {
    await section(tab).load();
    if (tab === page.tab) page.loaded = true;
    trouble('');
  } catch (refused) {
    if (!(refused instanceof Refused)) throw refused;
    desk.failed(refused);
    trouble(refused.message);
  }
}

/** What a person has changed is shown by the box's answer, and in the log beside it. */
async function refresh() {
  await Promise.all([load(), column.poll().catch(() => [])]);
}

function open() {
  const wanted = location.hash.slice(1);
  const tab = wanted in MAKE ? wanted : 'people';
  if (tab === page.tab) return;
  if (page.tab) section(page.tab).left?.();
  Object.assign(page, { tab, loaded: false });
  for (const link of byId('tabs').querySelectorAll('[data-tab]')) {
    if (link.dataset.tab === tab) {
      link.setAttribute('aria-current', 'page');
      link.scrollIntoView({ block: 'nearest', inline: 'center' });
    } else link.removeAttribute('aria-current');
  }
  byId('section-name').textContent = words.tabs[tab];
  byId('section').replaceChildren(section(tab).element);
  byId('section').scrollTop = 0;
  byId('app').dataset.section = tab;
  load();
}

function trouble(sentence) {
  byId('trouble').hidden = !sentence;
  byId('trouble-words').textContent = sentence;
}

// A log of who talked tells nothing a table shows, and of who came and went only these show anything (others are live);
// a thousand people who come at the doors' opening must not have a thousand tables sent.
const SHOW_WHO_CAME = ['devices', 'invitations'];
const CAME_OR_WENT = ['signed_in', 'session_over', 'kicked'];
const tellsOfChange = ({ what }) => !what.startsWith('talk') && (SHOW_WHO_CAME.includes(page.tab) || !CAME_OR_WENT.includes(what));

let polling = 0;
function pollSoon() {
  clearTimeout(polling);
  if (document.visibilityState === 'visible' && page.state === 'ready') polling = setTimeout(poll, POLL_MS);
}

async function poll() {
  try {
    const fresh = await column.poll();
    const open_ = section(page.tab);
    if (open_.live || !page.loaded || fresh.some(tellsOfChange)) await load();
    else trouble('');
    desk.badge('posters', (await get('/arrivals')).arrivals.length);
  } catch (refused) {
    if (!(refused instanceof Refused)) throw refused;
    desk.failed(refused);
    trouble(refused.message);
  } finally {
    pollSoon();
  }
}

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && page.state === 'ready') poll();
  else clearTimeout(polling);
});

// Getting in

function gate(state, sentence, links = []) {
  page.state = state;
  byId('app').dataset.view = 'gate';
  byId('gate-words').textContent = sentence;
  byId('gate-links').replaceChildren(...links.map(([href, word]) => h('a', { class: 'button primary', href }, word)));
}

async function signedOut(sentence) {
  const links = [['/', words.gate.talk]];
  try {
    if ((await get('/setup')).needed) return gate('signed-out', words.gate.setUpFirst, [['/setup', words.gate.setUp]]);
  } catch {
    // The sentence about signing in is true all the same.
  }
  gate('signed-out', sentence, links);
}

const noAdmin = (me) => gate('no-admin', words.gate.noAdmin(me.name), [['/', words.gate.talk]]);

async function noAdminAnyMore() {
  try {
    const me = await get('/me');
    if (me.role !== 'admin') noAdmin(me);
  } catch {
    // Whoever is not known at all is told so by the next question.
  }
}

async function start() {
  if (!storedDevice()) return signedOut(words.gate.signedOut);
  let me;
  try {
    me = await get('/me');
  } catch (refused) {
    if (refused.status === 401 || refused.status === 403) return signedOut(words.gate.signedOut);
    page.lastError = refused.message;
    gate('unreachable', refused.message);
    setTimeout(start, POLL_MS);
    return;
  }
  if (me.role !== 'admin') return noAdmin(me);
  page.state = 'ready';
  page.user = desk.user = me.userId;
  byId('me').textContent = me.name;
  byId('app').dataset.view = 'page';
  column = logColumn(byId('log-list'));
  open();
  try {
    desk.named((await get('/box')).name);
  } catch {
    // Its name is told again by the health section.
  }
  poll();
}

byId('tabs').append(...Object.keys(MAKE).map((tab) =>
  h('a', { href: `#${tab}`, 'data-tab': tab }, shape(tab), h('span', {}, words.tabs[tab]), h('b', { class: 'badge' }))));
byId('again').append(button(words.again, () => poll(), { class: 'small' }));
for (const element of document.querySelectorAll('[data-word]')) element.textContent = words.shell[element.dataset.word];
for (const element of document.querySelectorAll('[data-aria]')) element.setAttribute('aria-label', words.shell[element.dataset.aria]);
addEventListener('hashchange', () => {
  if (page.state === 'ready') open();
});

Object.defineProperty(window, 'pttd', { get: () => Object.freeze({ ...page, logged: column?.newest ?? -1 }) });

start();
