// The dispatch page: puts the parts together.
//
//   press (tile, digit, pedal) --> talking --> START to each channel --> the microphone on each transport that was granted
//   box --> link --> session --> channels, talks (missed), calls, positions --> tiles and side
//   tracks --> hearing: volume, selected or rest, two outputs
//
// What it shows to tests and to whoever looks from outside is written down in daemon/design/dispatch.md.

import { holdable, wireEnds } from '/js/button.js';
import { keepScreenOn, watchAttention } from '/js/device.js';
import { Link } from '/js/link.js';
import { Microphone } from '/js/microphone.js';
import { Session } from '/js/session.js';
import { Talking } from '/js/talking.js';
import { Arrivals } from './arrivals.js';
import { Bars } from './bars.js';
import { Calls } from './calls.js';
import { ChannelPanel } from './channel-panel.js';
import { Desk } from './desk.js';
import { byId, text } from './dom.js';
import { Entry } from './entry.js';
import { Hearing } from './hearing.js';
import { wireKeys } from './keys.js';
import { Log } from './log.js';
import { showOutside } from './outside.js';
import { Positions } from './position.js';
import { PositionDialog } from './position-dialog.js';
import { Radios } from './radios.js';
import { Recordings } from './recordings.js';
import { Settings } from './settings.js';
import { Talks } from './talks.js';
import { Tiles } from './tiles.js';
import { wordAt, words } from './words.js';

const DRAW_EVERY_MS = 50;
const LIVE_EVERY_MS = 80;

let drawing = 0;
let live = 0;
let connectedAt = null;
let ducked = false;
/** Our own transmissions that run: `{transmissionId, since}` by channel id. */
const onAir = new Map();

const entry = new Entry({ connect: (device) => link.connect(device), leave, say });
const desk = new Desk();
const log = new Log(byId('log-list'));
const link = new Link({ welcome, receive, cut, refused: (sentence) => entry.signedOut(sentence), changed: drawSoon });
const hearing = new Hearing({ place: byId('sound'), changed: drawSoon, refused: () => say(words.said.output, 'bad') });
const microphone = new Microphone({ changed: microphoneChanged, replaced: microphoneReplaced });
const session = new Session({
  signaling: link.signaling, sound: hearing, draw: drawSoon, happened, told, listed,
  hears: (channel) => desk.hears(channel.id),
  urgent: (channel) => desk.hears(channel.id) || desk.selected.has(channel.id) || tiles.inSight.has(channel.id),
  misses,
});
const talking = new Talking({ session, microphone, sound: hearing, targets, aired, draw, say, announce });
const { press } = talking;
const positions = new Positions({ desk, session, ask: stoodUp, seated, gone: positionGone, changed: drawSoon });
const talks = new Talks({ desk, session, hearing, misses, over: talkOver, said: nothingToReplay, changed: talksChanged });
const calls = new Calls({ session, position: () => positions.mine, tone: (name) => hearing.tone(name), log: (...line) => log.add(...line), announce, go, changed: draw });
const arrivals = new Arrivals({ say });
const radios = new Radios();
const settings = new Settings({ desk, hearing, microphone, on: { outputs: changed, key: drawSoon } });
const chooser = new PositionDialog({ session, positions });
const holds = { begin, end: (reason, begun) => press.end(reason, begun), toggle };
const tiles = new Tiles({
  place: byId('grid'), desk, session, press: holds,
  on: {
    select, volume, move, fold,
    listen: (id) => hear([id], desk.muted.has(id)),
    open: (id) => openPanel('channel-panel', () => channelPanel.open(id)),
    replayMissed: (id) => talks.replayMissed(id),
    moveGroup: (name, step) => {
      desk.moveGroup(session.channels, name, step);
      changed();
    },
  },
});
const bars = new Bars({ link, session, desk, press, positions, talks, calls, hearing, microphone, settings, changed: drawSoon });
const channelPanel = new ChannelPanel({ session, talks, on: { move, replay: (...which) => talks.replay(...which) } });
const recordings = new Recordings({ desk, session, talks, replay: (...which) => talks.replay(...which) });

// Drawing ---------------------------------------------------------------------------------------------------------

function drawSoon() {
  drawing ||= setTimeout(draw, DRAW_EVERY_MS);
}

function look() {
  return {
    search: byId('search').value,
    connected: link.connected,
    missed: (id) => talks.missed(id),
    last: (id) => talks.last(id),
    emergency: (id) => calls.emergency(id),
    transport: (id) => session.transports.get(id)?.state ?? null,
  };
}

function draw() {
  clearTimeout(drawing);
  drawing = 0;
  reloadWhenIdle();
  balance();
  tiles.draw(look());
  calls.draw();
  chooser.draw();
  channelPanel.draw();
  bars.draw();
  animate();
}

// What the ear gets follows what is known: who talks, what is selected, how loud.
function balance() {
  let selectedTalks = talks.replaying?.startedAfterMs != null;
  for (const channel of session.channels.values()) {
    const selected = desk.selected.has(channel.id);
    hearing.select(channel.id, selected);
    selectedTalks ||= selected && channel.talk !== null && desk.hears(channel.id);
  }
  ducked = selectedTalks;
  hearing.duck(ducked);
}

// Times and levels move only while someone talks; a page at rest sets no timer.
function animate() {
  const moves = [...session.channels.values()].some((channel) => channel.talk || channel.mine.state === 'onair');
  if (moves && !live) live = setInterval(drawLive, LIVE_EVERY_MS);
  if (!moves && live) {
    clearInterval(live);
    live = 0;
    for (const id of session.channels.keys()) tiles.drawLevel(id, 0);
  }
}

const still = matchMedia('(prefers-reduced-motion: reduce)');
function drawLive() {
  if (document.visibilityState === 'hidden') return;
  tiles.drawClock(look());
  if (onAir.size) bars.drawFoot();
  if (still.matches) return;
  for (const channel of session.channels.values()) {
    // -60 dBFS draws nothing, -10 dBFS all of it.
    const heard = channel.talk ? (20 * Math.log10(hearing.level(channel.id) + 1e-6) + 60) / 50 : 0;
    tiles.drawLevel(channel.id, Math.min(1, Math.max(0, heard)));
  }
}

function say(...what) {
  bars.say(...what);
}

function announce(sentence) {
  text(byId('announce'), sentence);
}

// The files of this page belong to the program that served them; a newer box may say what they do not know.
function reloadWhenIdle() {
  if (!link.outdated || press.active || talks.replaying || [...session.channels.values()].some((channel) => channel.talk)) return;
  link.outdated = false;
  positions.flush();
  location.reload();
}

// The box ---------------------------------------------------------------------------------------------------------

function welcome(message) {
  entry.welcome(message);
  if (message.user.role === 'user') return entry.turnAway();
  log.add('link', words.log.connected(message.box));
  const resumed = session.welcome(message);
  if (!resumed) calls.forget();
  talking.linkBack(resumed, message.channels);
  session.list(message.channels);
  if (resumed) session.wake(true);
  calls.linkBack();
  positions.welcome(resumed);
  arrivals.start();
  radios.start();
  draw();
}

function receive(message) {
  session.receive(message);
  if (/^(START|STOP|REVOKED|QUEUED)/.test(message.type)) draw();
  else drawSoon();
}

function cut() {
  log.add('no-link', words.log.lost);
  talking.linkLost();
  talks.away();
  arrivals.stop();
  radios.stop();
}

function listed() {
  tiles.draw(look());
  tiles.lookAround();
  for (const channel of session.channels.values()) {
    talks.look(channel);
    hearing.volume(channel.id, desk.volume(channel.id));
  }
}

/** What the session says of a channel. */
function happened(channel, what, message) {
  if (what === 'joined') talks.recent(channel, message.recent);
  talks.look(channel);
  if (what === 'connected') allConnected();
  if (talking.happened(channel, what, message)) return;
  if (what !== 'removed' && what !== 'not_authorized') return;
  talks.gone(channel.id);
  say(what === 'removed' ? words.said.removed(channel.name) : words.said.notAuthorized(channel.name), 'bad');
}

function allConnected() {
  const states = [...session.channels.keys()].map((id) => session.transports.get(id)?.state);
  if (connectedAt === null && states.every((state) => state === 'connected')) connectedAt = performance.now();
}

/** What is not about one channel's floor and people. */
function told(message, channel) {
  if (positions.receive(message) || calls.receive(message)) return;
  switch (message.type) {
    case 'ERROR':
      return say(message.message, 'bad');
    case 'TALK_ENDED':
      return say(words.said.ended(channel?.name ?? message.channelId));
    case 'SILENCED': {
      const who = [...(channel?.members.values() ?? [])].find((member) => member.userId === message.userId)?.name ?? message.userId;
      const minutes = Math.ceil(message.leftMs / 60000);
      const sentence = minutes ? words.said.silenced(who, channel?.name ?? message.channelId, minutes) : words.said.mayTalk(who, channel?.name ?? message.channelId);
      log.add('denied', sentence);
      return say(sentence);
    }
    case 'ECHO':
      return say(words.said.echo[message.verdict] ?? words.said.echo.unmeasured, message.verdict === 'good' ? 'good' : 'wait');
  }
}

// Talking ---------------------------------------------------------------------------------------------------------

const selectedChannels = () => desk.sorted(session.channels).filter((channel) => desk.selected.has(channel.id));

/** `source` names what is talked on: `channel:ID`, or `selected` for all that are. */
function begin(source, held = true) {
  const channels = targets({ source });
  if (!channels.length) {
    say(words.said.noneSelected, 'wait');
    return null;
  }
  const dispatches = channels.every((channel) => channel.rights.level !== 'normal');
  return press.begin(source, dispatches ? 'dispatch' : 'normal', held);
}

function toggle(source) {
  if (!press.end('tap')) begin(source, false);
}

function targets({ source }) {
  if (source === 'selected') return selectedChannels();
  return [session.channels.get(source.slice('channel:'.length))].filter(Boolean);
}

function aired(channel, is) {
  if (is) onAir.set(channel.id, { transmissionId: channel.mine.transmissionId, since: channel.mine.since });
  const own = onAir.get(channel.id);
  if (!is && own) {
    onAir.delete(channel.id);
    talks.own(channel, own.transmissionId, own.since);
    log.add('on-air', words.log.talk(words.tile.you, channel.name, performance.now() - own.since));
    positions.saveSeen();
  }
  // Whoever talks does not hear the others.
  for (const each of session.channels.values()) talks.look(each);
}

function misses(channel) {
  const connected = session.transports.get(channel.id)?.state === 'connected';
  return !desk.hears(channel.id) || !connected || hearing.blocked || talking.onAir || desk.volume(channel.id) === 0;
}

function talkOver(channel, talk, missed) {
  const line = missed ? words.log.missed : words.log.talk;
  log.add(missed ? 'missed' : 'hearing', line(talk.name, channel.name, talk.lasted));
  positions.saveSeen();
}

function talksChanged() {
  positions.save();
  recordings.draw();
  drawSoon();
}

function nothingToReplay(why, channelId) {
  const name = session.channels.get(channelId)?.name;
  say(typeof words.replay[why] === 'function' ? words.replay[why](name) : words.replay[why], 'wait');
}

// The desk --------------------------------------------------------------------------------------------------------

/** Something was set: it sounds so, shows so and is kept so. */
function changed() {
  session.tune();
  for (const channel of session.channels.values()) talks.look(channel);
  positions.save();
  draw();
}

function toggleIn(set, id) {
  if (!set.delete(id)) set.add(id);
}

function select(id) {
  toggleIn(desk.selected, id);
  if (press.active?.source === 'selected') press.end('selection');
  changed();
}

function hear(ids, heard) {
  for (const id of ids) {
    if (heard) desk.muted.delete(id);
    else desk.muted.add(id);
  }
  changed();
}

function volume(id, value) {
  desk.volumes.set(id, value);
  hearing.volume(id, value);
  positions.save();
}

function move(id, how) {
  desk.move(session.channels, id, how);
  changed();
  tiles.show(id);
  const order = desk.sorted(session.channels).map((channel) => channel.id);
  announce(words.tile.moved(session.channels.get(id).name, order.indexOf(id) + 1));
}

function fold(name) {
  toggleIn(desk.folded, name);
  changed();
}

function seated(from, again) {
  for (const channel of session.channels.values()) hearing.volume(channel.id, desk.volume(channel.id));
  byId('notes').value = desk.notes;
  talks.sat();
  settings.look();
  session.tune();
  chooser.close();
  if (positions.mine && !again) say(words.position.taken(positions.mine, from?.name));
  draw();
}

/** Nobody sits here: nothing sounds until somebody does. */
function stoodUp() {
  press.end('position');
  session.tune();
  chooser.open();
}

function positionGone() {
  hearing.tone('deny');
  announce(bars.notice().sentence);
  draw();
}

function go(channelId) {
  if (!channelId) return;
  delete byId('app').dataset.side;
  byId('search').value = '';
  draw();
  tiles.show(channelId, 'talk');
}

// A clicked control gives the focus back, so that the talk key talks again; one reached by keyboard keeps it.
addEventListener('click', (event) => {
  if (event.detail > 0 && !settings.learning) event.target.closest?.('button')?.blur();
});

const focusedTile = () => document.activeElement?.closest?.('.tile')?.dataset.channel ?? null;

// Panels ----------------------------------------------------------------------------------------------------------

const panels = ['channel-panel', 'recordings', 'settings'];

/** Beside the grid, and never over it for long: talking goes on as before. */
function openPanel(id, opened) {
  for (const each of panels) if (each !== id) byId(each).close();
  if (!byId(id).open) byId(id).show();
  opened();
}

function escape() {
  if (talks.replaying) return talks.stop();
  const open = panels.find((id) => byId(id).open);
  if (open) return byId(open).close();
  delete byId('app').dataset.side;
  if (document.activeElement === byId('search')) byId('search').blur();
  byId('search').value = '';
  draw();
}

function click(id, run) {
  byId(id).addEventListener('click', run);
}
click('position', () => {
  press.end('dialog');
  chooser.open(true);
});
click('hear-all', () => hear([...session.channels.keys()], true));
click('mute-all', () => hear([...session.channels.keys()], false));
click('mute-rest', () => hear([...session.channels.keys()].filter((id) => !desk.selected.has(id)), false));
click('open-recordings', () => openPanel('recordings', () => recordings.open()));
click('open-settings', () => {
  // A key that is held might become another one there.
  press.end('settings');
  openPanel('settings', () => settings.open(words.settings.signedIn(session.me?.name, words.role[session.me?.role], session.box, session.version)));
});
click('open-side', () => { byId('app').dataset.side = 'open'; });
click('side-close', () => { delete byId('app').dataset.side; });
click('stop-replay', () => talks.stop());
for (const id of panels) byId(id).querySelector('.close').addEventListener('click', () => byId(id).close());
byId('search').addEventListener('input', drawSoon);
byId('notes').addEventListener('input', () => {
  desk.notes = byId('notes').value;
  positions.save();
});

holdable(byId('master'), {
  down: () => begin('selected'),
  up: (reason, begun) => press.end(reason, begun),
  tap: () => toggle('selected'),
});
wireEnds((reason) => press.end(reason));
wireKeys({
  press: holds,
  settings,
  at: (n) => desk.sorted(session.channels)[n - 1]?.id,
  on: {
    select, escape,
    mute: () => {
      const ids = focusedTile() ? [focusedTile()] : [...desk.selected];
      hear(ids, ids.every((id) => desk.muted.has(id)));
    },
    replay: () => talks.replayLast(focusedTile()),
    missed: () => talks.replayMissed(talks.missed(focusedTile()).length ? focusedTile() : null),
    emergencies: () => {
      const first = calls.urgent.length ? byId('banner-acknowledge') : byId('call-list').querySelector('[data-emergency] button');
      if (first) first.focus();
      else say(words.said.noEmergency);
    },
    search: () => byId('search').focus(),
  },
});

// The device ------------------------------------------------------------------------------------------------------

function microphoneChanged(state, before) {
  if (state === 'ready' && before === 'lost') say(words.microphone.back);
  if (state === 'ready') talking.microphoneChanged();
  if (state === 'lost' && talking.onAir) press.end('microphone');
  drawSoon();
}

function microphoneReplaced(_track, label) {
  talking.microphoneChanged();
  say(words.microphone.changed(label));
}

// A browser plays nothing before a click or a key.
for (const type of ['pointerdown', 'pointerup', 'keydown', 'click']) addEventListener(type, () => hearing.unlock());
keepScreenOn();
watchAttention({
  hidden: () => {
    positions.flush();
    radios.stop();
  },
  shown: () => {
    if (link.connected && session.me.role !== 'user') radios.start();
    microphone.wake();
    hearing.wake();
    link.signaling.hurry();
    if (link.connected) session.wake();
  },
  networkBack: () => link.signaling.hurry(),
});
addEventListener('offline', () => link.signaling.hurry());
addEventListener('pagehide', () => positions.flush());

// Signing in ------------------------------------------------------------------------------------------------------

/** Off the box and off the microphone. */
function leave(sentence) {
  press.end('signed out');
  arrivals.end();
  radios.end();
  positions.end();
  chooser.close();
  calls.end();
  talks.end();
  link.leave(sentence);
  session.end();
  microphone.release();
}

showOutside({
  link, session, desk, press, microphone, hearing, positions, talks, calls, radios, look,
  now: () => ({ connectedAt, ducked }),
});
for (const element of document.querySelectorAll('[data-word]')) element.textContent = wordAt(element.dataset.word);
for (const element of document.querySelectorAll('[data-label]')) element.setAttribute('aria-label', wordAt(element.dataset.label));
for (const element of document.querySelectorAll('[data-hint]')) element.placeholder = wordAt(element.dataset.hint);
draw();
entry.start();
