// Every word the radio page says beside those it shares with the other pages, in one place so that another language is one
// more file like this.

import { clock, words as shared } from '/js/words.js';

export { clock };

/** -18 dBFS; nothing at all is written as such. */
export const level = (db) => (db <= -90 ? 'silent' : `${Math.round(db)} dBFS`);

/** What a part of the box says of itself, as a sentence. */
export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;

export const words = {
  title: 'Radios',
  role: shared.role,
  link: shared.link,
  signIn: shared.signIn,
  noRight: 'Only dispatchers and admins work here, and you are neither on this box. Ask whoever runs it, or talk from your own page.',
  talkPage: 'Go to the talk page',
  dispatchPage: 'Dispatch',
  adminPage: 'Admin',
  none: 'No radio is wired to this box, or none on a channel of yours.',
  noneForAdmin: 'No radio is wired to this box yet. “Connect a radio” finds one, or write it into pttd.toml.',
  stale: 'The box does not tell how the radios are. What is shown is old. Trying again …',

  kind: { radio: 'Radio', desk: 'Desk' },
  simulated: 'simulated',
  on: (channel) => `on ${channel}`,
  playedByTheBox: 'Played by the box',
  wires: (sound, ptt, carrier) => [`sound ${sound}`, ptt && `PTT ${ptt}`, carrier && `carrier ${carrier}`].filter(Boolean).join(' · '),

  state: {
    down: 'Not there',
    idle: 'Idle',
    receiving: 'Receiving',
    lead: 'Coming up',
    onAir: 'On air',
    draining: 'On air, last words',
    tail: 'Going down',
    lockedOut: 'Locked out',
    testTone: 'Test tone on air',
  },
  stateOf: {
    idle: 'Nobody talks',
    receiving: (name) => `${name} is heard`,
    talks: (name) => `${name} talks`,
    lockedOut: 'Until the talker lets go',
    testTone: '1 kHz at -10 dBFS',
    down: 'Looking for it every second',
  },

  lamp: { carrier: 'Carrier', squelch: 'Squelch', onAir: 'On air' },
  carrier: { up: 'up', down: 'down' },
  squelch: {
    closed: 'closed', debounce: 'closed', filtering: 'too short', open: 'open', deaf: 'deaf', stuck: 'stuck', heldOff: 'held off',
  },
  air: { off: 'off', lead: 'keyed', on: 'on air', stays: 'PTT stays!' },

  receive: 'Receive',
  transmit: 'Transmit',
  meterOf: (which, name) => `${which} level of ${name}`,
  speechMark: 'Speech belongs between -20 and -12 dBFS',
  hold: (db) => `peak ${db <= -90 ? '–' : Math.round(db)}`,

  tot: 'TOT left',
  noTot: '–',
  clips: 'Clips',
  clipsLong: (rx, tx) => `${rx} clipped samples received, ${tx} sent`,
  xruns: 'Xruns',
  xrunsLong: 'Times the sound card had too much or too little',
  buffer: 'Buffer',
  drift: 'Drift',
  ms: (n) => `${Math.round(n)} ms`,
  ppm: (n) => `${n > 0 ? '+' : ''}${Math.round(n)} ppm`,

  tone: 'Test tone',
  toneStop: 'Stop the tone',
  toneTitle: (name) => `Test tone on ${name}?`,
  toneWords: (name, channel) => `${name} transmits 1 kHz on the air for 5 s, to everyone on its frequency. It does so only while ${channel} is idle.`,
  toneGo: (name) => `Transmit on ${name}`,
  silence: 'Silence',
  silenceLabel: (name) => `Silence the receiver of ${name} for`,
  minutes: (n) => `${n} min`,
  lift: (ms) => `Hear it again (${clock(ms)})`,
  liftLabel: (name) => `Hear the receiver of ${name} again`,
  ask: { keep: 'Do not' },

  handheld: {
    title: (name) => `Handheld of ${name}`,
    why: 'This radio is played by the box. Try it here.',
    what: 'It says',
    speech: 'a sentence',
    tone: 'a tone',
    hold: 'Hold to key the handheld',
    keyed: 'Keyed: the receiver hears it',
    heard: 'Play what it heard last',
    playing: 'Stop',
    nothing: 'It has not heard anything yet.',
  },

  said: {
    toneSent: (name) => `${name} transmits the test tone.`,
    silenced: (name, minutes) => (minutes ? `The receiver of ${name} is silenced for ${minutes} min.` : `The receiver of ${name} is heard again.`),
    notConnected: 'The box is not connected. Try again when it is back.',
    refused: 'The box did not take that. Its log says why.',
    unreachable: 'The box does not answer. Try again.',
  },

  announce: {
    onAir: (name) => `${name} is on air`,
    offAir: (name) => `${name} is off the air`,
    receiving: (name) => `${name} receives`,
    problem: (name, sentence) => `${name}: ${sentence}`,
  },

  wizard: {
    open: 'Connect a radio',
    title: 'Connect a radio',
    close: 'Close',
    start: 'Start listening',
    again: 'Start again',
    intro: 'Wire the radio to a sound card of the box, set its volume to the middle, and take a second handheld on the same frequency. Then start.',
    looking: 'Looking for sound cards and lines …',
    step: {
      quiet: 'Do not press anything yet: the box listens to what silence sounds like.',
      press: 'Press the handheld’s PTT now and keep speaking, as you would on the air.',
      speaking: 'It is heard. Keep speaking …',
      letGo: 'Now let go of the PTT.',
    },
    sounds: 'Sound',
    lines: 'Lines',
    noLines: 'No free line: the carrier will be told from the sound (VOX).',
    up: 'high',
    down: 'low',
    level: 'Level',
    name: 'What people read when it talks',
    channel: 'Channel',
    choose: 'Choose …',
    ptt: 'PTT line',
    noPtt: 'None: it only receives, or keys itself by VOX',
    activeLow: 'Keyed when low',
    carrier: 'Carrier',
    show: 'Show the settings',
    text: 'This goes into the settings file:',
    write: 'Write and connect',
    written: (file) => `Written to ${file}. The radio comes up now.`,
    byHand: (file) => `Put the text at the end of ${file} yourself, then run: pttd radio reload`,
    noFile: 'Put the text into one and start pttd with --config.',
    levels: (rms, peak, noise) => `speech ${rms}, peaks ${peak}, noise ${noise}`,
    fill: 'Give it a name, a channel and its PTT line.',
  },
};

/** words.wizard.open by the name 'wizard.open', for the page's data-word attributes. */
export const wordAt = (path) => path.split('.').reduce((at, key) => at[key], words);
