// Every word the dispatch page says beside those it shares with the talk page, in one place so that another language is
// one more file like this.

import { clock, timeOfDay, words as shared } from '/js/words.js';

export { clock, timeOfDay };

const plural = (n, one, many) => `${n} ${n === 1 ? one : many}`;
const list = new Intl.ListFormat('en', { type: 'conjunction' });
/** "Ops, Stage and Gate" */
export const joined = (names) => list.format(names);

/** 14:02:31, for the log: short, and the same for whoever takes over. */
export const timeToTheSecond = (ms) => new Date(ms).toLocaleTimeString([], { hourCycle: 'h23', hour: '2-digit', minute: '2-digit', second: '2-digit' });

export const words = {
  title: 'Dispatch',
  role: shared.role,
  presence: shared.presence,
  link: shared.link,
  signIn: shared.signIn,
  microphone: shared.microphone,
  youMark: shared.youMark,

  noRight: 'Only dispatchers work here, and you are not one on this box. Ask whoever runs it, or talk from your own page.',
  talkPage: 'Go to the talk page',

  top: {
    search: 'Search channels and people',
    hearAll: 'Hear all',
    muteAll: 'Mute all',
    muteRest: 'Mute the rest',
    settings: 'Settings',
    side: (n) => (n ? `Calls, ${n} open` : 'Calls'),
    position: (name) => `Position: ${name}`,
    noPosition: 'No position',
    none: 'You are on no channel yet. Ask whoever runs the box.',
    nothingFound: 'No channel and nobody is called that.',
    otherGroup: 'Other channels',
  },

  tile: {
    talk: 'Talk',
    talkOn: (name) => `Talk on ${name}`,
    select: (name) => `Select ${name}`,
    listen: (name) => `Hear ${name}`,
    volume: (name) => `Volume of ${name}`,
    people: (n, name) => `${plural(n, 'person', 'people')} on ${name}: open the channel`,
    recorded: 'REC',
    recordedLong: 'What is said here is recorded',
    idle: 'Idle',
    connecting: 'Connecting …',
    offline: 'Not connected',
    pressed: 'Asking …',
    onAir: 'On air',
    queued: (place) => (place === 1 ? 'You are next' : `${place - 1} before you`),
    denied: (reason, name) => (shared.denied[reason] ?? shared.denied.other)(name),
    revoked: (reason) => shared.revoked[reason] ?? shared.revoked.other,
    emergency: (name) => `Emergency: ${name}`,
    missed: (n) => `${n} missed`,
    replayMissed: (n, name) => `Replay ${n} missed on ${name}`,
    last: (name, at) => `${name} ${timeOfDay(at)}`,
    none: 'No talks yet',
    you: 'You',
    moved: (name, place) => `${name} is now number ${place}.`,
  },

  master: {
    idle: (n) => (n ? `Talk on ${n} selected` : 'Select channels to talk on'),
    onAir: (time) => `On air ${time}`,
    pressed: 'Asking …',
    key: (name) => `Hold ${name}`,
  },

  said: {
    ready: 'Ready.',
    onAir: (names) => `On air on ${joined(names)}.`,
    asking: (names) => `Asking for ${joined(names)} …`,
    queued: (name, place) => `${name}: ${place === 1 ? 'you are next' : `${place - 1} before you`}.`,
    refused: (name, reason, talker) => `${name} ${reasons[reason]?.(talker) ?? reasons.other()}.`,
    revoked: (name, reason) => `${name}: ${(shared.revoked[reason] ?? shared.revoked.other).toLowerCase()}.`,
    noneSelected: 'No channel is selected. Click a channel’s name, or hold Shift and press its number.',
    blocked: 'The browser keeps the sound off until you click or press a key.',
    removed: (name) => `You were taken off ${name}.`,
    notAuthorized: shared.notAuthorized,
    ended: (name) => `The transmission on ${name} was ended.`,
    silenced: (who, channel, minutes) => `${who} may not talk on ${channel} for ${plural(minutes, 'minute', 'minutes')}.`,
    mayTalk: (who, channel) => `${who} may talk on ${channel} again.`,
    noEmergency: 'There is no emergency.',
    output: 'That output cannot be used. The sound goes to the usual one.',
    echo: {
      good: 'You sound good.',
      too_quiet: 'You are too quiet.',
      too_loud: 'You are too loud.',
      nothing_heard: 'Nothing was heard of you.',
      bad_network: 'Parts of what you said were lost on the way.',
      unmeasured: 'You were heard.',
    },
  },

  position: {
    title: 'Which position do you take?',
    why: 'A position keeps its channels, volumes, mutes and notes on the box, and its open calls.',
    free: 'Free',
    holder: (name) => `${name} sits here`,
    take: 'Sit down',
    takeOver: (name) => `Take over from ${name}`,
    remove: 'Remove',
    removeSure: (name) => `Remove ${name} for good?`,
    freshLabel: 'Name of a new position',
    make: 'Make it and sit down',
    without: 'Work without a position',
    leave: 'Stand up',
    taken: (position, from) => (from ? `You took ${position} over from ${from}.` : `You sit at ${position}.`),
    lost: (position, by) => `${by} took ${position} over. What you change here is not kept any more.`,
    lostToNobody: (position) => `You do not hold ${position} any more.`,
    takeBack: 'Take it back',
    first: 'Main desk',
  },

  side: {
    title: 'Calls, notes and log',
    calls: 'Calls',
    noCalls: 'No calls',
    gone: 'offline now',
    take: 'Take',
    done: 'Done',
    takenBy: (name) => `Taken by ${name}`,
    takenByYou: 'Taken by you',
    goTo: (name) => `Go to ${name}`,
    arrivals: 'Wanting to come in',
    arrival: (poster, channels) => [poster, channels].filter(Boolean).join(' · '),
    admit: 'Let in',
    refuse: 'Refuse',
    notes: 'Notes',
    notesHint: 'Kept with the position',
    log: 'Log',
    close: 'Close',
  },

  radios: {
    title: 'Radios',
    page: 'The radios wired to this box',
    problem: 'Look at it',
  },

  emergency: {
    title: 'Emergency',
    of: (name, channel) => `${name} on ${channel}`,
    acknowledge: 'Acknowledge',
    seenBy: (names) => (names.length ? `Seen by ${joined(names)}` : 'Nobody has acknowledged it yet'),
    owed: 'The box is told as soon as it is back',
    go: 'Go to channel',
    clear: 'Clear',
    clearSure: (name) => `Clear ${name}’s emergency?`,
    more: (n) => (n ? `and ${n} more` : ''),
  },

  channel: {
    people: (n) => plural(n, 'person here', 'people here'),
    nobody: 'Nobody is here.',
    silence: 'Silence',
    silenceLabel: (name) => `Silence ${name} for`,
    minutes: (n) => `${n} min`,
    silencedFor: (ms) => `silenced ${clock(ms)}`,
    lift: 'Let talk again',
    end: (name) => `End ${name}’s transmission`,
    earlier: 'Move earlier',
    later: 'Move later',
    last: 'Last talks',
    replay: (name, at) => `Replay ${name}, ${timeOfDay(at)}`,
    close: 'Close',
    notRecorded: 'This channel is not recorded.',
  },

  replay: {
    playing: (name, channel, at) => `Replaying ${name} on ${channel}, ${timeOfDay(at)}.`,
    stop: 'Stop replay',
    nothing: 'There is nothing to replay.',
    noMissed: 'Nothing was missed.',
    notRecorded: (channel) => `${channel} is not recorded.`,
    gone: 'That recording is gone.',
    failed: 'The recording did not arrive. Try again.',
    unreadable: 'This browser cannot play the recording.',
  },

  recordings: {
    title: 'Recordings',
    search: 'Who or where',
    all: 'All channels',
    channel: 'Channel',
    onlyMissed: 'Only missed',
    none: 'Nothing was recorded that fits.',
    failed: 'The list did not arrive. Trying again at the next change.',
    unavailable: 'This box keeps no recordings.',
    more: 'Older ones',
    clear: 'Mark all as heard',
    close: 'Close',
    row: (name, channel, at, ms) => `Replay ${name} on ${channel}, ${timeOfDay(at)}, ${clock(ms)}`,
  },

  settings: {
    title: 'Settings',
    microphone: 'Microphone',
    usual: 'The system’s usual one',
    output: 'Sound',
    one: 'Everything on one output',
    sides: 'Selected left, the rest right',
    two: 'Selected and rest on two outputs',
    selectedOutput: 'Selected channels',
    restOutput: 'All others',
    twoHint: 'This browser cannot choose outputs.',
    talkKey: 'Talk key or pedal',
    change: 'Change',
    press: 'Press the key or pedal …',
    clash: 'That key has another use here. Take another one.',
    keys: 'Keys',
    keyList: [
      ['1 – 9', 'talk on that channel'],
      ['Shift 1 – 9', 'select it'],
      ['M', 'mute or hear this channel, or the selected ones'],
      ['R', 'replay the last transmission'],
      ['N', 'replay what was missed'],
      ['E', 'emergencies'],
      ['Arrows', 'from channel to channel'],
      ['Alt arrows', 'move a channel'],
      ['/', 'search'],
      ['Esc', 'stop the replay, close a panel'],
    ],
    signedIn: (name, role, box, version) => `${name}, ${role}. ${box}, pttd ${version}`,
    close: 'Close',
  },

  log: {
    talk: (name, channel, ms) => `${name} on ${channel}, ${clock(ms)}`,
    missed: (name, channel, ms) => `${name} on ${channel}, ${clock(ms)}, missed`,
    call: (name, channel) => `${name} asks for a call on ${channel}`,
    callTaken: (by, name) => `${by} takes ${name}’s call`,
    callDone: (name) => `${name}’s call is done`,
    emergency: (name, channel) => `EMERGENCY: ${name} on ${channel}`,
    acknowledged: (by, name) => `${by} acknowledged ${name}’s emergency`,
    cleared: (name, channel) => `Emergency of ${name} on ${channel} is over`,
    connected: (box) => `Connected to ${box}`,
    lost: 'Connection lost',
  },

  announce: {
    emergency: (name, channel) => `Emergency: ${name} on ${channel}`,
    call: (name, channel) => `${name} asks for a call on ${channel}`,
    onAir: (names) => `On air on ${joined(names)}`,
  },
};

const reasons = {
  busy: (talker) => `is busy: ${talker ? `${talker} is talking` : 'someone is talking'}`,
  queue_full: () => 'is busy, and its line is full',
  no_right: () => 'does not let you talk',
  release_first: () => 'needs you to let go first',
  not_connected: () => 'is not connected yet',
  silenced: () => 'does not let you talk: you are silenced',
  offline: () => 'is not connected',
  microphone: () => 'got nothing: there is no microphone',
  other: () => 'does not answer',
};

/** What a key is called on its cap, from KeyboardEvent.code. */
export const keyName = (code) =>
  ({ Space: 'Space', Backquote: '`', Enter: 'Enter' })[code] ?? code.replace(/^(Key|Digit)/, '').replace(/([a-z])([A-Z0-9])/g, '$1 $2');

/** words.side.calls by the name 'side.calls', for the page's data-word attributes. */
export const wordAt = (path) => path.split('.').reduce((at, key) => at[key], words);
