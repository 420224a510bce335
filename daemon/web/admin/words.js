// Every word the admin page says, in one place so that another language is one more file like this.

const plural = (n, one, many) => `${n} ${n === 1 ? one : many}`;
const sameDay = (a, b) => a.toDateString() === b.toDateString();
const time = { hour: '2-digit', minute: '2-digit' };
const day = { weekday: 'short', day: 'numeric', month: 'short' };

/** The time of day, as this device's owner writes it. */
const timeOfDay = (ms) => new Date(ms).toLocaleTimeString([], time);
const withSeconds = (ms) => new Date(ms).toLocaleTimeString([], { ...time, second: '2-digit' });

/** A moment: the time alone where it is today. */
function moment(ms, seconds = false) {
  const at = new Date(ms);
  const clock = seconds ? withSeconds(ms) : timeOfDay(ms);
  if (sameDay(at, new Date())) return seconds ? clock : `today ${clock}`;
  const year = at.getFullYear() === new Date().getFullYear() ? {} : { year: 'numeric' };
  return `${at.toLocaleDateString([], { ...day, ...year })}, ${clock}`;
}

const hours = (n) => (n < 48 ? plural(n, 'hour', 'hours') : plural(Math.round(n / 24), 'day', 'days'));

function stretch(seconds) {
  if (seconds < 90) return plural(Math.round(seconds), 'second', 'seconds');
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return plural(minutes, 'minute', 'minutes');
  return hours(Math.round(minutes / 60));
}

function bytes(n) {
  const unit = n < 1024 ** 2 ? ['KiB', 1024] : n < 1024 ** 3 ? ['MiB', 1024 ** 2] : ['GiB', 1024 ** 3];
  return `${(n / unit[1]).toFixed(n / unit[1] < 10 && n > 0 ? 1 : 0)} ${unit[0]}`;
}

const record = (text) => {
  if (text === 'off') return 'Not recorded';
  const n = Number.parseInt(text, 10);
  if (text.endsWith('d')) return `Kept ${plural(n, 'day', 'days')}`;
  return n % 60 === 0 ? `Last ${plural(n / 60, 'hour', 'hours')}` : `Last ${plural(n, 'minute', 'minutes')}`;
};

export const words = {
  title: (box) => `Admin · ${box}`,
  of: (what, whose) => `${what}: ${whose}`,
  does: (word, name) => `${word} ${name}`,
  sure: (word, name) => `${word} ${name}?`,
  search: 'Search',
  remove: 'Remove',
  save: 'Save',
  again: 'Try again',
  waiting: (n) => `${n} waiting`,
  timeOfDay,
  moment,
  hours,
  stretch,
  bytes,
  exactly: (ms) => new Date(ms).toLocaleString(),
  shortly: (ms) => (sameDay(new Date(ms), new Date()) ? withSeconds(ms) : moment(ms)),
  fileName: (row) => `${row.channelName} ${new Date(row.began).toISOString().slice(0, 19).replaceAll(':', '-')} ${row.name}.ogg`.replace(/[/\\]/g, '-'),

  shell: {
    starting: 'Asking the box …',
    admin: 'Admin',
    sections: 'Sections',
    logBeside: 'Log',
    radioPage: 'Radios',
    talkPage: 'Talk page',
  },
  tabs: {
    people: 'People',
    channels: 'Channels',
    sessions: 'Sessions',
    devices: 'Devices',
    invitations: 'Invitations',
    'roll-call': 'Roll call',
    posters: 'Posters',
    recordings: 'Recordings',
    log: 'Log',
    health: 'Health',
  },
  gate: {
    signedOut: 'This device is not signed in on this box. Open your invitation link on it, then come back to this page.',
    noAdmin: (name) => `You are signed in as ${name}, who is no admin of this box. Ask an admin to make you one, then reload this page.`,
    setUpFirst: 'This box has no admin yet. Set it up with the code on its console.',
    setUp: 'Set up this box',
    talk: 'Go to the talk page',
  },
  errors: {
    unreachable: 'The box does not answer. Check that this device is on its network. Trying again …',
    refused: (status) => `The box refused this (${status}). Reload the page, then try again.`,
  },
  ask: {
    keep: 'Keep',
    cancel: 'Cancel',
    close: 'Close',
    fill: (name) => `${name}: fill this in, within its bounds.`,
  },
  table: {
    notFound: 'Nothing here has all of these words.',
    more: (name) => `More about ${name}`,
    keys: 'What can be done',
    understood: 'Understood',
    showMore: (n) => `Show ${n} more`,
  },

  role: { user: 'User', dispatch: 'Dispatch', admin: 'Admin' },
  rights: { none: 'None', listen: 'Listen', talk: 'Talk' },
  level: { normal: '', dispatch: 'Dispatch call', imminent: 'Imminent danger', emergency: 'Emergency' },
  policy: { preempt: 'Urgent ones cut in', queue: 'Everyone waits in line', deny: 'Busy is busy' },
  record: {
    of: record,
    usual: ['off', '30m', '120m', '1440m', '7d', '30d'],
    other: 'Other …',
    howMany: 'Keep the last',
    unit: 'of',
    units: { m: 'minutes', d: 'days' },
  },

  people: {
    name: 'Name',
    role: 'Role',
    emergency: 'Emergency',
    ends: 'Guest until',
    noEnd: 'no end',
    someone: 'The new person',
    count: (n) => plural(n, 'person', 'people'),
    none: 'Nobody is on this box yet. Add the first person.',
    rightOf: (name, channel) => `${name} on ${channel}`,
    channelsOf: (name, n) => `${name} is on ${plural(n, 'channel', 'channels')}: change`,
    channelsTitle: (name) => `Channels of ${name}`,
    key: [[['talk', 'microphone'], 'may talk'], [['listen', 'hearing'], 'only listens'], [['none', 'none'], 'not on the channel']],
    invite: 'Invite',
    giveUpTitle: 'Give up your own admin rights?',
    giveUpSentence: 'This page closes for you at once. Only another admin, or the console of the box, can give them back.',
    giveUpGo: 'Give them up',
    removeSentence: (name) => `${name} is cut off at once, on every device, and needs to be added and invited anew to come back. What they said stays in the recordings.`,
    add: 'Add a person',
    addTitle: 'Add a person',
    addGo: 'Add and invite',
    endsHint: 'Leave empty: no end',
    mayRaise: 'May raise an emergency',
    everywhere: 'On every channel',
    choose: 'Choose …',
  },
  invite: {
    go: 'Make an invitation',
    hours: 'The link is good for',
    devices: 'It lets in',
    spans: [['1', '1 hour'], ['8', '8 hours'], ['24', '24 hours'], ['72', '3 days'], ['168', '7 days'], ['720', '30 days']],
    forDevices: (n) => plural(n, 'device', 'devices'),
  },
  card: {
    title: (name) => `Invitation for ${name}`,
    link: 'Invitation link',
    qr: (name) => `Code that signs ${name} in`,
    scan: 'Join the Wi-Fi of the event, then scan this with the camera.',
    until: (until, devices) => `For ${devices === 1 ? 'one device' : `${devices} devices`}, until ${until}. Not for anybody else.`,
    once: 'The link is shown only now: print it, copy it or let it be scanned before closing.',
    copy: 'Copy the link',
    copied: 'Copied.',
    copyYourself: 'The browser does not let this page copy. The link is marked: copy it yourself.',
    print: 'Print',
  },
  channels: {
    name: 'Name',
    group: 'Group',
    members: 'Members',
    record: 'Recording',
    policy: 'When it is busy',
    queue: 'Queue',
    limit: 'Talk limit, s',
    echo: 'Echo',
    count: (n) => plural(n, 'channel', 'channels'),
    none: 'There is no channel yet. Add the first one.',
    queueOf: (name) => `How many may wait on ${name}, 0 to 32`,
    limitOf: (name) => `Longest talk on ${name} in seconds, 5 to 600`,
    echoHint: 'Echo: whoever talks here hears themselves, and nobody else',
    membersCount: (n) => plural(n, 'member', 'members'),
    membersOf: (name, n) => `${plural(n, 'member', 'members')} of ${name}`,
    membersTitle: (name) => `Members of ${name}`,
    everyone: 'Everyone shown below',
    groupHint: 'Pages show channels of one group together',
    add: 'Add a channel',
    addTitle: 'Add a channel',
    addGo: 'Add',
    removeSentence: (name, n) => `Whoever talks on ${name} is cut off at once, and ${plural(n, 'member loses', 'members lose')} the channel.`,
  },
  sessions: {
    name: 'Who',
    presence: 'State',
    presenceOf: { awake: 'Connected', asleep: 'Screen off', lost: 'Reconnecting' },
    address: 'From',
    since: 'Since',
    position: 'Position',
    channelState: { talking: 'on air', connecting: 'connecting', muted: 'muted', hears: '' },
    count: (n) => plural(n, 'session', 'sessions'),
    none: 'Nobody is connected.',
    kick: 'Kick',
    kickSentence: (name, from) => `The session of ${name} from ${from} ends at once. The device may connect again: to keep it out, lock it out under Devices.`,
  },
  devices: {
    name: 'Whose',
    id: 'Device',
    since: 'Let in',
    by: 'Came with',
    token: 'a token',
    invitation: 'an invitation',
    now: 'Now',
    count: (n) => plural(n, 'device', 'devices'),
    none: 'No device was let in yet. Invite somebody.',
    lockOut: 'Lock out',
    of: (name) => `the device of ${name}`,
    lockSentence: (name) => `It is cut off at once and never let in again. ${name} stays on the box and may come back with a new invitation.`,
  },
  invitations: {
    name: 'For',
    ends: 'Good until',
    devices: 'Devices',
    used: (used, of) => `${used} of ${of} used`,
    count: (n) => plural(n, 'invitation', 'invitations'),
    none: 'No invitation is open. Invite somebody under People.',
    withdraw: 'Withdraw',
    of: (name) => `the invitation for ${name}`,
    withdrawSentence: 'The link lets no more device in. Devices it has let in stay.',
  },
  rollCall: {
    name: 'Who',
    heard: 'Heard',
    at: (at) => `at ${at}`,
    notYet: 'not yet today',
    level: 'Level',
    levelOf: {
      good: (db) => `good: ${words.db(db)}`,
      quiet: (db) => `quiet: ${words.db(db)}`,
      loud: (db) => `too loud: ${words.db(db)}`,
      unknown: () => 'level not told',
    },
    lost: 'Lost',
    lostOf: (percent) => (percent < 0.05 ? 'nothing lost' : `${percent < 10 ? Number(percent.toFixed(1)) : Math.round(percent)} % lost`),
    talks: 'Talked',
    talked: (n, seconds) => (n ? `${plural(n, 'time', 'times')}, ${stretch(seconds)}` : ''),
    now: 'Now',
    online: 'Connected',
    offline: 'Not here',
    show: 'Show',
    which: { all: 'Everyone', missing: 'Not heard yet', heard: 'Heard', weak: 'Heard badly' },
    print: 'Print',
    paper: (box, at) => `Roll call · ${box} · ${at}`,
    summary: (heard, of) => (heard === of ? `All ${of} were heard today.` : `${heard} of ${plural(of, 'person was', 'people were')} heard today, ${of - heard} not yet.`),
    none: 'Nobody belongs here.',
  },
  posters: {
    waiting: 'Waiting to be let in',
    nobodyWaits: 'Nobody is waiting.',
    who: 'Who',
    by: 'Came by',
    since: 'Since',
    admit: 'Let in',
    turnAway: 'Turn away',
    hanging: 'Posters',
    name: 'Poster',
    nameHint: 'What it says on top, such as Volunteers',
    used: 'Came in',
    usedOf: (used, limit) => `${used} of ${limit}`,
    ends: 'Good until',
    guests: 'Guests stay',
    approval: 'Door',
    asks: 'asks you first',
    open: 'open',
    approvalHint: 'Somebody has to let each person in, here or on the dispatch page',
    hangs: 'The poster is good for',
    wifi: 'Wi-Fi name',
    wifiHint: 'Printed with its own code; leave empty for none',
    password: 'Wi-Fi password',
    passwordHint: 'Leave empty for an open network',
    limit: 'Most people',
    guest: 'Guests',
    guestsHear: 'Its guests’ channels',
    count: (n) => plural(n, 'poster', 'posters'),
    none: 'No poster hangs. Make one: whoever scans it types a name and is in.',
    sheet: 'Print sheet',
    add: 'Make a poster',
    addTitle: 'Make a poster',
    addGo: 'Make it',
    removeSentence: 'It lets nobody in any more. Who came in by it stays.',
  },
  recordings: {
    when: 'When',
    channel: 'Channel',
    talker: 'Talker',
    sound: 'Sound',
    duration: 'Length',
    ended: 'Ended',
    after: 'From',
    before: 'To',
    search: 'Search',
    everyChannel: 'Every channel',
    everyone: 'Everyone',
    play: 'Play',
    stop: 'Stop',
    download: 'Download',
    cannotPlay: 'This browser does not play Ogg Opus. Download the recording and play it elsewhere.',
    older: 'Show older ones',
    none: 'No recording fits. You hear those of channels you are on yourself; how long they are kept stands under Channels.',
    incomplete: (dropped) => (dropped ? `${plural(dropped, 'packet', 'packets')} missing` : 'incomplete'),
    reasons: {
      released: 'let go', preempted: 'cut in on', talk_limit: 'talk limit', no_media: 'no sound came', silence: 'went silent',
      disconnected: 'connection lost', left: 'left the channel', removed: 'taken off', ended: 'ended by dispatch', silenced: 'silenced by dispatch',
    },
  },
  log: {
    search: 'Search the log',
    by: (who, from) => [who, from].filter(Boolean).join(' · '),
    older: 'Show older entries',
    none: 'The log has nothing of the kind.',
  },
  health: {
    well: 'All is well',
    problems: (n) => plural(n, 'problem', 'problems'),
    name: 'Box',
    version: 'Version',
    uptime: 'Up for',
    sessions: 'Sessions',
    talks: 'Talking now',
    disk: 'Free on disk',
    recordings: 'Recordings',
    unknown: 'not known',
    limits: 'Limits',
    limitOf: {
      userChannels: 'Channels of a user', dispatchChannels: 'Channels of a dispatcher', channels: 'Channels', channelMembers: 'Members of a channel', userSessions: 'Sessions of a user',
    },
  },

  db: (value) => `${value < 0 ? '−' : ''}${Math.abs(Math.round(value))} dB`,

  setUp: {
    title: 'Set up this box',
    intro: 'The code stands on the console of the box, where it was started for the first time, and in its journal. Whoever enters it becomes the first admin.',
    code: 'Code',
    codeHint: 'Ten letters and digits, as XXXXX-XXXXX',
    name: 'Your name',
    nameHint: 'What the others read when you talk',
    go: 'Become the admin',
    asking: 'Asking the box …',
    notACode: 'That is not a set-up code. It has ten letters and digits, as XXXXX-XXXXX.',
    noName: 'Type your name: the others read it when you talk.',
    over: 'This box is set up: it has an admin. Ask them for an invitation; if this device is theirs, go to the admin page.',
    admin: 'Go to the admin page',
    talk: 'Go to the talk page',
    storage: 'This browser keeps nothing (a private window?), so the box would not know you after a reload. Open this page in an ordinary window.',
    noBox: 'The box does not answer. Check that this device is on its network, then try again.',
  },
};
