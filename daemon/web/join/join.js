// The page a poster leads to: type a name, and be in, or wait until somebody lets you in.
//
// `window.pttd.state` says where it is: 'starting', 'code', 'name', 'known', 'waiting', 'joined' or 'refused'.

import { within } from '/js/reach.js';
import {
  credentialFor, erase, forgetInvitation, keepDevice, keepName, markOf, recall, remember, storedDevice, storedName,
} from '/js/sign-in.js';
import { words, wordAt } from './words.js';

const ANSWER_WITHIN_MS = 10000;
const AGAIN_MS = 2000;
const ARRIVAL = 'pttd.arrival';

const at = (id) => document.getElementById(id);
const main = document.querySelector('main');
const parts = { code: 'code', name: 'person', known: 'known', waiting: 'waiting', refused: 'retry' };

window.pttd = { state: 'starting' };

let secret = /[#&]p=([A-Za-z0-9-]{1,64})/.exec(location.hash)?.[1] ?? null;
let greeting = null;

function show(state) {
  window.pttd.state = state;
  main.dataset.state = state;
  for (const [when, id] of Object.entries(parts)) at(id).hidden = when !== state;
  // Beside the field it is about, above a phone's keyboard.
  const form = { code: at('code'), name: at('person') }[state];
  (form ?? main).insertBefore(at('wrong'), form ? form.querySelector('button') : at('retry'));
  if (state !== 'refused') complain('');
}

function complain(sentence) {
  at('wrong').textContent = sentence;
  at('name').toggleAttribute('aria-invalid', sentence !== '');
}

/** `{status, said}`; `{status: 0}` where the box did not answer. */
async function ask(path, body, headers = {}) {
  try {
    const response = await fetch(`/api/v1${path}`, {
      method: body ? 'POST' : 'GET',
      headers: body ? { 'Content-Type': 'application/json', ...headers } : headers,
      body: body && JSON.stringify(body),
      cache: 'no-store',
      signal: within(ANSWER_WITHIN_MS),
    });
    return { status: response.status, said: await response.json() };
  } catch {
    return { status: 0, said: {} };
  }
}

/** A while from now, or when someone looks at the page again. */
function again() {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', done);
      resolve();
    };
    const timer = setTimeout(done, AGAIN_MS);
    document.addEventListener('visibilitychange', done);
  });
}

/** Asks until the box answers. */
async function untilAnswered(path, body, headers) {
  for (;;) {
    const answer = await ask(path, body, headers);
    // 5xx: it cannot right now.
    if (answer.status !== 0 && answer.status < 500) return answer;
    complain(answer.said.message ?? words.unreachable);
    await again();
  }
}

async function greet() {
  show('starting');
  at('poster-name').textContent = words.starting;
  const { status, said } = await untilAnswered('/join/poster', { poster: secret });
  complain('');
  if (status !== 200) {
    at('poster-name').textContent = words.code.title;
    // A code that was read wrongly can be typed.
    show(said.error === 'unknown_poster' ? 'code' : 'refused');
    complain(said.message ?? words.notSent);
    return;
  }
  greeting = said;
  document.title = `${said.name}: ${said.box}`;
  at('box-name').textContent = said.box;
  at('poster-name').textContent = said.name;
  at('channels').hidden = false;
  at('channels').replaceChildren(...said.channels.map((name) => {
    const item = document.createElement('li');
    item.textContent = name;
    return item;
  }));
  at('hint').textContent = said.approval ? words.name.hintApproval : words.name.hint;
  ready();
  const arrival = storedArrival();
  if (arrival) return wait(arrival);
  if (await isKnown()) {
    at('known-words').textContent = words.known.words(storedName());
    show('known');
  } else askName();
}

/** The credential this device has lets it in. */
async function isKnown() {
  const device = storedDevice();
  if (!device) return false;
  const { status, said } = await untilAnswered('/me', null, { Authorization: `Bearer ${device}` });
  if (status === 200) keepName(said.name);
  return status === 200;
}

function askName() {
  show('name');
  at('name').focus();
}

function ready() {
  at('join').disabled = false;
  at('join').textContent = greeting.approval ? words.name.ask : words.name.join;
}

async function join(name, isSecondTry = false) {
  complain('');
  at('join').disabled = true;
  at('join').textContent = words.name.asking;
  const mark = await markOf(secret);
  const device = credentialFor(mark);
  const { status, said } = await ask('/join', { poster: secret, name, device });
  if (status === 200) return enter(device, mark, said.user.name);
  if (status === 202) return wait({ poster: secret, arrival: said.arrival, device, mark, name });
  ready();
  // The credential was somebody else's on this phone: a new one is as good.
  if (said.error === 'device_taken' && !isSecondTry) {
    forgetInvitation();
    return join(name, true);
  }
  complain(said.message ?? words.notSent);
  at('name').focus();
}

function enter(device, mark, name) {
  erase(ARRIVAL);
  if (!keepDevice(device, mark)) {
    show('refused');
    complain(words.keepsNothing);
    return;
  }
  keepName(name);
  show('joined');
  at('poster-name').textContent = words.joined;
  location.replace('/');
}

let waitsFor = null;

async function wait(waiting) {
  waitsFor = waiting;
  remember(ARRIVAL, JSON.stringify(waiting));
  const began = Date.now();
  show('waiting');
  at('waiting-name').textContent = words.waiting.name(waiting.name);
  while (waitsFor === waiting) {
    at('waiting-since').textContent = words.waiting.since(Math.floor((Date.now() - began) / 60000));
    const { status, said } = await ask(`/join/${waiting.arrival}`);
    if (waitsFor !== waiting) return;
    if (status === 200) return enter(waiting.device, waiting.mark, said.user.name);
    if (status === 403 || status === 404) {
      stopWaiting();
      complain(said.message);
      return;
    }
    complain(status === 202 ? '' : words.unreachable);
    await again();
  }
}

function stopWaiting() {
  at('name').value = waitsFor.name;
  waitsFor = null;
  erase(ARRIVAL);
  ready();
  askName();
}

/** Of this poster: who scans another one asks there. */
function storedArrival() {
  const stored = JSON.parse(recall(ARRIVAL));
  return stored?.poster === secret ? stored : null;
}

for (const element of document.querySelectorAll('[data-word]')) element.textContent = wordAt(element.dataset.word);
document.title = words.title;

at('code').addEventListener('submit', (event) => {
  event.preventDefault();
  secret = at('typed').value;
  greet();
});
at('person').addEventListener('submit', (event) => {
  event.preventDefault();
  if (!at('join').disabled) join(at('name').value);
});
at('another').addEventListener('click', askName);
at('rename').addEventListener('click', stopWaiting);
at('retry').addEventListener('click', () => greet());
// The same page, and another poster scanned.
addEventListener('hashchange', () => location.reload());

if (secret) greet();
else {
  at('poster-name').textContent = words.code.title;
  show('code');
  at('typed').focus();
}
