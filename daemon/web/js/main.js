// The talk page: puts the parts together.
//
//   press (button, key, headset) --> START --> box --> START_SUCCESS --> the microphone goes on the channel's transport
//   box --> session --> channels (floor.js) --> view
//
// What tests see of it (window.pttd, the data attributes) is listed in daemon/design/page.md.

import { HeadsetButton, wireEmergency, wireEnds, wireTalkButton } from './button.js';
import { Calls } from './calls.js';
import { keepScreenOn, vibrate, watchAttention } from './device.js';
import { Link } from './link.js';
import { Microphone } from './microphone.js';
import { Replay } from './replay.js';
import { Session } from './session.js';
import {
  forgetDevice, forgetInvitation, keepDevice, keepName, redeem, recall, remember, secretIn, storedDevice, storedName,
  takeInvitation, usedHere,
} from './sign-in.js';
import { Sound } from './sound.js';
import { Talking } from './talking.js';
import { Emergencies } from './urgent.js';
import * as view from './view.js';
import { words } from './words.js';

const SELECTED = 'pttd.selected';
const NOTICE_MS = 6000;
const DRAW_EVERY_MS = 50;
const AWAY_WORTH_A_WORD_MS = 3000;

const page = {
  /** The id of the channel that is heard and talked on. */
  selected: null,
  /** A tap talks until the next tap. */
  latch: false,
  /** The emergency key is down and its ring grows. */
  emergencyHeld: false,
};

const byId = (id) => document.getElementById(id);

let device = storedDevice();
let passing = null;
let ticking = 0;
let drawing = 0;
let drawnAt = 0;
let awayBefore = 0;
/** The id of the emergency that the next tap clears. */
let clearing = null;

const { announce } = view;
const link = new Link({ welcome, receive, cut: () => talking.linkLost(), refused: signedOut, changed: draw });
const sound = new Sound(byId('sound'), draw);
const microphone = new Microphone({ changed: microphoneChanged, replaced: microphoneReplaced });
const headset = new HeadsetButton({ begin: (...how) => talking.press.begin(...how), end: (reason) => talking.press.end(reason) });
const isSelected = (channel) => channel.id === page.selected;
const session = new Session({
  signaling: link.signaling, sound, draw, happened, told,
  hears: isSelected,
  misses: (channel) => channel.muted || document.visibilityState === 'hidden' || sound.blocked || talking.onAir,
  listed: chooseOne,
});
const talking = new Talking({
  session, microphone, sound, draw, say, announce,
  targets: () => {
    replay.stop();
    return [selected()].filter(Boolean);
  },
  aired: (channel, onAir) => headset.show(channel.name, session.box, onAir),
});
const { press } = talking;
const calls = new Calls({ signaling: link.signaling, say });
const emergencies = new Emergencies({ session, raised });
const replay = new Replay({ sound, device: () => device, changed: replayChanged, failed: (sentence) => say(sentence, 'bad') });
const selected = () => session.channels.get(page.selected) ?? null;

// Drawing

function soundState() {
  if (sound.blocked) return { state: 'bad', words: words.sound.blocked };
  if (sound.interrupted(page.selected)) return { state: 'bad', words: words.sound.interrupted };
  const transport = link.connected ? session.transports.get(page.selected) : null;
  if (transport?.state === 'connected') return { state: 'good', words: words.sound.on };
  if (transport?.failing || transport?.state === 'disconnected') return { state: 'bad', words: words.sound.failed };
  return { state: 'wait', words: words.sound.connecting };
}

function notice() {
  if (link.closed) return { kind: 'wait', sentence: link.sentence, action: words.link.back[link.state], run: connect };
  if (!link.connected) return { kind: link.broken ? 'bad' : 'wait', sentence: link.sentence };
  if (passing) return passing;
  const echoed = selected()?.echoed;
  if (echoed) {
    const sentence = words.echo[echoed.verdict](echoed.offByDb, echoed.lostPercent);
    return { kind: echoed.verdict === 'good' ? 'good' : 'bad', sentence };
  }
  if (sound.blocked) return { kind: 'wait', sentence: words.sound.blocked };
  if (microphone.refused || microphone.state === 'lost') return { kind: 'bad', sentence: words.microphone[microphone.state] };
  const heard = soundState();
  if (heard.state === 'bad') return { kind: 'bad', sentence: heard.words };
  return { kind: 'none', sentence: '' };
}

/** What the banner shows, and what its button does. */
function alarm() {
  const first = emergencies.shown(page.selected);
  return first && { ...first, ...alarmAction(first) };
}

function alarmAction(emergency) {
  if (emergency.ours) {
    const sure = clearing === emergency.id;
    return { action: sure ? words.emergency.clearSure : words.emergency.clear, run: () => clear(emergency, sure) };
  }
  if (emergency.channelId !== page.selected) return { action: words.emergency.go, run: () => select(emergency.channelId) };
  const { me } = session;
  if (me.role === 'user' || emergency.acknowledgedBy?.includes(me.name)) return {};
  return { action: words.emergency.seen, run: () => emergencies.acknowledge(emergency) };
}

// It asks once: what is cleared is gone for everyone.
function clear(emergency, sure) {
  clearing = sure ? null : emergency.id;
  if (sure) emergencies.clear(emergency);
  else setTimeout(() => {
    clearing = null;
    draw();
  }, NOTICE_MS);
  draw();
}

// People come by the hundred; everything else is drawn at once.
function drawSoon() {
  if (drawing) return;
  const wait = drawnAt + DRAW_EVERY_MS - performance.now();
  if (wait <= 0) draw();
  else drawing = setTimeout(draw, wait);
}

function look() {
  const keyboard = matchMedia('(hover: hover) and (pointer: fine)').matches;
  return { ...page, link, session, channel: selected(), microphone, sound: soundState(), press: press.active, keyboard, replay, notice: notice(), alarm: alarm() };
}

function drawClock() {
  if (document.visibilityState !== 'visible') return;
  view.drawClock(look());
  if (replay.talk) view.drawLevel(Math.min(1, replay.at / replay.talk.lasted));
}

// The files of this page belong to the program that served them; a newer box may say what they do not know.
function reloadWhenIdle() {
  if (!link.outdated || press.active || selected()?.talk) return;
  link.outdated = false;
  location.reload();
}

function draw() {
  reloadWhenIdle();
  clearTimeout(drawing);
  drawing = 0;
  drawnAt = performance.now();
  view.draw(look());
  const now = performance.now();
  const channel = selected();
  const onAir = channel?.mine.state === 'onair';
  const sounds = channel?.talk || channel?.echoed?.until > now;
  if (onAir) sound.measure(microphone.track, view.drawLevel);
  else if (sounds) sound.measure(sound.stream(page.selected), view.drawLevel);
  else sound.rest();
  // The clock runs only while there is a time to show.
  const runs = onAir || sounds || replay.talk || channel?.silencedFor(now) > 0 || emergencies.list.length > 0;
  if (runs && !ticking) ticking = setInterval(tick, 250);
  if (!runs && ticking) {
    clearInterval(ticking);
    ticking = 0;
  }
}

// What ends by itself is drawn as ended.
let ranOut = '';
function tick() {
  const now = performance.now();
  const channel = selected();
  const running = `${channel?.echoed?.until > now} ${channel?.silencedFor(now) > 0}`;
  if (running !== ranOut) draw();
  else drawClock();
  ranOut = running;
}

function replayChanged() {
  view.drawLevel(0);
  draw();
}

/** Says a sentence for a while, with something to do about it. */
function say(sentence, kind = 'good', action = null, run = null) {
  clearTimeout(passing?.timer);
  const timer = setTimeout(() => {
    passing = null;
    draw();
  }, NOTICE_MS);
  passing = { kind, sentence, action, run, timer };
  draw();
}

// The box

function connect() {
  view.showView('talk');
  link.connect(device);
}

function welcome(message) {
  if (message.device) device = keep(message.device);
  keepName(message.user.name);
  const resumed = session.welcome(message);
  talking.linkBack(resumed, message.channels);
  session.list(message.channels);
  if (resumed) session.wake(true);
  emergencies.linkBack(resumed);
  tellPresence(true);
  if (awayBefore && selected()) say(words.away(awayBefore, selected().name));
  awayBefore = 0;
  draw();
}

function receive(message) {
  session.receive(message);
  if (message.type.startsWith('MEMBER')) drawSoon();
  else draw();
}

/** What is not about one channel's floor and people. */
function told(message) {
  if (message.type === 'ERROR') say(message.message, 'bad');
  if (message.type === 'EMERGENCIES') emergencies.take(message.emergencies, performance.now());
}

/** A new emergency: nobody overhears it, and whoever raised it knows that it is out. */
function raised(emergency) {
  const channel = session.channels.get(emergency.channelId)?.name ?? '';
  if (emergencies.isOurs(emergency)) {
    vibrate(80);
    return say(words.emergency.raised);
  }
  sound.tone('alarm');
  vibrate(400, 150, 400, 150, 400);
  announce(words.announce.emergency(emergency.raiser.name, channel));
}

/** What the session says of a channel. */
function happened(channel, what, message) {
  if (talking.happened(channel, what, message)) return;
  switch (what) {
    case 'talk':
      return talkBegan(channel);
    case 'over':
      return isSelected(channel) && announce(words.announce.over);
    case 'call':
      return calls.changed(channel);
    case 'silenced': {
      const left = channel.silencedFor(performance.now());
      return left ? say(words.silenced.begun(message.by, Math.ceil(left / 60000)), 'bad') : say(words.silenced.over);
    }
    case 'echo':
      return announce(words.echo[message.verdict](message.offByDb, message.lostPercent));
    case 'removed':
    case 'not_authorized':
      if (isSelected(channel)) replay.stop();
      say(what === 'removed' ? words.removedFrom(channel.name) : words.notAuthorized(channel.name), 'bad');
      return chooseOne();
  }
}

function talkBegan(channel) {
  const { talker, level } = channel.talk;
  // Who is live comes first.
  if (!channel.muted && replay.stop()) say(words.replay.stopped(talker.name));
  if (level === 'emergency') {
    if (!emergencies.on(channel.id)) sound.tone('alarm');
    announce(words.announce.emergency(talker.name, channel.name));
  } else if (isSelected(channel)) {
    announce(words.announce.talks(talker.name, channel.name));
  }
}

/** One channel is heard and talked on: the one of before, or the first one to talk on where others hear it. */
function chooseOne() {
  if (selected()) return;
  const channels = [...session.channels.values()];
  const first = channels.find((each) => each.rights.talk && !each.echo) ?? channels[0];
  page.selected = (session.channels.get(recall(SELECTED)) ?? first)?.id ?? null;
  selected()?.seen();
}

function select(id) {
  if (id === page.selected || !session.channels.has(id)) return;
  press.end('switched');
  replay.stop();
  selected()?.seen(true);
  page.selected = id;
  remember(SELECTED, id);
  selected().seen();
  session.tune();
  headset.show(selected().name, session.box, false);
  draw();
}

let toldPresence = 'awake';
function tellPresence(anew = false) {
  if (anew) toldPresence = 'awake';
  const state = document.visibilityState === 'hidden' || microphone.away ? 'asleep' : 'awake';
  if (state === toldPresence) return;
  if (link.signaling.send({ type: 'PRESENCE', state }) !== null) toldPresence = state;
}

// The device

function microphoneChanged(state, before) {
  if (state === 'ready' && before === 'lost') say(words.microphone.back);
  if (state === 'ready') talking.microphoneChanged();
  if (state === 'lost' && talking.onAir) press.end('microphone');
  tellPresence();
  draw();
}

function microphoneReplaced(_track, label) {
  talking.microphoneChanged();
  say(words.microphone.changed(label));
}

const emergencyKey = wireEmergency(byId('emergency'), press, () => page.latch, {
  show: (held) => {
    page.emergencyHeld = held;
    draw();
  },
  raise: () => selected() && !emergencies.raise(selected().id) && say(words.emergency.owed, 'bad'),
});
// Whoever has an emergency open talks in it.
const level = () => (emergencies.own(page.selected) ? 'emergency' : 'normal');
wireTalkButton(byId('talk-button'), press, () => page.latch, level);
wireEnds((reason) => {
  emergencyKey.rest();
  press.end(reason);
});

// A tapped control gives the focus back, so that the space bar talks again; one reached by keyboard keeps it.
function onTap(element, run) {
  element.addEventListener('click', (event) => {
    run(event);
    if (event.detail > 0) byId('talk-button').focus({ preventScroll: true });
  });
}
onTap(byId('latch'), () => {
  page.latch = !page.latch;
  press.end('latch');
  draw();
});
onTap(byId('channel-list'), (event) => {
  const button = event.target.closest('[data-channel]');
  if (button) select(button.dataset.channel);
});
onTap(byId('notice-action'), () => {
  const { run } = notice();
  clearTimeout(passing?.timer);
  passing = null;
  run?.();
  draw();
});
onTap(byId('alarm-action'), () => alarm()?.run?.());
onTap(byId('call'), () => selected() && calls.ask(selected()));
onTap(byId('rec'), () => say(words.rec.about));
onTap(byId('recent'), (event) => {
  const id = Number(event.target.closest('[data-talk]')?.dataset.talk);
  const channel = selected();
  const talk = channel?.recent.find((each) => each.transmissionId === id);
  if (!talk) return;
  if (replay.talk?.transmissionId === id) return replay.stop();
  if (channel.talk) return say(words.replay.busy(channel.talk.talker.name), 'wait');
  press.end('replay');
  talk.unheard = false;
  replay.play(talk);
});

// A browser plays nothing before a tap or a key, and on a phone the tap counts only once the finger is lifted.
let unlocked = false;
function unlock() {
  sound.unlock();
  if (navigator.userActivation?.hasBeenActive === false || unlocked) return;
  unlocked = true;
  headset.unlock();
}
for (const type of ['pointerdown', 'pointerup', 'touchend', 'keydown', 'click']) addEventListener(type, unlock);

keepScreenOn();
watchAttention({
  hidden: () => {
    tellPresence();
    selected()?.seen(true);
  },
  shown: (awayMs) => {
    tellPresence();
    microphone.wake();
    sound.wake();
    link.signaling.hurry();
    if (link.connected) session.wake();
    const channel = selected();
    if (awayMs < AWAY_WORTH_A_WORD_MS || !channel) return;
    if (link.connected) say(words.away(awayMs, channel.name, channel.unheard));
    else awayBefore = awayMs;
    channel.seen();
  },
  networkBack: () => link.signaling.hurry(),
});
addEventListener('offline', () => link.signaling.hurry());

// Signing in

function keep(credential, mark) {
  if (!keepDevice(credential, mark)) say(words.signIn.storage, 'bad');
  return credential;
}

/** Off the box and off the microphone. */
function leave(sentence) {
  byId('about').close();
  press.end('signed out');
  link.leave(sentence);
  session.end();
  emergencies.end();
  replay.stop();
  page.selected = null;
  microphone.release();
  draw();
}

function signedOut(sentence) {
  device = null;
  leave(sentence);
  forgetInvitation();
  askForInvitation(sentence);
}

function askForInvitation(sentence, mayStay = device !== null) {
  view.drawSignIn(sentence, mayStay ? words.signIn.stay(storedName()) : null);
  view.showView('sign-in');
}

async function enter(secret) {
  if (!secret || await usedHere(secret)) return device ? connect() : askForInvitation(words.signIn.none);
  // It may be for someone else than who is signed in here: nobody goes on unawares as the one before.
  leave(words.signIn.signing);
  askForInvitation(words.signIn.signing, false);
  const answer = await redeem(secret);
  if (answer.device) {
    device = keep(answer.device, answer.mark);
    return connect();
  }
  byId('invitation').value = `${location.origin}/#i=${secret}`;
  askForInvitation(answer.refused ?? words.signIn.noBox);
}

byId('sign-in-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const secret = secretIn(byId('invitation').value);
  if (secret) enter(secret);
  else askForInvitation(words.signIn.notALink);
});
byId('stay').addEventListener('click', connect);
addEventListener('hashchange', async () => {
  const secret = takeInvitation();
  if (secret && !await usedHere(secret)) enter(secret);
});

// It takes a new invitation to come back, so it asks once.
const signOut = byId('sign-out');
signOut.addEventListener('click', () => {
  if (signOut.dataset.sure !== 'true') {
    signOut.dataset.sure = 'true';
    signOut.textContent = words.about.signOutSure;
    return;
  }
  forgetDevice();
  signedOut(words.signIn.signedOut);
});
byId('status').addEventListener('click', () => press.end('dialog'));
byId('about').addEventListener('close', () => {
  delete signOut.dataset.sure;
  signOut.textContent = words.about.signOut;
});

// From outside

Object.defineProperty(window, 'pttd', { get: () => Object.freeze({
  connected: link.connected,
  session: session.me?.sessionId ?? null,
  user: session.me?.userId ?? null,
  box: session.box,
  link: link.state,
  selected: page.selected,
  microphone: microphone.state,
  soundBlocked: sound.blocked,
  press: press.active,
  replay: replay.talk && { transmissionId: replay.talk.transmissionId, at: replay.at },
  channels: Object.fromEntries([...session.channels.values()].map((channel) => [channel.id, view.outline(channel, look())])),
}) });

view.prepare();
draw();
enter(takeInvitation());
