// Every word of the join page, in one place so that another language is one more file like this.

export const words = {
  title: 'Join',
  starting: 'One moment …',
  code: {
    title: 'Join by a poster',
    label: 'Code on the poster',
    hint: 'Below the square code. Dashes and capital letters do not matter.',
    go: 'Go on',
  },
  name: {
    label: 'Your name',
    hint: 'The others read it when you talk.',
    hintApproval: 'The others read it when you talk. Somebody lets you in.',
    join: 'Join',
    asking: 'Joining …',
    ask: 'Ask to join',
  },
  known: {
    words: (name) => (name ? `This phone is in already, as ${name}.` : 'This phone is in already.'),
    open: 'Open the talk page',
    another: 'Join under another name',
  },
  waiting: {
    title: 'Waiting to be let in',
    name: (name) => `You are ${name}.`,
    words: 'Somebody at the desk sees your name now. Keep this page open: it goes on by itself.',
    since: (minutes) => (minutes < 1 ? 'Waiting for less than a minute' : `Waiting for ${minutes} min`),
    rename: 'Change my name',
  },
  joined: 'You are in',
  retry: 'Try again',
  unreachable: 'The box does not answer. Check that this phone is on its Wi-Fi. Trying again …',
  notSent: 'The box did not answer. Check that this phone is on its Wi-Fi, then tap again.',
  keepsNothing: 'This browser keeps nothing for this page. Leave private mode, then scan the poster again.',
};

export const wordAt = (path) => path.split('.').reduce((at, key) => at[key], words);
