// The radio page: puts the parts together.
//
//   box --> live (ten lines a second) --> a strip each: meters, lamps, figures
//   test tone, handheld --> the box's API      silence --> signaling, as on the dispatch page
//
// What it shows to tests and to whoever looks from outside is written down in daemon/design/page.md.

import { wireEnds } from '/js/button.js';
import { Link } from '/js/link.js';
import { watchAttention } from '/js/device.js';
import { ask, Refused } from '/dispatch/box.js';
import { attribute, byId, text } from '/dispatch/dom.js';
import { Entry } from '/dispatch/entry.js';
import { lamps } from './lamps.js';
import { Live } from './live.js';
import { Strip } from './strip.js';
import { Wizard } from './wizard.js';
import { wordAt, words } from './words.js';

const SAID_MS = 6000;
const TONE_MS = 5000;
const still = matchMedia('(prefers-reduced-motion: reduce)');

let me = null;
let box = '';
let said = null;
let stale = '';
let lastError = '';
/** By id, in the order of the box. */
let radios = new Map();
const strips = new Map();
const before = new Map();

const entry = new Entry({ connect: (device) => link.connect(device), leave, say });
const link = new Link({ welcome, receive, cut, refused: (sentence) => entry.signedOut(sentence), changed: draw });
const live = new Live({ tell, broken });
const wizard = new Wizard({ api, channels: () => channels, done: say });
/** What this person may join: where a radio can be put. */
let channels = [];

// The radios --------------------------------------------------------------------------------------------------------

function tell(newest, all) {
  stale = '';
  radios = new Map(newest.map((radio) => [radio.id, radio]));
  for (const [id, strip] of strips) {
    if (radios.has(id) && strip.radio.name === radios.get(id).name) continue;
    strip.end();
    strip.element.remove();
    strips.delete(id);
  }
  const now = performance.now();
  for (const radio of newest) {
    let strip = strips.get(radio.id);
    if (!strip) {
      strip = new Strip(radio, { testTone, stopTone, silence, handheld, heard });
      strips.set(radio.id, strip);
      byId('strips').append(strip.element);
    }
    strip.draw(all.map((line) => line.find((each) => each.id === radio.id)).filter(Boolean), now, still.matches);
    announce(radio);
  }
  drawAround();
}

/** What a person who does not see the lamps has to know. */
function announce(radio) {
  const was = before.get(radio.id);
  const is = { air: lamps(radio).onAir[0] === 'on', receiving: radio.state === 'receiving', problem: radio.problem };
  before.set(radio.id, is);
  if (!was) return;
  const { name } = radio;
  if (is.problem && is.problem !== was.problem) text(byId('announce'), words.announce.problem(name, is.problem));
  else if (is.air !== was.air) text(byId('announce'), is.air ? words.announce.onAir(name) : words.announce.offAir(name));
  else if (is.receiving && !was.receiving) text(byId('announce'), words.announce.receiving(name));
}

function broken(sentence, status) {
  lastError = sentence;
  if (status === 403) return entry.turnAway();
  stale = sentence;
  drawAround();
}

function drawAround() {
  attribute(byId('strips'), 'data-stale', stale || !link.connected ? 'true' : null);
  byId('nothing').hidden = radios.size > 0 || !live.running;
  text(byId('nothing'), me?.role === 'admin' ? words.noneForAdmin : words.none);
  const told = !link.connected ? { kind: link.broken ? 'bad' : 'wait', sentence: link.sentence }
    : stale ? { kind: 'bad', sentence: stale } : said ?? { kind: 'none', sentence: '' };
  attribute(byId('said'), 'data-kind', told.kind);
  text(byId('said'), told.sentence);
}

function draw() {
  text(byId('box-name'), box);
  attribute(byId('link'), 'data-state', link.connected ? 'good' : link.broken ? 'bad' : 'wait');
  text(byId('link-words'), link.connected ? me?.name ?? '' : words.link.short[link.state] ?? link.state);
  document.title = [words.title, box].filter(Boolean).join(' · ');
  byId('connect').hidden = me?.role !== 'admin';
  byId('to-admin').hidden = me?.role !== 'admin';
  if (link.outdated && !wizard.open) location.reload();
  drawAround();
}

function say(sentence, kind = 'good') {
  clearTimeout(said?.timer);
  const timer = setTimeout(() => {
    said = null;
    drawAround();
  }, SAID_MS);
  said = { sentence, kind, timer };
  drawAround();
}

// What a person does ------------------------------------------------------------------------------------------------

/** The answer as JSON or a blob, null where there is none; a refusal is said and thrown. */
async function api(path, options = {}) {
  try {
    const answer = await ask(path, options);
    if (answer.status === 204) return null;
    const kind = answer.headers.get('Content-Type') ?? '';
    return await (kind.startsWith('application/json') ? answer.json() : answer.arrayBuffer());
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    lastError = error.message || (error.status ? words.said.refused : words.said.unreachable);
    throw new Refused(error.status, lastError);
  }
}

async function attempt(run) {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message, 'bad');
    return null;
  }
}

const at = (id) => `/radios/${encodeURIComponent(id)}`;

/** Goes on the air: asked once, by name. */
async function testTone(radio) {
  if (!await sure(words.toneTitle(radio.name), words.toneWords(radio.name, radio.channelName), words.toneGo(radio.name))) return;
  await attempt(async () => {
    await api(`${at(radio.id)}/test-tone`, { method: 'POST', body: { ms: TONE_MS } });
    say(words.said.toneSent(radio.name));
  });
}

function stopTone(radio) {
  attempt(() => api(`${at(radio.id)}/test-tone`, { method: 'DELETE' }));
}

function silence(radio, minutes) {
  const sent = link.signaling.send({ type: 'SILENCE', channelId: radio.channelId, userId: `radio:${radio.id}`, minutes });
  if (sent === null) say(words.said.notConnected, 'bad');
}

/** One after the other: letting go must not overtake the pressing. */
const order = new Map();
function handheld(id, body) {
  const press = (order.get(id) ?? Promise.resolve()).then(() =>
    attempt(() => api(`${at(id)}/handheld`, { method: 'POST', body, keepalive: true })));
  order.set(id, press);
}

async function heard(id) {
  try {
    return await api(`${at(id)}/handheld/heard`);
  } catch {
    return null;
  }
}

function sure(title, sentence, go) {
  const dialog = byId('ask');
  const yes = dialog.querySelector('[data-action="sure"]');
  const no = dialog.querySelector('[data-action="keep"]');
  text(byId('ask-title'), title);
  text(byId('ask-words'), sentence);
  text(yes, go);
  dialog.returnValue = '';
  dialog.showModal();
  no.focus();
  return new Promise((answer) => {
    yes.onclick = () => dialog.close('sure');
    no.onclick = () => dialog.close();
    dialog.onclose = () => answer(dialog.returnValue === 'sure');
  });
}

// The box -----------------------------------------------------------------------------------------------------------

function welcome(message) {
  entry.welcome(message);
  me = message.user;
  box = message.box;
  channels = message.channels;
  if (me.role === 'user') return entry.turnAway();
  live.start();
  draw();
}

function receive(message) {
  if (message.type === 'CHANNELS') channels = message.channels;
  if (message.type === 'ERROR') say(message.message, 'bad');
  if (message.type === 'NOT_AUTHORIZED') say(words.said.refused, 'bad');
  if (message.type === 'SILENCED' && message.userId?.startsWith('radio:')) {
    const name = radios.get(message.userId.slice('radio:'.length))?.name ?? message.userId;
    say(words.said.silenced(name, Math.ceil(message.leftMs / 60000)));
  }
}

function cut() {
  draw();
}

function leave(sentence) {
  live.stop();
  link.leave(sentence);
  wizard.end();
}

wireEnds(() => {
  for (const strip of strips.values()) strip.handheld?.release();
});
byId('connect').addEventListener('click', () => wizard.show());
watchAttention({
  // Nobody looks: nothing is asked for.
  hidden: () => live.stop(),
  shown: () => {
    link.signaling.hurry();
    if (me && me.role !== 'user' && !link.closed) live.start();
  },
  networkBack: () => link.signaling.hurry(),
});

Object.defineProperty(window, 'pttd', { get: () => Object.freeze({
  connected: link.connected,
  link: link.state,
  user: me?.userId ?? null,
  role: me?.role ?? null,
  box,
  live: live.running,
  lines: live.lines,
  stale: Boolean(stale),
  lastError,
  said: said?.sentence ?? '',
  wizard: wizard.view,
  radios: Object.fromEntries([...radios].map(([id, radio]) => [id, Object.freeze({
    ...radio,
    lamps: Object.fromEntries(Object.entries(lamps(radio)).map(([name, [state]]) => [name, state])),
    handheld: strips.get(id)?.handheld ? { keyed: strips.get(id).handheld.keyed, heard: strips.get(id).handheld.seconds, playing: strips.get(id).handheld.playing } : null,
  })])),
}) });
for (const element of document.querySelectorAll('[data-word]')) element.textContent = wordAt(element.dataset.word);
draw();
entry.start();
