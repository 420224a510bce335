// Draws the page's state. Text and attributes change, places never do: nothing jumps when someone talks.

import { at, attribute, make, picture, shape, text } from './dom.js';
import { drawMembers, drawRecent } from './lists.js';
import { clock, timeOfDay, wordAt, words } from './words.js';

const BUTTON_SHAPE = {
  idle: 'microphone',
  hearing: 'hearing',
  pressed: 'microphone',
  onair: 'on-air',
  denied: 'denied',
  queued: 'wait',
  revoked: 'denied',
  offline: 'no-link',
  listen: 'microphone-off',
  silenced: 'microphone-off',
};
const TALKER_SHAPE = { idle: 'idle', offline: 'no-link', hearing: 'hearing', own: 'on-air', emergency: 'emergency', echo: 'hearing', replay: 'play' };
const LAMP_SHAPE = { idle: 'idle', hearing: 'hearing', unheard: 'hearing', onair: 'on-air', emergency: 'emergency' };

/** Fills the words into the page's fixed places and wires what only the view needs. */
export function prepare() {
  for (const element of document.querySelectorAll('[data-word]')) element.textContent = wordAt(element.dataset.word);
  for (const element of document.querySelectorAll('[data-label]')) element.setAttribute('aria-label', wordAt(element.dataset.label));
  at('emergency').setAttribute('aria-label', words.emergency.label);
  at('latch').title = words.latch.label;
  at('rec').title = words.rec.label;
  const people = at('people');
  people.addEventListener('click', () => {
    const open = people.getAttribute('aria-expanded') !== 'true';
    people.setAttribute('aria-expanded', open);
    at('talk').dataset.people = open ? 'open' : 'closed';
  });
  at('status').addEventListener('click', () => at('about').showModal());
  at('about').addEventListener('click', (event) => {
    if (event.target === at('about')) at('about').close();
  });
}

/** 'starting', 'sign-in' or 'talk'. */
export const showView = (name) => attribute(at('app'), 'data-view', name);

/** `stay`: what the way back to the one who is signed in says; null without one. */
export function drawSignIn(sentence, stay) {
  text(at('sign-in-words'), sentence);
  at('stay').hidden = stay === null;
  text(at('stay'), stay ?? '');
}

/** Says something once to those who do not see the page. */
export const announce = (sentence) => text(at('announce'), sentence);

const echoPlays = (channel) => channel?.echoed?.until > performance.now();

/** What the button shows. The first word that is true counts: our own press, then what keeps us from pressing. */
export function buttonState(channel, page) {
  if (channel && channel.mine.state !== 'idle') return channel.mine.state;
  if (!page.link.connected) return 'offline';
  if (channel?.silencedFor(performance.now()) > 0) return 'silenced';
  if (!channel?.rights.talk || page.microphone.refused) return 'listen';
  return channel.talk ? 'hearing' : 'idle';
}

/** One channel as `window.pttd` shows it. */
export function outline(channel, page) {
  const own = channel.mine.state === 'onair';
  const talk = own ? { ...channel.mine, name: page.session.me.name } : channel.talk && { ...channel.talk, name: channel.talk.talker.name };
  const selected = channel.id === page.selected;
  return Object.freeze({
    name: channel.name,
    joined: channel.joined,
    muted: channel.muted,
    talk: talk && { transmissionId: talk.transmissionId, name: talk.name, level: talk.level, own },
    button: selected ? buttonState(channel, page) : channel.mine.state,
    pc: page.session.transports.get(channel.id)?.state ?? null,
    sending: page.session.transports.get(channel.id)?.sending ?? false,
    unheard: channel.unheard,
    members: [...channel.members.values()],
  });
}

export function draw(page) {
  const now = performance.now();
  const { channel } = page;
  text(at('box-name'), page.session.box || words.title);
  drawStatus(page);
  drawChannels(page);
  drawTalker(channel, page, now);
  drawButton(channel, page, now);
  drawCall(channel);
  drawRecent(channel, page.replay);
  drawMembers(channel);
  drawNotice(page);
  drawAlarm(page, now);
  drawTitle(channel, page);
}

/** What time alone changes. */
export function drawClock(page) {
  const now = performance.now();
  drawTalker(page.channel, page, now);
  drawButton(page.channel, page, now);
  drawAlarm(page, now);
}

function drawStatus(page) {
  const { link, microphone } = page;
  const off = microphone.refused || microphone.state === 'lost';
  attribute(at('status'), 'data-state', link.state);
  const marks = {
    link: [link.connected ? 'good' : link.broken ? 'bad' : 'wait', link.broken ? 'no-link' : 'link'],
    sound: [page.sound.state, page.sound.state === 'good' ? 'hearing' : 'no-sound'],
    microphone: [off ? 'bad' : microphone.ready ? 'good' : 'rest', off ? 'microphone-off' : 'microphone'],
  };
  for (const [name, [state, picture]] of Object.entries(marks)) {
    attribute(at(`mark-${name}`), 'data-state', state);
    shape(at(`mark-${name}`), picture);
    shape(at(`about-${name}-shape`), picture);
  }
  const sentences = [link.sentence, page.sound.words, words.microphone[microphone.state]];
  text(at('status-words'), words.about.open(...sentences));
  text(at('about-title'), page.session.box || words.title);
  text(at('about-link'), sentences[0]);
  text(at('about-sound'), sentences[1]);
  text(at('about-microphone'), sentences[2]);
  const me = page.session.me;
  text(at('about-person'), me ? `${words.about.person(me.name, words.role[me.role])} ${words.about.version(page.session.version)}` : '');
  at('to-dispatch').hidden = !me || me.role === 'user';
  at('to-admin').hidden = me?.role !== 'admin';
}

function lampState(channel) {
  if (channel.emergency) return 'emergency';
  if (channel.mine.state === 'onair') return 'onair';
  if (channel.talk) return 'hearing';
  return channel.unheard ? 'unheard' : 'idle';
}

function drawChannels(page) {
  const list = at('channel-list');
  const shown = new Map([...list.children].map((item) => [item.firstElementChild.dataset.channel, item]));
  for (const [id, item] of shown) if (!page.session.channels.has(id)) item.remove();
  for (const channel of page.session.channels.values()) {
    let item = shown.get(channel.id);
    if (!item) {
      const parts = ['name', 'activity', 'badge'].map((className) => make('span', { className }));
      const button = make('button', { type: 'button' }, picture('idle'), ...parts);
      button.dataset.channel = channel.id;
      item = make('li', {}, button);
      list.append(item);
    }
    const button = item.firstElementChild;
    const lamp = lampState(channel);
    attribute(button, 'data-state', lamp);
    const selected = channel.id === page.selected;
    if (selected && !button.hasAttribute('aria-current')) button.scrollIntoView({ block: 'nearest', inline: 'center' });
    attribute(button, 'aria-current', selected ? 'true' : null);
    shape(button, LAMP_SHAPE[lamp]);
    const [, name, activity, badge] = button.children;
    text(name, channel.name);
    const last = channel.recent[0];
    const who = channel.mine.state === 'onair' ? words.you : channel.talk?.talker.name;
    text(activity, who ?? (last ? `${last.name ?? words.you} ${timeOfDay(last.at)}` : ''));
    text(badge, channel.unheard ? String(channel.unheard) : '');
    attribute(badge, 'aria-label', channel.unheard ? words.unheard(channel.unheard) : null);
    attribute(badge, 'role', channel.unheard ? 'img' : null);
  }
}

function drawTalker(channel, page, now) {
  const card = at('talker');
  const own = channel?.mine.state === 'onair';
  const talk = own ? channel.mine : channel?.talk;
  const replay = talk ? null : page.replay.talk;
  const echo = !talk && echoPlays(channel);
  const rest = echo ? 'echo' : replay ? 'replay' : page.link.connected ? 'idle' : 'offline';
  const state = !talk ? rest : channel.emergency ? 'emergency' : own ? 'own' : 'hearing';
  attribute(card, 'data-state', state);
  shape(at('talker-shape'), TALKER_SHAPE[state]);
  const nobody = page.link.connected && !channel ? words.noChannels : page.link.connected ? words.nobody : words.link.short[page.link.state];
  const name = own ? words.you : talk ? talk.talker.name : echo ? words.echo.playing : replay ? replay.name ?? words.you : nobody;
  text(at('talker-name'), name);
  const about = talk ? [words.level[talk.level], words.role[(own ? page.session.me : talk.talker).role]] : [];
  const played = echo ? words.echo.playingHint : replay && words.replay.on;
  text(at('talker-role'), played || about.filter((word, i) => word && about.indexOf(word) === i).join(' · '));
  text(at('talker-time'), talk ? clock(now - talk.since) : replay ? `${clock(page.replay.at)} / ${clock(replay.lasted)}` : '');
  at('rec').hidden = !channel?.recorded;
}

function drawButton(channel, page, now) {
  const button = at('talk-button');
  const state = buttonState(channel, page);
  const mine = channel?.mine ?? {};
  const [word, hint] = buttonWords(state, channel, page, now);
  attribute(button, 'data-state', state);
  const level = (state === 'hearing' ? channel.talk.level : mine.level) ?? 'normal';
  attribute(button, 'data-level', level);
  attribute(button, 'data-holding', page.emergencyHeld ? 'true' : null);
  attribute(button, 'data-long', state === 'silenced' || (state === 'idle' && channel.echo) ? 'true' : null);
  attribute(button, 'data-warning', state === 'onair' && mine.warned ? 'true' : null);
  const urgent = page.emergencyHeld || (level === 'emergency' && ['onair', 'hearing'].includes(state));
  shape(at('button-shape'), urgent ? 'emergency' : BUTTON_SHAPE[state]);
  text(at('button-word'), word);
  text(at('button-hint'), hint);
  attribute(at('latch'), 'aria-pressed', page.latch);
  text(at('latch-word'), page.latch ? words.latch.on : words.latch.off);
  at('emergency').hidden = channel?.rights.level !== 'emergency' || !channel.rights.talk;
  attribute(at('emergency'), 'data-state', page.emergencyHeld ? 'holding' : mine.level === 'emergency' ? 'on' : 'idle');
}

function buttonWords(state, channel, page, now) {
  const { mine, talk } = channel ?? {};
  const b = words.button;
  const held = page.press?.held ?? true;
  if (page.emergencyHeld) return [words.emergency.holding, words.emergency.word];
  switch (state) {
    case 'idle':
      if (channel.echo) return [b.echo, b.echoHint];
      if (page.latch) return [b.idleLatch, page.keyboard ? b.idleLatchSpace : ''];
      return [b.idle, page.keyboard ? b.idleSpace : ''];
    case 'hearing':
      return [(talk.level === 'emergency' ? words.emergency.of : words.talks)(talk.talker.name), page.latch ? b.hearingHintLatch : b.hearingHint];
    case 'pressed':
      if (page.microphone.state === 'asking') return [b.pressedMicrophone, ''];
      return [channel.request === null ? b.pressedConnecting : b.pressed, ''];
    case 'onair': {
      const time = clock(now - mine.since);
      const left = Math.max(0, Math.ceil((mine.until - now) / 1000));
      const hint = mine.warned ? b.left(left) : held ? b.release : b.releaseLatch;
      if (mine.level === 'emergency') return [b.onAirEmergency(time), hint];
      return [channel.echo ? b.echoOnAir(time) : b.onAir(time), hint];
    }
    case 'queued':
      return [b.queued(mine.position), held ? b.queuedHint(mine.waiting) : b.queuedHintLatch];
    case 'denied':
      return [(words.denied[mine.reason] ?? words.denied.other)(mine.name), words.denied.hint[mine.reason] ?? words.denied.hint.other];
    case 'revoked':
      return [words.revoked[mine.reason] ?? words.revoked.other, page.press ? b.letGo : ''];
    case 'silenced':
      return [b.silenced(channel.silencedFor(now)), b.silencedHint];
    case 'listen':
      if (!channel) return [b.noChannel, b.noChannelHint];
      return [b.listen, channel.rights.talk ? b.listenMicrophone : b.listenRight];
    default:
      return [b.offline, page.link.closed ? b.closedHint : b.offlineHint];
  }
}

function drawCall(channel) {
  const call = channel?.call;
  const key = at('call');
  attribute(key, 'data-state', call?.state ?? 'idle');
  const word = call ? words.call[call.state](call.by) : words.call.idle;
  text(at('call-word'), word);
  attribute(key, 'aria-label', `${word}: ${!call ? words.call.label : call.state === 'taken' ? words.call.hasIt(call.by) : words.call.waits}`);
  key.hidden = !channel || channel.echo;
}

function drawAlarm({ alarm }, now) {
  const box = at('alarm');
  box.hidden = !alarm;
  attribute(at('talk'), 'data-alarm', alarm ? 'true' : null);
  if (!alarm) return;
  const { ours, raiser, more, channel, since, acknowledgedBy, action } = alarm;
  text(at('alarm-who'), (ours ? words.emergency.yours : words.emergency.of(raiser.name)) + words.emergency.more(more));
  text(at('alarm-detail'), [channel, clock(now - since), acknowledgedBy && words.emergency.seenBy(acknowledgedBy)].filter(Boolean).join(' · '));
  at('alarm-action').hidden = !action;
  text(at('alarm-action'), action ?? '');
}

function drawNotice(page) {
  const { kind, sentence, action } = page.notice;
  attribute(at('notice'), 'data-kind', kind);
  text(at('notice-words'), sentence);
  at('notice-action').hidden = !action;
  text(at('notice-action'), action ?? '');
}

function drawTitle(channel, page) {
  const what = channel?.mine.state === 'onair' ? words.announce.onAir : channel?.talk ? words.talks(channel.talk.talker.name) : null;
  const title = [what, channel?.name, page.session.box || words.title].filter(Boolean).join(' · ');
  if (document.title !== title) document.title = title;
}

/** 0 to 1. */
export function drawLevel(level) {
  at('meter').firstElementChild.style.transform = `scaleX(${level.toFixed(3)})`;
}
