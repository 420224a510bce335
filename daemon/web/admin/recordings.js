// Recordings: what was said, by time, channel and talker; seen as a waveform, heard and taken away.

import { file, get, path, query } from './api.js';
import { button, choice, h, shape } from './build.js';
import { during } from './fields.js';
import { keys, Table } from './table.js';
import { clock, momentOf } from './times.js';
import { words } from './words.js';

const say = words.recordings;
const PAGE = 50;
const named = (word, row) => words.of(word, `${row.name}, ${words.moment(row.began)}`);
const NAMESPACE = 'http://www.w3.org/2000/svg';

/** Bars of 0 to 255 about a middle line; a second copy is coloured as far as it was played. */
function waveform(bars) {
  const svg = document.createElementNS(NAMESPACE, 'svg');
  svg.setAttribute('viewBox', `0 0 ${Math.max(bars.length, 1)} 32`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('class', 'waveform');
  svg.setAttribute('aria-hidden', 'true');
  const outline = document.createElementNS(NAMESPACE, 'path');
  outline.setAttribute('d', bars.map((bar, i) => {
    const half = Math.max(0.5, (bar / 255) * 15);
    return `M${i + 0.15} ${16 - half}h.7v${2 * half}h-.7z`;
  }).join(''));
  svg.append(outline);
  return svg;
}

/** One recording is heard at a time. */
class Player {
  #context = null;
  #source = null;
  #id = null;
  #frame = 0;

  /** Decoded whole, because the page's policy lets media come from nowhere but a file's own address, which takes no bearer. */
  async play(row, line) {
    const again = this.#id === row.transmissionId;
    this.stop();
    if (again) return;
    this.#id = row.transmissionId;
    this.#context ??= new AudioContext();
    let decoded;
    try {
      decoded = await this.#decoded(row);
    } catch (error) {
      // The next click tries again.
      if (this.#id === row.transmissionId) this.#id = null;
      throw error;
    }
    if (this.#id !== row.transmissionId) return;
    await this.#context.resume();
    const source = this.#context.createBufferSource();
    source.buffer = decoded;
    source.connect(this.#context.destination);
    source.addEventListener('ended', () => {
      if (this.#source === source) this.stop();
    });
    this.#source = source;
    const began = this.#context.currentTime;
    source.start();
    line(true, 0);
    const step = () => {
      line(true, Math.min(1, (this.#context.currentTime - began) / decoded.duration));
      this.#frame = requestAnimationFrame(step);
    };
    this.#ended = () => line(false, 0);
    step();
  }

  async #decoded(row) {
    const encoded = await (await file(path`/recordings/${row.transmissionId}/audio`)).arrayBuffer();
    try {
      return await this.#context.decodeAudioData(encoded);
    } catch {
      throw new Error(say.cannotPlay);
    }
  }

  #ended = () => {};

  stop() {
    cancelAnimationFrame(this.#frame);
    const source = this.#source;
    this.#source = this.#id = null;
    source?.stop();
    this.#ended();
    this.#ended = () => {};
  }

  get playing() {
    return this.#source ? this.#id : null;
  }
}

export function recordings(desk) {
  let shown = [];
  let next = null;
  const player = new Player();

  // Found anew each time: the row may have been drawn again while it plays.
  const follow = (id) => (playing, share) => {
    const line = table.row(id);
    const key = line?.querySelector('[data-action="play"]');
    if (!key) return;
    if (key.dataset.playing !== String(playing)) {
      key.dataset.playing = playing;
      key.replaceChildren(shape(playing ? 'stop' : 'play'), playing ? say.stop : say.play);
    }
    line.querySelector('.heard-of')?.style.setProperty('--heard', share);
  };

  async function download(row) {
    const blob = await file(path`/recordings/${row.transmissionId}/audio`);
    const url = URL.createObjectURL(blob);
    h('a', { href: url, download: words.fileName(row) }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  }

  const trying = async (row, field, element, run) => {
    table.clear(row.transmissionId);
    try {
      await during(element, run());
    } catch (refused) {
      desk.failed(refused);
      table.fail(row.transmissionId, field, refused.message);
    }
  };

  const table = new Table({
    name: 'recordings', caption: words.tabs.recordings, id: (row) => row.transmissionId, empty: say.none, sort: { key: 'began', down: true },
    columns: [
      {
        key: 'began', label: say.when, opens: true, downFirst: true, value: (row) => row.began,
        cell: (row) => h('time', { datetime: new Date(row.began).toISOString() }, words.moment(row.began, true)),
      },
      { key: 'channel', label: say.channel, brief: true, value: (row) => row.channelName, cell: (row) => row.channelName },
      {
        key: 'name', label: say.talker, brief: true, value: (row) => row.name,
        cell: (row) => h('span', { class: 'person' }, h('b', {}, row.name), row.level === 'normal' ? null : h('small', { 'data-level': row.level }, words.level[row.level] ?? row.level)),
      },
      {
        key: 'wave', label: say.sound, plain: true, kind: 'wave',
        cell: (row) => h('span', { class: 'heard-of' }, waveform(row.waveform), waveform(row.waveform)),
      },
      { key: 'durationMs', label: say.duration, kind: 'number', value: (row) => row.durationMs, downFirst: true, cell: (row) => clock(row.durationMs) },
      {
        key: 'reason', label: say.ended, value: (row) => say.reasons[row.reason] ?? row.reason,
        cell: (row) => [say.reasons[row.reason] ?? row.reason, row.droppedPackets || !row.complete ? h('small', { class: 'warn' }, say.incomplete(row.droppedPackets)) : ''],
      },
      keys((row) => [
        button([shape('play'), say.play], (event) => trying(row, 'play', event.currentTarget, () => player.play(row, follow(row.transmissionId))),
          { 'data-action': 'play', 'data-field': 'play', 'data-playing': 'false', class: 'small play', 'aria-label': named(say.play, row) }),
        button(say.download, (event) => trying(row, 'download', event.currentTarget, () => download(row)),
          { 'data-action': 'download', 'data-field': 'download', class: 'small', 'aria-label': named(say.download, row) }),
      ], 'keys brief'),
    ],
  });

  const channel = h('select', { 'aria-label': say.channel, 'data-field': 'channel' });
  const talker = h('select', { 'aria-label': say.talker, 'data-field': 'talker' });
  const after = h('input', { type: 'datetime-local', 'aria-label': say.after, 'data-field': 'after' });
  const before = h('input', { type: 'datetime-local', 'aria-label': say.before, 'data-field': 'before' });
  const q = h('input', { type: 'search', 'aria-label': say.search, 'data-field': 'search' });
  const older = button(say.older, () => during(older, fetchMore()), { 'data-action': 'older' });
  const error = h('p', { class: 'error', role: 'alert', hidden: true });

  const ms = (field) => (momentOf(field.value) ? momentOf(field.value) * 1000 : '');
  const asked = () => ({ channel: channel.value, user: talker.value, q: q.value.trim(), after: ms(after), limit: PAGE });

  async function ask(page) {
    error.hidden = true;
    try {
      return await get(`/recordings${query(page)}`);
    } catch (refused) {
      error.textContent = refused.message;
      error.hidden = false;
      desk.failed(refused);
      return null;
    }
  }

  async function anew() {
    const answer = await ask({ ...asked(), before: ms(before) });
    if (!answer) return;
    ({ recordings: shown, next } = answer);
    draw();
  }

  async function fetchMore() {
    const answer = await ask({ ...asked(), before: ms(before), beforeId: next });
    if (!answer) return;
    shown = [...shown, ...answer.recordings];
    ({ next } = answer);
    draw();
  }

  function draw() {
    table.show(shown);
    older.hidden = !next;
  }

  function offer(select, all, pairs) {
    const chosen = select.value;
    const options = [['', all], ...pairs.sort((a, b) => a[1].localeCompare(b[1]))];
    const signature = JSON.stringify(options);
    if (select.dataset.options === signature) return;
    select.dataset.options = signature;
    select.replaceChildren(...choice(options, chosen).children);
    select.value = options.some(([value]) => value === chosen) ? chosen : '';
  }

  let typed = 0;
  q.addEventListener('input', () => {
    clearTimeout(typed);
    typed = setTimeout(anew, 250);
  });
  for (const field of [channel, talker, after, before]) field.addEventListener('change', anew);

  const found = (label, control) => h('label', { class: 'filter' }, h('span', {}, label), control);
  return {
    element: h('div', { class: 'section' },
      h('div', { class: 'bar filters' }, found(say.search, q), found(say.channel, channel), found(say.talker, talker), found(say.after, after), found(say.before, before)),
      error, table.element, older),
    left: () => player.stop(),
    async load() {
      const [users, all] = await Promise.all([get('/users'), get('/channels')]);
      offer(channel, say.everyChannel, all.channels.map((each) => [each.id, each.name]));
      offer(talker, say.everyone, users.users.map((each) => [each.id, each.name]));
      // What plays or was fetched on demand stays where it is; the newest are there when the section is opened.
      if (!player.playing && shown.length <= PAGE) await anew();
    },
  };
}
