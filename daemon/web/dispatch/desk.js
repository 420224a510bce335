// What this desk is set to, and how a position keeps it: the order of the tiles, what is selected, muted and folded,
// volumes, notes, outputs, and what was not heard yet.

// A new position with more channels than this begins with all of them muted.
const HEARS_ALL_UP_TO = 10;
// The box keeps 32 KiB of it.
const MISSED_KEPT = 10;
const NOTES_KEPT = 2000;
// Gate 2 comes before Gate 10.
const inWords = new Intl.Collator(undefined, { numeric: true });
const EVERYWHERE = Object.freeze({ mode: 'one', selected: null, rest: null });

export class Desk {
  /** Somebody has sat down, with a position or without: until then nothing sounds. */
  seated = false;
  order = [];
  selected = new Set();
  muted = new Set();
  folded = new Set();
  /** By channel id, 0 to 1; 1 where nothing was set. */
  volumes = new Map();
  notes = '';
  /** How the sound goes out: `mode` one, sides or two; `{id, label}` of the two outputs. */
  outputs = EVERYWHERE;
  /** The newest transmission that this position has been there for. */
  seen = 0;
  /** By channel id: the transmissions that were not heard, oldest first. */
  missed = new Map();

  /** A position that was never sat at. */
  reset(channelIds) {
    this.order = [];
    this.selected = new Set();
    this.muted = new Set(channelIds.length > HEARS_ALL_UP_TO ? channelIds : []);
    this.folded = new Set();
    this.volumes = new Map();
    this.notes = '';
    this.outputs = EVERYWHERE;
    this.seen = 0;
    this.missed = new Map();
  }

  /** False where it is nothing this page has written. */
  unpack(layout) {
    let kept;
    try {
      kept = JSON.parse(layout);
    } catch {
      return false;
    }
    if (!kept || typeof kept !== 'object') return false;
    const ids = (value) => (Array.isArray(value) ? value.filter((id) => typeof id === 'string') : []);
    this.order = ids(kept.order);
    this.selected = new Set(ids(kept.selected));
    this.muted = new Set(ids(kept.muted));
    this.folded = new Set(ids(kept.folded));
    this.volumes = new Map(Object.entries(kept.volumes ?? {}).filter(([, v]) => v >= 0 && v <= 1));
    this.notes = String(kept.notes ?? '');
    this.outputs = { ...EVERYWHERE, ...kept.outputs };
    this.seen = Number(kept.seen) || 0;
    this.missed = new Map(Object.entries(kept.missed ?? {}).map(([id, missed]) => [id, missed.filter(Number.isSafeInteger)]));
    return true;
  }

  pack() {
    const missed = [...this.missed].filter(([, ids]) => ids.length).map(([id, ids]) => [id, ids.slice(-MISSED_KEPT)]);
    return JSON.stringify({
      order: this.order,
      selected: [...this.selected],
      muted: [...this.muted],
      folded: [...this.folded],
      volumes: Object.fromEntries(this.volumes),
      notes: this.notes.slice(0, NOTES_KEPT),
      outputs: this.outputs,
      seen: this.seen,
      missed: Object.fromEntries(missed),
    });
  }

  hears(id) {
    return this.seated && !this.muted.has(id);
  }

  volume(id) {
    return this.volumes.get(id) ?? 1;
  }

  /**
   * The channels as they are shown: `[{name, channels}]`; a group stands where its first channel does. Those nobody has
   * moved come last, by name.
   */
  groups(channels) {
    const place = new Map(this.order.map((id, at) => [id, at]));
    const all = [...channels.values()];
    const rank = (channel) => place.get(channel.id) ?? this.order.length;
    all.sort((a, b) => rank(a) - rank(b) || inWords.compare(a.group ?? '', b.group ?? '') || inWords.compare(a.name, b.name));
    const groups = new Map();
    for (const channel of all) {
      const name = channel.group ?? '';
      if (!groups.has(name)) groups.set(name, { name, channels: [] });
      groups.get(name).channels.push(channel);
    }
    return [...groups.values()];
  }

  /** All channels in the order of the page. */
  sorted(channels) {
    return this.groups(channels).flatMap((group) => group.channels);
  }

  /** Puts a channel before or after another one of its group, by `step` places, or before the channel `before`. */
  move(channels, id, { step = 0, before = null, after = null }) {
    const group = this.groups(channels).find((each) => each.channels.some((channel) => channel.id === id));
    const ids = group.channels.map((channel) => channel.id);
    const from = ids.indexOf(id);
    ids.splice(from, 1);
    const target = before ?? after;
    const to = target ? ids.indexOf(target) + (after ? 1 : 0) : Math.min(ids.length, Math.max(0, from + step));
    if (target && !ids.includes(target)) return;
    ids.splice(to, 0, id);
    const groups = this.groups(channels).map((each) => (each.name === group.name ? ids : each.channels.map((channel) => channel.id)));
    this.order = groups.flat();
  }

  /** Puts a group with all its channels one place up or down. */
  moveGroup(channels, name, step) {
    const groups = this.groups(channels);
    const from = groups.findIndex((group) => group.name === name);
    const [group] = groups.splice(from, 1);
    groups.splice(Math.max(0, from + step), 0, group);
    this.order = groups.flatMap((each) => each.channels.map((channel) => channel.id));
  }
}
