// What is asked before something goes, and what is asked to make something new: one dialog at a time, closed by Escape.

import { button, h } from './build.js';
import { during } from './fields.js';
import { words } from './words.js';

function open(name, title, ...content) {
  const dialog = h('dialog', { id: name, 'aria-labelledby': `${name}-title` }, h('h2', { id: `${name}-title` }, title), content);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks once. `run` is what then happens; its refusal is said here and the question stays. */
export function ask({ title, sentence, go, run }) {
  const error = h('p', { class: 'error', role: 'alert', hidden: true });
  const keep = button(words.ask.keep, () => dialog.close(), { 'data-action': 'keep', autofocus: true });
  const yes = button(go, async () => {
    yes.disabled = true;
    try {
      await during(yes, run());
      dialog.close();
    } catch (refused) {
      error.textContent = refused.message;
      error.hidden = false;
      yes.disabled = false;
    }
  }, { class: 'danger', 'data-action': 'sure' });
  const dialog = open('ask', title, h('p', {}, sentence), error, h('div', { class: 'answers' }, keep, yes));
  keep.focus();
}

/** The key of what goes: asks once, with its name. */
export const goes = (desk, { word, name, sentence, action, run }) => button(word, () => ask({
  title: words.sure(word, name), sentence, go: words.does(word, name), run: () => desk.act(run),
}), { 'data-action': action, 'aria-label': words.does(word, name), class: 'small danger' });

/** A form in a dialog. `run(dialog)` asks the box; its refusal is said and nothing typed is lost. */
export function form({ name, title, fields, go, run }) {
  const error = h('p', { class: 'error', role: 'alert', hidden: true });
  const yes = h('button', { type: 'submit', class: 'primary', 'data-action': 'make' }, go);
  const frame = h('form', { novalidate: true }, fields, error,
    h('div', { class: 'answers' }, button(words.ask.cancel, () => dialog.close()), yes));
  frame.addEventListener('submit', async (event) => {
    event.preventDefault();
    const wrong = frame.querySelector(':invalid');
    if (wrong) {
      say(words.ask.fill(wrong.dataset.name ?? ''));
      wrong.focus();
      return;
    }
    yes.disabled = true;
    error.hidden = true;
    try {
      await during(yes, run(frame));
      dialog.close();
    } catch (refused) {
      say(refused.message);
    } finally {
      yes.disabled = false;
    }
  });
  function say(sentence) {
    error.textContent = sentence;
    error.hidden = false;
  }
  const dialog = open(name, title, frame);
  frame.querySelector('input, select')?.focus();
  return dialog;
}

/** A dialog that only shows. */
export function show({ name, title, content, buttons = [] }) {
  const dialog = open(name, title, content,
    h('div', { class: 'answers' }, buttons, button(words.ask.close, () => dialog.close(), { 'data-action': 'close' })));
  return dialog;
}
