// What was recorded, by time and talker, with its waveform; searched by whom or where.

import { box } from './box.js';
import { attribute, byId, make, picture, relist, text, waveform } from './dom.js';
import { clock, timeOfDay, words } from './words.js';

const AT_A_TIME = 50;
const TYPED_MS = 250;

export class Recordings {
  #rows = [];
  #next = null;
  #asked = 0;
  #typing = 0;
  #message = '';

  /** `replay(transmissionId, channelId)` plays one. */
  constructor({ desk, session, talks, replay, changed }) {
    Object.assign(this, { desk, session, talks, replay, changed });
    this.panel = byId('recordings');
    byId('recordings-search').addEventListener('input', () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.load(), TYPED_MS);
    });
    byId('recordings-channel').addEventListener('change', () => this.load());
    byId('recordings-missed').addEventListener('change', () => this.draw());
    byId('recordings-more').addEventListener('click', () => this.load(true));
    byId('recordings-heard').addEventListener('click', () => talks.heardAll());
  }

  open() {
    const select = byId('recordings-channel');
    const chosen = select.value;
    const channels = this.desk.sorted(this.session.channels).filter((channel) => channel.recorded);
    select.replaceChildren(make('option', { value: '', textContent: words.recordings.all }),
      ...channels.map((channel) => make('option', { value: channel.id, textContent: channel.name })));
    select.value = channels.some((channel) => channel.id === chosen) ? chosen : '';
    this.load();
  }

  /** From the newest on, or what is older than what is shown. */
  async load(older = false) {
    const asked = ++this.#asked;
    const query = { q: byId('recordings-search').value.trim(), channel: byId('recordings-channel').value, limit: AT_A_TIME };
    if (older) query.beforeId = this.#next;
    try {
      const { recordings, next } = await box.recordings(query);
      if (asked !== this.#asked) return;
      this.#rows = older ? [...this.#rows, ...recordings] : recordings;
      this.#next = next;
      this.#message = '';
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#message = error.status === 404 ? words.recordings.unavailable : error.message || words.recordings.failed;
    }
    this.draw();
  }

  draw() {
    if (!this.panel.open) return;
    const onlyMissed = byId('recordings-missed').checked;
    const missed = (row) => this.talks.missed(row.channelId).includes(row.transmissionId);
    const rows = this.#rows.filter((row) => !onlyMissed || missed(row)).map((row) => ({
      ...row, missed: missed(row), playing: this.talks.replaying?.transmissionId === row.transmissionId,
    }));
    text(byId('recordings-none'), this.#message || (rows.length ? '' : words.recordings.none));
    byId('recordings-more').hidden = !this.#next;
    byId('recordings-heard').hidden = this.talks.missedInAll === 0;
    relist(byId('recording-list'), rows, (row) => {
      const play = make('button', { type: 'button', 'aria-label': words.recordings.row(row.name, row.channelName, row.began, row.durationMs) },
        picture(row.playing ? 'stop' : 'play'));
      play.dataset.key = `play-${row.transmissionId}`;
      play.addEventListener('click', () => (row.playing ? this.talks.stop() : this.replay(row.transmissionId, row.channelId)));
      const item = make('li', {}, play,
        make('strong', { textContent: row.name }), make('span', { className: 'where', textContent: row.channelName }),
        make('span', { className: 'time', textContent: `${timeOfDay(row.began)} · ${clock(row.durationMs)}` }), waveform(row.waveform ?? []));
      attribute(item, 'data-missed', row.missed ? 'true' : null);
      attribute(item, 'data-playing', row.playing ? 'true' : null);
      return item;
    });
  }
}
