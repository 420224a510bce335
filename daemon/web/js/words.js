// Every word the talk page says, in one place so that another language is one more file like this.

const ordinal = (n) => {
  const tail = n % 100 > 10 && n % 100 < 14 ? 0 : n % 10;
  return n + (['th', 'st', 'nd', 'rd'][tail] ?? 'th');
};
const plural = (n, one, many) => `${n} ${n === 1 ? one : many}`;

/** 0:12 */
export const clock = (ms) => {
  const s = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
};
/** The time of day, as this device's owner writes it. */
export const timeOfDay = (ms) => new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

const stretch = (ms) => {
  const s = Math.round(ms / 1000);
  if (s < 90) return plural(s, 'second', 'seconds');
  const m = Math.round(s / 60);
  return m < 90 ? plural(m, 'minute', 'minutes') : plural(Math.round(m / 60), 'hour', 'hours');
};

export const words = {
  title: 'Push to talk',
  channels: 'Channels',
  talker: 'Who is talking',
  recent: 'Last talks',
  members: 'People on this channel',
  keys: 'Your keys',
  you: 'You',
  youMark: '(you)',

  role: { user: '', dispatch: 'Dispatch', admin: 'Admin' },
  level: { normal: '', dispatch: 'Dispatch call', imminent: 'Imminent danger', emergency: 'Emergency' },
  presence: { awake: '', asleep: 'Asleep', lost: 'Reconnecting' },

  signIn: {
    title: 'You need an invitation',
    label: 'Invitation link',
    go: 'Sign in',
    none: 'Scan the code on your card with the camera, or paste the link you were sent.',
    signing: 'Signing in …',
    stay: (name) => (name ? `Stay signed in as ${name}` : 'Stay signed in as before'),
    notALink: 'That is not an invitation link. It ends with #i= and 22 letters and digits.',
    noBox: 'The box does not answer. Check that this device is on its Wi-Fi, then try again.',
    storage: 'This browser keeps nothing (a private window?), so the box will not know you after a reload.',
    removed: 'You are no longer on the list of this box. Ask whoever runs it for a new invitation.',
    badCredential: 'The box does not know this device any more. Ask for a new invitation.',
    signedOut: 'This device is signed out. A new invitation lets it in again.',
  },

  link: {
    connecting: 'Connecting to the box …',
    connected: (box) => `Connected to ${box}.`,
    lost: 'The connection was lost. Connecting again …',
    restarting: 'The box is restarting. This page comes back by itself.',
    offline: 'This device is on no network. Join the Wi-Fi of the box; this page then comes back by itself.',
    elsewhere: 'This device is not on the Wi-Fi of the box. Join it; this page then comes back by itself.',
    silent: 'The box cannot be reached: is it on, and is this the right Wi-Fi? Trying again …',
    down: 'The box is down: this network works, but nothing answers there. Tell whoever runs it. Trying again …',
    here: 'The box answers but does not take calls yet. Trying again …',
    tooManyTries: 'Too many wrong tries came from this network. The box waits a minute. Trying again …',
    taken: 'This device talks from another window now.',
    kicked: 'Whoever runs the box has ended your connection.',
    back: { taken: 'Use this one', kicked: 'Come back' },
    short: {
      connecting: 'Connecting …',
      connected: 'Connected',
      restarting: 'Restarting',
      'off-network': 'Not on this Wi-Fi',
      'box-down': 'Box down',
      unreachable: 'Box not reached',
      taken: 'Open elsewhere',
      kicked: 'Put off the box',
      'signed-out': 'Signed out',
    },
  },

  sound: {
    on: 'Sound is on.',
    blocked: 'The browser keeps the sound off until you tap. Tap anywhere to hear.',
    interrupted: 'Something else on this device has stopped the sound. Tap anywhere to hear again.',
    connecting: 'The sound of this channel is still connecting …',
    failed: 'The sound of this channel does not get through. Trying again … If it stays so, move closer to the Wi-Fi.',
  },

  microphone: {
    unasked: 'The microphone is asked for at your first press.',
    asking: 'Allow the microphone when the browser asks.',
    ready: 'The microphone is ready. It is heard only while you are on air.',
    readyNow: 'The microphone is ready. Hold the button to talk.',
    refused: 'The microphone is blocked. Tap the lock beside the address and allow it, then press again. Until then you can listen.',
    missing: 'No microphone was found. Plug one in, then press again. Until then you can listen.',
    taken: 'Another app uses the microphone. Close it, then press again. Until then you can listen.',
    insecure: 'The browser gives the microphone only to secure pages. Open this page by its https address. Until then you can listen.',
    failed: 'The microphone did not start. Press again. Until then you can listen.',
    lost: 'The microphone was taken away. Press to take it back; until then you can listen.',
    back: 'The microphone is back. Hold the button to talk.',
    changed: (label) => (label ? `Now using ${label}.` : 'Now using the new microphone.'),
  },

  nobody: 'Nobody is talking',
  noChannels: 'You are on no channel yet. Ask whoever runs the box.',
  talks: (name) => `${name} is talking`,
  announce: {
    talks: (name, channel) => `${name} is talking on ${channel}`,
    emergency: (name, channel) => `Emergency on ${channel}: ${name}`,
    onAir: 'You are on air',
    over: 'Nobody is talking',
  },
  recentNone: 'No talks yet',
  missed: 'missed',
  rec: { mark: 'REC', label: 'Recorded', about: 'What is said here is kept for a while, and can be heard again.' },
  replay: {
    of: (name, time) => `Hear ${name} of ${time} again`,
    stop: 'Stop the replay',
    on: 'Replay',
    busy: (name) => `${name} is talking. Hear this one again when it is quiet.`,
    stopped: (name) => `${name} is talking, so the replay stopped.`,
    gone: 'That talk is not kept any more.',
    failed: 'That talk did not come from the box. Try again.',
    unplayable: 'This browser cannot play what was kept. A newer one can.',
  },
  here: (n, asleep) => plural(n, 'person here', 'people here') + (asleep ? `, ${asleep} asleep` : ''),
  unheard: (n) => `${n} unheard`,

  button: {
    idle: 'Hold to talk',
    idleLatch: 'Tap to talk',
    idleSpace: 'or hold the space bar',
    idleLatchSpace: 'or press the space bar',
    pressed: 'Asking …',
    pressedConnecting: 'Connecting the sound …',
    pressedMicrophone: 'Allow the microphone',
    onAir: (time) => `You are on air ${time}`,
    onAirEmergency: (time) => `Emergency on air ${time}`,
    release: 'Let go to end',
    releaseLatch: 'Tap to end',
    left: (s) => `${s} s left`,
    queued: (place) => (place === 1 ? 'You are next' : `${ordinal(place)} in line`),
    queuedHint: (waiting) => (waiting > 1 ? `Keep holding: ${waiting} are waiting` : 'Keep holding'),
    queuedHintLatch: 'Tap to stop waiting',
    hearingHint: 'Hold to ask for the floor',
    hearingHintLatch: 'Tap to ask for the floor',
    offline: 'Not connected',
    offlineHint: 'This page connects again by itself',
    listen: 'Listen only',
    listenMicrophone: 'Press to try the microphone again',
    listenRight: 'You may hear this channel, not talk on it',
    letGo: 'Let the button go',
    closedHint: 'See above',
    noChannel: 'No channel',
    noChannelHint: 'Ask whoever runs the box',
    echo: 'Hold, speak 5 seconds, then hear yourself',
    echoHint: 'Nobody else hears it',
    echoOnAir: (time) => `Speak now ${time}`,
    silenced: (ms) => `Dispatch keeps you silent for ${ms > 60000 ? `${Math.ceil(ms / 60000)} min` : `${Math.ceil(ms / 1000)} s`}`,
    silencedHint: 'You can listen',
  },

  denied: {
    busy: (name) => (name ? `${name} is talking` : 'Someone is talking'),
    queue_full: () => 'The line is full',
    no_right: () => 'You may not talk here',
    release_first: () => 'Let go first',
    not_connected: () => 'The sound is not connected',
    offline: () => 'Not connected',
    microphone: () => 'No microphone',
    silenced: () => 'Dispatch keeps you silent',
    other: () => 'Not now',
    hint: {
      busy: 'Try again when it is quiet',
      queue_full: 'Try again in a moment',
      no_right: 'Ask whoever runs the box',
      release_first: 'Then press again',
      not_connected: 'Connecting again: try in a moment',
      offline: 'This page connects again by itself',
      microphone: 'You can listen',
      silenced: 'You can listen',
      other: 'Try again in a moment',
    },
  },

  revoked: {
    released: 'Your talk ended',
    preempted: 'Someone more urgent is talking',
    talk_limit: 'Your time is up',
    no_media: 'Your microphone is not getting through',
    silence: 'Your microphone went silent',
    disconnected: 'The connection was lost',
    left: 'You left the channel',
    removed: 'You may no longer talk here',
    ended: 'Dispatch ended your talk',
    silenced: 'Dispatch ended your talk and keeps you silent for a while',
    other: 'Your talk was ended',
  },

  silenced: {
    begun: (by, minutes) => `${by} keeps you silent on this channel for ${plural(minutes, 'minute', 'minutes')}. You can listen.`,
    over: 'You may talk again.',
  },

  call: {
    idle: 'Call me',
    waiting: () => 'Called',
    taken: (by) => by,
    label: 'asks the dispatchers to call you',
    asking: 'Asking the dispatchers …',
    waits: 'The dispatchers see your call.',
    hasIt: (by) => `${by} has your call.`,
    cancel: 'Cancel it',
    cancelled: 'Your call is taken back.',
    closed: 'Dispatch has closed your call.',
    offline: 'The box is not reached, so nobody sees a call. Try again when it is.',
  },

  emergency: {
    word: 'Emergency',
    label: 'Emergency: hold for two seconds, then talk',
    holding: 'Keep holding',
    of: (name) => `Emergency: ${name}`,
    yours: 'Your emergency',
    more: (n) => (n ? ` +${n}` : ''),
    seenBy: (names) => (names.length ? `seen by ${names.join(', ')}` : 'no answer yet'),
    raised: 'Your emergency is raised. Everyone on this channel and the dispatchers see it.',
    owed: 'The box is not reached. Your emergency goes out as soon as it is.',
    go: 'Listen',
    seen: 'I see it',
    clear: 'Clear',
    clearSure: 'Really clear?',
  },

  echo: {
    playing: 'You hear yourself',
    playingHint: 'Now, as others hear you',
    good: () => 'Good: that is how others hear you.',
    too_quiet: (db) => `${Math.abs(db)} dB too quiet: come closer to the microphone, or raise its level.`,
    too_loud: (db) => `${Math.abs(db)} dB too loud: step back from the microphone, or lower its level.`,
    nothing_heard: () => 'Nothing was heard: is the microphone on, and is it the right one?',
    bad_network: (db, lost) => `Packets were lost on the way: ${lost} %. Move closer to the Wi-Fi.`,
    unmeasured: () => 'You were heard. This browser does not say how loud.',
  },

  latch: { on: 'Latch on', off: 'Latch', label: 'Latch: tap to talk, tap again to end' },

  away: (ms, channel, missed) => `Back after ${stretch(ms)}. ${missed ? `${plural(missed, 'talk', 'talks')} meanwhile on ${channel}.` : `You are on ${channel} again.`}`,
  removedFrom: (channel) => `You were taken off ${channel}.`,
  notAuthorized: (channel) => `${channel} is not open to you.`,

  about: {
    open: (link, sound, microphone) => `State: ${link} ${sound} ${microphone}`,
    person: (name, role) => (role ? `You are ${name}, ${role}.` : `You are ${name}.`),
    version: (version) => `pttd ${version}`,
    signOut: 'Sign out this device',
    signOutSure: 'Sign out? You need a new invitation',
    dispatch: 'Dispatch page',
    admin: 'Admin page',
    close: 'Close',
  },
};

/** words.signIn.title by the name 'signIn.title', for the page's data-word attributes. */
export const wordAt = (path) => path.split('.').reduce((at, key) => at[key], words);
