// Health: what is wrong with the box, and its figures in words.

import { get } from './api.js';
import { h, shape } from './build.js';
import { words } from './words.js';

const say = words.health;

export function health(desk) {
  const verdict = h('div', { class: 'verdict', role: 'status' });
  const figures = h('dl', { class: 'figures' });
  const limits = h('dl', { class: 'figures' });
  const pair = ([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value));
  return {
    element: h('div', { class: 'section', tabindex: '0' }, verdict, figures, h('h2', {}, say.limits), limits),
    live: true,
    async load() {
      const box = await get('/box');
      desk.named(box.name);
      verdict.dataset.state = box.problems.length ? 'bad' : 'good';
      verdict.replaceChildren(shape(box.problems.length ? 'emergency' : 'good'), h('div', {},
        h('h2', {}, box.problems.length ? say.problems(box.problems.length) : say.well),
        h('ul', {}, box.problems.map((problem) => h('li', {}, problem)))));
      figures.replaceChildren(...[
        [say.name, box.name],
        [say.version, box.version],
        [say.uptime, box.uptimeSeconds === null ? say.unknown : words.stretch(box.uptimeSeconds)],
        [say.sessions, String(box.sessions)],
        [say.talks, String(box.talks)],
        [say.disk, box.diskFreeBytes === null ? say.unknown : words.bytes(box.diskFreeBytes)],
        [say.recordings, box.recordingsBytes === null ? say.unknown : words.bytes(box.recordingsBytes)],
      ].map(pair));
      limits.replaceChildren(...Object.entries(box.limits).map(([name, value]) => pair([say.limitOf[name] ?? name, String(value)])));
    },
  };
}
