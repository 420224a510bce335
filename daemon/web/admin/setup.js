// The set-up page: the code from the box's console and a name make the first admin, whose device this then is.
//
// For tests: window.pttd, read-only: {state, lastError}; state: starting | asked | asking | in | over | unreachable

import { credentialFor, keepDevice, keepName } from '../js/sign-in.js';
import { within } from '../js/reach.js';
import { h } from './build.js';
import { words } from './words.js';

const ANSWER_WITHIN_MS = 15000;
const AGAIN_MS = 3000;
const say = words.setUp;
const byId = (id) => document.getElementById(id);
const page = { state: 'starting', lastError: '' };

function show(state, sentence, links = []) {
  page.state = state;
  byId('set-up').dataset.state = state;
  byId('set-up-words').textContent = sentence;
  byId('set-up-form').hidden = !['asked', 'asking'].includes(state);
  byId('set-up-links').replaceChildren(...links.map(([href, word]) => h('a', { class: 'button', href }, word)));
}

function wrong(sentence, field) {
  page.lastError = sentence;
  byId('set-up-error').textContent = sentence;
  byId('set-up-error').hidden = !sentence;
  for (const id of ['code', 'name']) {
    if (id === field) byId(id).setAttribute('aria-invalid', 'true');
    else byId(id).removeAttribute('aria-invalid');
  }
  if (field) byId(field).focus();
}

async function ask(body) {
  const response = await fetch('/api/v1/setup', {
    ...(body && { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    cache: 'no-store',
    signal: within(ANSWER_WITHIN_MS),
  });
  return { status: response.status, answer: await response.json() };
}

const over = () => show('over', say.over, [['/admin', say.admin], ['/', say.talk]]);

async function start() {
  try {
    const { answer } = await ask();
    if (!answer.needed) return over();
    show('asked', say.intro);
    byId('code').focus();
  } catch {
    show('unreachable', say.noBox);
    setTimeout(start, AGAIN_MS);
  }
}

/** What was typed as XXXXX-XXXXX, or null. */
function codeIn(text) {
  const plain = text.toUpperCase().replace(/[^A-Z0-9]/g, '');
  return plain.length === 10 ? `${plain.slice(0, 5)}-${plain.slice(5)}` : null;
}

// The dash comes by itself, where the text goes on and not while it is deleted.
byId('code').addEventListener('input', (event) => {
  const plain = byId('code').value.toUpperCase().replace(/[^A-Z0-9]/g, '').slice(0, 10);
  if (event.inputType?.startsWith('delete') || byId('code').selectionStart !== byId('code').value.length) return;
  byId('code').value = plain.length > 5 ? `${plain.slice(0, 5)}-${plain.slice(5)}` : plain;
});

byId('set-up-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const code = codeIn(byId('code').value);
  const name = byId('name').value.trim();
  if (!code) return wrong(say.notACode, 'code');
  if (!name) return wrong(say.noName, 'name');
  wrong('');
  show('asking', say.asking);
  byId('set-up-go').disabled = true;
  try {
    // Where the answer gets lost, the next try shows the same credential.
    const { status, answer } = await ask({ code, name, device: credentialFor('setup') });
    if (answer.device) {
      if (!keepDevice(answer.device)) {
        show('in', say.storage);
        return;
      }
      keepName(answer.user.name);
      show('in', say.asking);
      location.assign('/admin');
      return;
    }
    if (status === 409 && !(await ask()).answer.needed) return over();
    show('asked', say.intro);
    wrong(answer.message, [409, 422].includes(status) ? 'name' : 'code');
  } catch {
    show('asked', say.intro);
    wrong(say.noBox);
  } finally {
    byId('set-up-go').disabled = false;
  }
});

Object.defineProperty(window, 'pttd', { get: () => Object.freeze({ ...page }) });
for (const element of document.querySelectorAll('[data-word]')) element.textContent = say[element.dataset.word];
start();
