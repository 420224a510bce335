// The talk page: puts the parts together.
//
//   press (button, key, headset) --> START --> box --> START_SUCCESS --> the microphone goes on the channel's transport
//   box --> session --> channels (floor.js) --> view
//
// For tests and for whoever looks from outside:
//   window.pttd               read-only: {connected, session, user, box, link, selected, microphone, soundBlocked, press,
//                             channels: {id: {name, joined, muted, talk, button, pc, sending, unheard,
//                             members}}}
//   channels[id].talk         null or {transmissionId, name, level, own}; own: this page is on air
//   channels[id].button       idle | pressed | onair | denied | queued | revoked; the selected one also
//                             hearing (someone talks) | offline | listen (no microphone or no right)
//   channels[id].sending      true while a live track is attached to the channel's sender: never without onair, but for the
//                             grace after a revoked one
//   channels[id].pc           null | new | connecting | connected | disconnected | failed | closed
//   #talk-button              data-state as `button`, data-level (normal ...), data-warning near the talk limit, data-holding
//   #emergency                hold two seconds; data-state idle | holding | on
//   #latch                    aria-pressed
//   #talker                   data-state idle | offline | hearing | own | emergency; #talker-name, #talker-role, #talker-time
//   #channel-list [data-channel]   a button each; data-state idle | unheard | hearing | onair | emergency; aria-current
//   #status                   data-state connecting | connected | restarting | off-network | unreachable | box-down |
//                             taken | signed-out
//   #notice                   data-kind none | wait | good | bad | emergency; #notice-words, #notice-action
//   #recent li, #member-list li    data-state, data-presence
//   #app                      data-view starting | sign-in | talk
//   #sound audio[data-channel]     what each channel plays, srcObject is its stream
// A synthetic pointerup, pointercancel or lostpointercapture needs the pointerId of its pointerdown.

import { HeadsetButton, wireEmergency, wireEnds, wireTalkButton } from './button.js';
import { keepScreenOn, watchAttention } from './device.js';
import { Microphone } from './microphone.js';
import { page } from './page.js';
import { reached, whereIsTheBox } from './reach.js';
import { Session } from './session.js';
import {
  forgetDevice, forgetInvitation, keepDevice, keepName, redeem, secretIn, storedDevice, storedName, takeInvitation, usedHere,
} from './sign-in.js';
import { Signaling } from './signaling.js';
import { Sound } from './sound.js';
import { Talking } from './talking.js';
import * as view from './view.js';
import { words } from './words.js';

const NOTICE_MS = 6000;
const DRAW_EVERY_MS = 50;
// A loss that is mended before anyone has read why needs no reason.
const REASON_AFTER_MS = 1000;
const AWAY_WORTH_A_WORD_MS = 3000;
// A restart that takes longer is a box that is down.
const RESTART_WITHIN_MS = 20000;

const byId = (id) => document.getElementById(id);

let device = storedDevice();
let passing = null;
let ticking = 0;
let drawing = 0;
let drawnAt = 0;
let lostSince = null;
let restartingUntil = 0;
let diagnosing = false;
let turnedAway = false;
let outdated = false;
let awayBefore = 0;

const announce = view.announce;
const signaling = new Signaling({ receive, lost });
const sound = new Sound(byId('sound'), draw);
const microphone = new Microphone({ changed: microphoneChanged, replaced: microphoneReplaced });
const headset = new HeadsetButton({ begin: (...how) => talking.press.begin(...how), end: (reason) => talking.press.end(reason) });
const talking = new Talking({ signaling, microphone, sound, headset, draw, say, announce });
const session = new Session({ signaling, talking, sound, headset, draw, say, announce });
const { press } = talking;

// Drawing ---------------------------------------------------------------------------------------------------------

function soundState() {
  if (sound.blocked) return { state: 'bad', words: words.sound.blocked };
  if (sound.interrupted(page.selected)) return { state: 'bad', words: words.sound.interrupted };
  const transport = page.connected ? page.transport : null;
  if (transport?.state === 'connected') return { state: 'good', words: words.sound.on };
  if (transport?.failing || transport?.state === 'disconnected') return { state: 'bad', words: words.sound.failed };
  return { state: 'wait', words: words.sound.connecting };
}

function notice() {
  if (page.link === 'taken') {
    return { kind: 'wait', sentence: page.linkWords, action: words.link.takeBack, run: connect };
  }
  if (!page.connected) return { kind: ['off-network', 'unreachable', 'box-down'].includes(page.link) ? 'bad' : 'wait', sentence: page.linkWords };
  const urgent = [...page.channels.values()].find((each) => each.id !== page.selected && each.talk?.level === 'emergency');
  if (urgent) {
    const sentence = words.emergency.elsewhere(urgent.talk.talker.name, urgent.name);
    return { kind: 'emergency', sentence, action: words.emergency.go, run: () => session.select(urgent.id) };
  }
  if (passing) return passing;
  if (sound.blocked) return { kind: 'wait', sentence: words.sound.blocked };
  if (microphone.refused || microphone.state === 'lost') return { kind: 'bad', sentence: words.microphone[microphone.state] };
  const heard = soundState();
  if (heard.state === 'bad') return { kind: 'bad', sentence: heard.words };
  return { kind: 'none', sentence: '' };
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
  return { ...page, microphone, sound: soundState(), press: press.active, keyboard, notice: notice() };
}

function drawClock() {
  if (document.visibilityState === 'visible') view.drawClock(look());
}

// The files of this page belong to the program that served them; a newer box may say what they do not know.
function reloadWhenIdle() {
  if (!outdated || press.active || page.channel?.talk) return;
  outdated = false;
  location.reload();
}

function draw() {
  reloadWhenIdle();
  clearTimeout(drawing);
  drawing = 0;
  drawnAt = performance.now();
  view.draw(look());
  const onAir = page.channel?.mine.state === 'onair';
  const talk = page.channel?.talk;
  if (onAir) sound.measure(microphone.track, view.drawLevel);
  else if (talk) sound.measure(sound.stream(page.selected), view.drawLevel);
  else sound.rest();
  // The clock runs only while there is a time to show.
  if ((onAir || talk) && !ticking) ticking = setInterval(drawClock, 250);
  if (!onAir && !talk && ticking) {
    clearInterval(ticking);
    ticking = 0;
  }
}

/** Says a sentence for a while. */
function say(sentence, kind = 'good') {
  clearTimeout(passing?.timer);
  const timer = setTimeout(() => {
    passing = null;
    draw();
  }, NOTICE_MS);
  passing = { kind, sentence, timer };
  draw();
}

// The box ---------------------------------------------------------------------------------------------------------

function link(state, sentence) {
  page.link = state;
  page.linkWords = sentence;
  draw();
}

function connect() {
  view.showView('talk');
  link('connecting', words.link.connecting);
  signaling.start(device);
}

function receive(message) {
  switch (message.type) {
    case 'WELCOME':
      return welcome(message);
    case 'CHANNELS':
      session.channels(message.channels);
      break;
    case 'BYE':
      return bye(message.reason);
    case 'ERROR':
      if (message.code === 'bad_credential') return signedOut(words.signIn.badCredential);
      if (message.code === 'too_many_tries') {
        turnedAway = true;
        break;
      }
      if (message.code === 'cannot_resume') return signaling.forgetSession();
      session.receive(message);
      break;
    default:
      session.receive(message);
  }
  if (message.type.startsWith('MEMBER')) drawSoon();
  else draw();
}

function welcome(message) {
  reached();
  lostSince = null;
  restartingUntil = 0;
  if (message.device) device = keep(message.device);
  keepName(message.user.name);
  if (page.version && page.version !== message.version) outdated = true;
  link('connected', words.link.connected(message.box));
  session.welcome(message);
  tellPresence(true);
  if (awayBefore && page.channel) say(words.away(awayBefore, page.channel.name));
  awayBefore = 0;
  draw();
}

function bye(reason) {
  if (reason === 'removed') return signedOut(words.signIn.removed);
  if (reason === 'shutdown') {
    restartingUntil = performance.now() + RESTART_WITHIN_MS;
    return link('restarting', words.link.restarting);
  }
  // Any other reason is followed by the connection's end, and that by the next attempt.
  if (reason !== 'resumed') return;
  signaling.stop();
  talking.linkLost();
  link('taken', words.link.taken);
}

async function lost() {
  lostSince ??= performance.now();
  if (page.connected || page.link === 'restarting') talking.linkLost();
  if (performance.now() < restartingUntil) return link('restarting', words.link.restarting);
  if (turnedAway) {
    turnedAway = false;
    return link('connecting', words.link.tooManyTries);
  }
  if (page.connected) link('connecting', words.link.lost);
  if (performance.now() - lostSince < REASON_AFTER_MS || diagnosing) return;
  diagnosing = true;
  const where = await whereIsTheBox();
  diagnosing = false;
  if (page.connected || page.link === 'signed-out' || page.link === 'taken') return;
  const state = { offline: 'off-network', elsewhere: 'off-network', silent: 'unreachable', down: 'box-down', here: 'connecting' }[where];
  link(state, words.link[where]);
}

let toldPresence = 'awake';
function tellPresence(anew = false) {
  if (anew) toldPresence = 'awake';
  const state = document.visibilityState === 'hidden' || microphone.away ? 'asleep' : 'awake';
  if (state === toldPresence) return;
  if (signaling.send({ type: 'PRESENCE', state }) !== null) toldPresence = state;
}

// The device ------------------------------------------------------------------------------------------------------

function microphoneChanged(state, before) {
  if (state === 'ready' && before === 'lost') say(words.microphone.back);
  if (state === 'ready') talking.microphoneChanged();
  if (state === 'lost' && page.channel?.mine.state === 'onair') press.end('microphone');
  tellPresence();
  draw();
}

function microphoneReplaced(_track, label) {
  talking.microphoneChanged();
  say(words.microphone.changed(label));
}

const emergencyKey = wireEmergency(byId('emergency'), press, () => page.latch, (held) => {
  page.emergencyHeld = held;
  draw();
});
wireTalkButton(byId('talk-button'), press, () => page.latch);
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
  if (button) session.select(button.dataset.channel);
});
onTap(byId('notice-action'), () => notice().run?.());

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
  hidden: () => tellPresence(),
  shown: (awayMs) => {
    tellPresence();
    microphone.wake();
    sound.wake();
    signaling.hurry();
    if (page.connected) session.wake();
    if (awayMs < AWAY_WORTH_A_WORD_MS || !page.channel) return;
    if (page.connected) say(words.away(awayMs, page.channel.name));
    else awayBefore = awayMs;
  },
  networkBack: () => signaling.hurry(),
});
addEventListener('offline', () => signaling.hurry());

// Signing in ------------------------------------------------------------------------------------------------------

function keep(credential, mark) {
  if (!keepDevice(credential, mark)) say(words.signIn.storage, 'bad');
  return credential;
}

/** Off the box and off the microphone. */
function leave() {
  byId('about').close();
  press.end('signed out');
  signaling.stop();
  session.end();
  microphone.release();
}

function signedOut(sentence) {
  leave();
  device = null;
  forgetInvitation();
  link('signed-out', sentence);
  askForInvitation(sentence);
}

function askForInvitation(sentence, mayStay = device !== null) {
  view.drawSignIn(sentence, mayStay ? words.signIn.stay(storedName()) : null);
  view.showView('sign-in');
}

async function enter(secret) {
  if (!secret || await usedHere(secret)) return device ? connect() : askForInvitation(words.signIn.none);
  // It may be for someone else than who is signed in here: nobody goes on unawares as the one before.
  leave();
  link('signed-out', words.signIn.signing);
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
byId('about').addEventListener('close', () => {
  delete signOut.dataset.sure;
  signOut.textContent = words.about.signOut;
});

// From outside ----------------------------------------------------------------------------------------------------

Object.defineProperty(window, 'pttd', { get: () => Object.freeze({
  connected: page.connected,
  session: page.me?.sessionId ?? null,
  user: page.me?.userId ?? null,
  box: page.box,
  link: page.link,
  selected: page.selected,
  microphone: microphone.state,
  soundBlocked: sound.blocked,
  press: press.active,
  channels: Object.fromEntries([...page.channels.values()].map((channel) => [channel.id, view.outline(channel, page, microphone)])),
}) });

view.prepare();
draw();
enter(takeInvitation());
