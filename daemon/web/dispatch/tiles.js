// The grid: a tile for each channel, all of one size, in the order the dispatcher gave them. A tile is made once;
// afterwards only its words and states change, so that nothing jumps.

import { holdable } from '/js/button.js';
import { attribute, byId, make, picture, shape, text } from './dom.js';
import { fit } from './fit.js';
import { clock, words } from './words.js';

const SHAPE = {
  idle: 'idle', missed: 'missed', hearing: 'hearing', onair: 'on-air', pressed: 'microphone', queued: 'wait', denied: 'denied',
  revoked: 'denied', emergency: 'emergency', offline: 'no-link', connecting: 'wait',
};
const ARROWS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };
const NUMBERED = 9;

export class Tiles {
  /** The tile the keyboard is on. */
  current = null;
  /** The ids of what can be seen without scrolling. */
  inSight = new Set();
  #tiles = new Map();
  #heads = new Map();
  #arranged = '';
  #dragged = null;

  /**
   * `view`: what is shown (dispatch.js). `press`: `begin(source)` and `end(reason, begun)`. `on`: select, listen, volume,
   * replayMissed, open, move(id, how), moveGroup(name, step), fold(name).
   */
  constructor({ place, desk, session, press, on }) {
    Object.assign(this, { place, desk, session, press, on });
    place.addEventListener('focusin', (event) => this.#walkTo(event.target.closest('.tile')?.dataset.channel));
    place.addEventListener('keydown', (event) => this.#key(event));
    new ResizeObserver(() => this.#fit()).observe(place);
  }

  draw(view) {
    this.#arrange();
    for (const [id, tile] of this.#tiles) this.#drawTile(tile, this.session.channels.get(id), view);
    this.#search(view.search);
  }

  /** What time alone changes. */
  drawClock(view) {
    for (const [id, tile] of this.#tiles) {
      const channel = this.session.channels.get(id);
      if (channel.talk || channel.mine.state !== 'idle') this.#drawLamp(tile, channel, view);
    }
  }

  drawLevel(id, level) {
    this.#tiles.get(id)?.level.style.setProperty('transform', `scaleX(${level.toFixed(2)})`);
  }

  /** Brings a tile into sight and puts the keyboard on it. */
  show(id, what = 'select') {
    const tile = this.#tiles.get(id);
    if (!tile) return;
    if (this.desk.folded.has(this.session.channels.get(id).group ?? '')) this.on.fold(this.session.channels.get(id).group ?? '');
    tile.element.scrollIntoView({ block: 'nearest' });
    tile[what].focus({ preventScroll: true });
    tile.element.classList.remove('shown');
    void tile.element.offsetWidth;
    tile.element.classList.add('shown');
  }

  /** Sees anew which tiles are in sight. */
  lookAround() {
    const seen = ({ element }) => {
      const { top, bottom, width } = element.getBoundingClientRect();
      return width > 0 && bottom > 0 && top < innerHeight;
    };
    this.inSight = new Set([...this.#tiles].filter(([, tile]) => seen(tile)).map(([id]) => id));
  }

  // Arranging -------------------------------------------------------------------------------------------------------

  #arrange() {
    const groups = this.desk.groups(this.session.channels);
    const key = JSON.stringify([groups.map((g) => [g.name, g.channels.map((c) => [c.id, c.name])]), [...this.desk.folded]]);
    if (key === this.#arranged) return;
    this.#arranged = key;
    const focused = document.activeElement;
    for (const [id, tile] of this.#tiles) {
      if (this.session.channels.has(id)) continue;
      tile.element.remove();
      this.#tiles.delete(id);
    }
    let number = 0;
    const children = groups.flatMap(({ name, channels }) => {
      const folded = this.desk.folded.has(name);
      const head = groups.length > 1 || name ? [this.#head(name, channels.length, folded)] : [];
      const tiles = channels.map((channel) => {
        const tile = this.#tiles.get(channel.id) ?? this.#make(channel);
        number += 1;
        this.#number(tile, channel, number);
        tile.element.hidden = folded;
        return tile.element;
      });
      return [...head, ...tiles];
    });
    this.place.replaceChildren(...children);
    if (focused && this.place.contains(focused)) focused.focus({ preventScroll: true });
    if (!this.#tiles.has(this.current)) this.#walkTo(this.desk.sorted(this.session.channels)[0]?.id);
    this.#fit();
  }

  #fit() {
    const groups = this.desk.groups(this.session.channels);
    const sizes = groups.map(({ name, channels }) => (this.desk.folded.has(name) ? 0 : channels.length));
    fit(this.place, sizes, groups.length > 1 || Boolean(groups[0]?.name));
  }

  #head(name, count, folded) {
    const shown = name || words.top.otherGroup;
    let head = this.#heads.get(name);
    if (!head) {
      const fold = make('button', { type: 'button' });
      fold.append(picture('fold'), make('span'), make('i'));
      fold.addEventListener('click', () => this.on.fold(name));
      fold.addEventListener('keydown', (event) => {
        if (!event.altKey || !ARROWS[event.key]) return;
        event.preventDefault();
        event.stopPropagation();
        this.on.moveGroup(name, ARROWS[event.key]);
      });
      head = make('h2', { className: 'group' }, fold);
      this.#heads.set(name, head);
    }
    const fold = head.firstChild;
    text(fold.children[1], shown);
    text(fold.children[2], String(count));
    attribute(fold, 'aria-expanded', !folded);
    return head;
  }

  #make(channel) {
    const { id } = channel;
    const button = (className, ...children) => make('button', { type: 'button', className }, ...children);
    const tile = {
      grip: make('span', { className: 'grip', draggable: true }),
      select: button('select', make('span')),
      rec: make('span', { className: 'rec', textContent: words.tile.recorded, title: words.tile.recordedLong }),
      people: button('people', picture('people'), make('span')),
      lamp: make('div', { className: 'lamp' }, picture('idle'), make('span', { className: 'who' }), make('span', { className: 'time' })),
      level: make('i', { className: 'level' }),
      last: make('span', { className: 'last' }),
      missed: button('missed', picture('play'), make('span')),
      talk: button('talk', picture('microphone'), make('span', { textContent: words.tile.talk })),
      listen: button('listen', picture('hearing')),
      volume: make('input', { type: 'range', className: 'volume', min: 0, max: 1, step: 0.05 }),
    };
    tile.lamp.append(tile.level);
    tile.element = make('div', { className: 'tile', role: 'group' },
      make('div', { className: 'head' }, tile.grip, tile.select, tile.people),
      tile.lamp,
      make('div', { className: 'past' }, tile.last, tile.missed, tile.rec),
      make('div', { className: 'keys' }, tile.talk, tile.listen, tile.volume));
    tile.element.dataset.channel = id;
    tile.controls = [tile.select, tile.people, tile.missed, tile.talk, tile.listen, tile.volume];
    for (const control of tile.controls) control.tabIndex = -1;
    this.#tiles.set(id, tile);

    tile.select.addEventListener('click', () => this.on.select(id));
    tile.people.addEventListener('click', () => this.on.open(id));
    tile.missed.addEventListener('click', () => this.on.replayMissed(id));
    tile.listen.addEventListener('click', () => this.on.listen(id));
    tile.volume.addEventListener('input', () => this.on.volume(id, tile.volume.valueAsNumber));
    holdable(tile.talk, {
      down: () => this.press.begin(`channel:${id}`),
      up: (reason, begun) => this.press.end(reason, begun),
      tap: () => this.press.toggle(`channel:${id}`),
    });
    this.#wireDrag(tile, id);
    return tile;
  }

  #number(tile, { name }, number) {
    text(tile.grip, number <= NUMBERED ? String(number) : '');
    text(tile.select.firstChild, name);
    attribute(tile.select, 'aria-label', words.tile.select(name));
    attribute(tile.select, 'aria-keyshortcuts', number <= NUMBERED ? `Shift+${number}` : null);
    attribute(tile.talk, 'aria-label', words.tile.talkOn(name));
    attribute(tile.talk, 'aria-keyshortcuts', number <= NUMBERED ? String(number) : null);
    attribute(tile.listen, 'aria-label', words.tile.listen(name));
    attribute(tile.volume, 'aria-label', words.tile.volume(name));
    attribute(tile.element, 'aria-label', name);
  }

  #wireDrag(tile, id) {
    const { element, grip } = tile;
    const half = (event) => {
      const { left, width } = element.getBoundingClientRect();
      return event.clientX < left + width / 2 ? 'before' : 'after';
    };
    grip.addEventListener('dragstart', (event) => {
      this.#dragged = id;
      event.dataTransfer.effectAllowed = 'move';
      event.dataTransfer.setData('text/plain', id);
      event.dataTransfer.setDragImage(element, 16, 16);
    });
    grip.addEventListener('dragend', () => { this.#dragged = null; });
    element.addEventListener('dragover', (event) => {
      const group = (each) => this.session.channels.get(each)?.group ?? '';
      if (!this.#dragged || this.#dragged === id || group(this.#dragged) !== group(id)) return;
      event.preventDefault();
      element.dataset.drop = half(event);
    });
    const out = () => { delete element.dataset.drop; };
    element.addEventListener('dragleave', out);
    element.addEventListener('drop', (event) => {
      event.preventDefault();
      out();
      if (this.#dragged) this.on.move(this.#dragged, { [half(event)]: id });
    });
  }

  // Drawing ---------------------------------------------------------------------------------------------------------

  #drawTile(tile, channel, view) {
    const { id, name } = channel;
    const muted = !this.desk.hears(id);
    const missed = view.missed(id).length;
    attribute(tile.element, 'data-selected', this.desk.selected.has(id) ? 'true' : null);
    attribute(tile.element, 'data-muted', muted ? 'true' : null);
    attribute(tile.select, 'aria-pressed', this.desk.selected.has(id));
    attribute(tile.listen, 'aria-pressed', !muted);
    shape(tile.listen.firstChild, muted ? 'no-sound' : 'hearing');
    tile.rec.hidden = !channel.recorded;
    const people = String(channel.members.size);
    text(tile.people.lastChild, people);
    attribute(tile.people, 'aria-label', words.tile.people(channel.members.size, name));
    const volume = String(this.desk.volume(id));
    if (tile.volume.value !== volume && document.activeElement !== tile.volume) tile.volume.value = volume;
    tile.talk.disabled = !channel.rights.talk;
    const own = channel.mine.state === 'onair';
    attribute(tile.talk, 'aria-pressed', own);
    const last = view.last(id);
    text(tile.last, last ? words.tile.last(last.own ? words.tile.you : last.name, last.began + last.lasted) : words.tile.none);
    attribute(tile.missed, 'data-none', missed ? null : 'true');
    text(tile.missed.lastChild, String(missed));
    attribute(tile.missed, 'aria-label', missed ? words.tile.replayMissed(missed, name) : null);
    tile.missed.disabled = !missed;
    this.#drawLamp(tile, channel, view);
  }

  #drawLamp(tile, channel, view) {
    const [state, sentence, since] = lamp(channel, view);
    attribute(tile.element, 'data-state', state);
    shape(tile.lamp.firstChild, SHAPE[state]);
    text(tile.lamp.children[1], sentence);
    text(tile.lamp.children[2], since === null ? '' : clock(performance.now() - since));
  }

  #search(search) {
    const wanted = search.trim().toLowerCase();
    let found = 0;
    for (const [id, tile] of this.#tiles) {
      const channel = this.session.channels.get(id);
      const fits = !wanted || [channel.name, channel.group ?? '', id, ...[...channel.members.values()].map((member) => member.name)]
        .some((each) => each.toLowerCase().includes(wanted));
      // A search looks into folded groups, too.
      tile.element.hidden = !fits || (!wanted && this.desk.folded.has(channel.group ?? ''));
      if (fits) found += 1;
    }
    for (const head of this.#heads.values()) head.hidden = Boolean(wanted);
    const nothing = this.session.channels.size ? words.top.nothingFound : words.top.none;
    byId('nothing').hidden = found > 0 || !this.session.me;
    text(byId('nothing'), nothing);
  }

  // Keyboard --------------------------------------------------------------------------------------------------------

  #walkTo(id) {
    if (!id || id === this.current) return;
    const tab = (which, value) => this.#tiles.get(which)?.controls.forEach((control) => { control.tabIndex = value; });
    tab(this.current, -1);
    this.current = id;
    tab(id, 0);
  }

  #key(event) {
    const step = ARROWS[event.key];
    const tile = event.target.closest('.tile');
    if (!step || !tile) return;
    const id = tile.dataset.channel;
    if (event.altKey) {
      event.preventDefault();
      return this.on.move(id, { step });
    }
    if (event.target.type === 'range' || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const what = this.#tiles.get(id).controls.indexOf(event.target);
    const next = this.#neighbour(tile, event.key);
    if (next) this.#tiles.get(next.dataset.channel).controls[what].focus();
  }

  #neighbour(tile, key) {
    const shown = [...this.place.querySelectorAll('.tile')].filter((each) => !each.hidden);
    const at = shown.indexOf(tile);
    if (key === 'ArrowLeft' || key === 'ArrowRight') return shown[at + ARROWS[key]];
    const { left, top } = tile.getBoundingClientRect();
    const rows = shown.filter((each) => (each.getBoundingClientRect().top - top) * ARROWS[key] > 1);
    const near = (each) => {
      const box = each.getBoundingClientRect();
      return Math.abs(box.top - top) * 100 + Math.abs(box.left - left);
    };
    return rows.sort((a, b) => near(a) - near(b))[0];
  }
}

/** `[state, sentence, since]`: what a channel's lamp shows. Our own press comes first, then who talks. */
export function lamp(channel, view) {
  const { mine, talk } = channel;
  const emergency = view.emergency(channel.id);
  switch (mine.state) {
    case 'onair': return ['onair', words.tile.onAir, mine.since];
    case 'pressed': return ['pressed', words.tile.pressed, null];
    case 'queued': return ['queued', words.tile.queued(mine.position), null];
    case 'denied': return ['denied', words.tile.denied(mine.reason, mine.name), null];
    case 'revoked': return ['revoked', words.tile.revoked(mine.reason), null];
  }
  if (!view.connected) return ['offline', words.tile.offline, null];
  if (talk) return [talk.level === 'emergency' || emergency ? 'emergency' : 'hearing', talk.talker.name, talk.since];
  if (emergency) return ['emergency', words.tile.emergency(emergency.raiser.name), null];
  if (view.transport(channel.id) !== 'connected') return ['connecting', words.tile.connecting, null];
  const missed = view.missed(channel.id).length;
  return missed ? ['missed', words.tile.missed(missed), null] : ['idle', words.tile.idle, null];
}

