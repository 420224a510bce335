// Fields that are changed where they stand. Each asks the box as soon as it is left, stays marked while the box has not
// answered, and says the box's sentence where it refuses.

import { button, choice, h, shape } from './build.js';
import { momentOf, localMoment } from './times.js';
import { words } from './words.js';

/** The element is marked as asked for until the promise is settled. */
export async function during(element, promise) {
  element.setAttribute('aria-busy', 'true');
  try {
    return await promise;
  } finally {
    element.removeAttribute('aria-busy');
  }
}

function common(field, label, kind = '') {
  return { 'data-field': field, 'aria-label': label, class: `field ${kind}`, title: label };
}

/** `save(value)` resolves to whether the box took it. */
export function textField({ field, label, value, save, type = 'text', kind, ...more }) {
  const input = h('input', { type, value, autocomplete: 'off', ...common(field, label, kind), ...more });
  input.addEventListener('change', async () => {
    const before = input.defaultValue;
    if (input.value === before) return;
    if (type === 'number' && input.value === '') {
      input.value = before;
      return;
    }
    // It is said, not half-typed any more: the row may be drawn as the box answers.
    input.defaultValue = input.value;
    if (!await during(input, save(type === 'number' ? Number(input.value) : input.value.trim()))) input.defaultValue = before;
  });
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') input.blur();
    if (event.key === 'Escape') {
      input.value = input.defaultValue;
      input.blur();
    }
  });
  return input;
}

export function choiceField({ field, label, value, options, save, kind, ...more }) {
  const select = choice(options, value, { ...common(field, label, kind), ...more });
  select.addEventListener('change', async () => {
    if (!await during(select, save(select.value))) select.value = value;
  });
  return select;
}

export function tickField({ field, label, value, save, ...more }) {
  const box = h('input', { type: 'checkbox', checked: value, ...common(field, label, 'tick'), ...more });
  box.addEventListener('change', async () => {
    if (!await during(box, save(box.checked))) box.checked = value;
  });
  return box;
}

const RIGHTS = ['none', 'listen', 'talk'];
const SIGNS = { none: 'none', listen: 'hearing', talk: 'microphone' };

/** A right in the space of a square: its sign is seen, the select over it is used. */
export function rightField({ field, label, value, save, disabled }) {
  const sign = h('span', { class: 'right', 'data-right': value, 'data-word': words.rights[value] });
  const select = choiceField({
    field, value, disabled, kind: 'over', label: `${label}: ${words.rights[value]}`,
    options: RIGHTS.map((right) => [right, words.rights[right]]),
    save,
  });
  sign.append(shape(SIGNS[value]), select);
  return sign;
}

/** A line of a list, with a right to choose in it. `save(right)` throws what the box refused with, which `error` then says. */
export function rightLine({ name, note, label, right, save, error, ...more }) {
  const select = choice(Object.entries(words.rights), right, { 'aria-label': label, ...more });
  select.addEventListener('change', async () => {
    error.hidden = true;
    try {
      await during(select, save(select.value));
      right = select.value;
    } catch (refused) {
      error.textContent = refused.message;
      error.hidden = false;
      select.value = right;
    }
  });
  return h('li', { class: 'line', 'data-name': name.toLowerCase() }, h('span', {}, name, note ? h('small', {}, note) : ''), select);
}

/** A moment in the future or none: a word until it is pressed. `value` and what is saved: UTC seconds, or null. */
export function momentField({ field, label, value, none, save }) {
  const cell = h('span', { class: 'moment' });
  const rest = () => {
    const open = button(value ? words.moment(value * 1000) : none, edit, { class: 'field word', 'data-field': field, 'aria-label': `${label}: ${value ? words.moment(value * 1000) : none}` });
    cell.replaceChildren(open);
    return open;
  };
  function edit() {
    const input = h('input', { type: 'datetime-local', value: value ? localMoment(value) : '', 'data-field': field, 'aria-label': label, class: 'field' });
    let done = false;
    const finish = async (save_) => {
      if (done) return;
      done = true;
      const chosen = momentOf(input.value);
      if (save_ && chosen !== value && (input.value === '' || chosen)) {
        input.defaultValue = input.value;
        if (await during(input, save(chosen))) return;
      }
      rest();
    };
    input.addEventListener('blur', () => finish(true));
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') input.blur();
      if (event.key === 'Escape') finish(false).then(() => cell.firstChild.focus());
    });
    const clear = button(shape('no'), () => {
      input.value = '';
      finish(true);
    }, { class: 'icon', 'aria-label': none, title: none });
    // Pressed before the field is left, which would save what stands in it.
    clear.addEventListener('pointerdown', (event) => event.preventDefault());
    cell.replaceChildren(input, value ? clear : '');
    input.focus();
    try {
      input.showPicker?.();
    } catch {
      // It opens by itself where the browser wants a press on the field.
    }
  }
  rest();
  return cell;
}
