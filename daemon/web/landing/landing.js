// The landing page: leads a device to trusting the box, and says so as soon as it does.

import { wordAt, words } from './words.js';

const AGAIN_MS = 2000;
const ANSWER_WITHIN_MS = 5000;
const SHAPES = {
  checking: 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1 5h2v5.6l3.7 2.2-1 1.7L11 13.7z',
  waiting: 'M12 1.8A6 6 0 0 0 6 7.8V10H5a2 2 0 0 0-2 2v8a2 2 0 0 0 2 2h14a2 2 0 0 0 2-2v-8a2 2 0 0 0-2-2H9V7.8a3 3 0 0 1 5.9-.8l2.9-.8A6 6 0 0 0 12 1.8z',
  good: 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm5.3 7.3-6.5 7a1 1 0 0 1-1.5 0l-3-3.2 1.5-1.4 2.2 2.4 5.8-6.2z',
};
SHAPES.noBox = SHAPES.checking;

const at = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

/** The platform this browser runs on, by the name it has in the words. */
function platform() {
  const agent = navigator.userAgent;
  if (/iPhone|iPad|iPod/.test(agent)) return 'ios';
  // An iPad says it is a Mac; no Mac has a touch screen.
  if (/Macintosh/.test(agent)) return navigator.maxTouchPoints > 1 ? 'ios' : 'macos';
  if (/Android/.test(agent)) return 'android';
  if (/Windows/.test(agent)) return 'windows';
  if (/CrOS/.test(agent)) return 'chromeos';
  return 'linux';
}

function steps(of) {
  const list = make('ol', {}, ...of.steps.map((step) => {
    if (typeof step === 'string') return make('li', { textContent: step });
    const link = make('a', { className: 'download', href: step.link.href, textContent: step.link.text });
    if (step.link.download) link.download = step.link.download;
    return make('li', {}, step.text, link);
  }));
  return [make('h3', { textContent: of.name }), list];
}

function show(state) {
  const [title, sentence] = words.secure[state];
  at('secure').dataset.state = state;
  at('secure-shape').setAttribute('d', SHAPES[state]);
  if (at('secure-title').textContent === title) return;
  at('secure-title').textContent = title;
  at('secure-words').textContent = sentence;
}

async function answers(origin) {
  // AbortSignal.timeout is younger than many a phone.
  const controller = new AbortController();
  setTimeout(() => controller.abort(), ANSWER_WITHIN_MS);
  try {
    await fetch(`${origin}/here`, { cache: 'no-store', signal: controller.signal });
    return true;
  } catch {
    return false;
  }
}

/** The first that this device reaches and trusts, in the order given. */
async function firstTrusted(origins) {
  const asked = origins.map((origin) => [origin, answers(origin)]);
  for (const [origin, answered] of asked) if (await answered) return origin;
  return null;
}

async function box() {
  for (;;) {
    try {
      return await (await fetch('/landing.json', { cache: 'no-store' })).json();
    } catch {
      show('noBox');
      await again();
    }
  }
}

/** A while from now, or when someone comes back from the settings. */
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

async function untilTrusted(origins) {
  for (;;) {
    const origin = await firstTrusted(origins);
    if (origin) return origin;
    show('waiting');
    await again();
  }
}

for (const element of document.querySelectorAll('[data-word]')) element.textContent = wordAt(element.dataset.word);
at('qr').alt = words.share.alt;
const here = platform();
at('this-platform').append(...steps(words.platforms[here]));
for (const [name, of] of Object.entries(words.platforms)) if (name !== here) at('platforms').append(...steps(of));
show('checking');

const { box: name, https, addresses, fingerprint } = await box();
at('box-name').textContent = name;
document.title = name;
// A box with a certificate of its own needs no trust.
for (const id of ['set-up', 'check']) at(id).hidden = !fingerprint;
at('fingerprint').append(...((fingerprint ?? '').match(/[^:]+:?/g) ?? []).map((pair) => make('span', { textContent: pair })));

// Cards name `https` first, and a device is signed in under one name only.
const origins = [...new Set([https, ...addresses])];
// The invitation, or a poster's secret, is in the fragment, so the fragment comes along.
const byPoster = location.pathname === '/join';
const onward = (origin) => `${origin}${byPoster ? '/join' : '/'}${location.hash}`;
const known = await firstTrusted(origins);
// Who scanned a poster and has nothing to set up wants to be in.
if (known && byPoster) location.replace(onward(known));
const origin = known ?? await untilTrusted(origins);
show('good');
for (const id of ['set-up', 'check']) at(id).hidden = true;
const open = at('open');
open.href = onward(origin);
open.textContent = byPoster ? words.secure.join : words.secure.open;
open.hidden = false;
