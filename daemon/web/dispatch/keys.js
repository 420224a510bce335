// The keyboard of the whole page. What is held talks and lets go with the key; a pedal is a key like any other.

const DIGIT = /^(?:Digit|Numpad)([1-9])$/;

/** Where letters are letters. */
const writes = (target) => target.closest?.('textarea, select, input:not([type="range"], [type="checkbox"])') ?? null;

/**
 * `press`: begin(source) and end(reason, begun). `at(n)`: the id of the nth channel. `on`: select, mute, replay, missed,
 * emergencies, search, escape. `settings`: the talk key, and `learn` while one is asked for.
 */
export function wireKeys({ press, at, on, settings }) {
  const held = new Map();

  const release = (code) => {
    const begun = held.get(code);
    held.delete(code);
    if (begun) press.end('keyup', begun);
  };

  const talk = (event, source) => {
    event.preventDefault();
    if (event.repeat) return;
    // It was let go where nobody told.
    release(event.code);
    const begun = press.begin(source);
    if (begun) held.set(event.code, begun);
  };

  addEventListener('keydown', (event) => {
    if (settings.learning) return settings.learn(event);
    // A control that the keyboard has walked to keeps the keys it needs itself.
    const needsSpace = event.code === 'Space' && event.target.matches?.('button:focus-visible, summary, input');
    if (writes(event.target) && event.key !== 'Escape' && !/^F\d+$/.test(event.code)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.code === settings.talkKey && !needsSpace) return talk(event, 'selected');
    const digit = DIGIT.exec(event.code)?.[1];
    if (digit) {
      const id = at(Number(digit));
      if (!id) return;
      if (!event.shiftKey) return talk(event, `channel:${id}`);
      event.preventDefault();
      if (!event.repeat) on.select(id);
      return;
    }
    if (event.repeat) return;
    const run = { m: on.mute, r: on.replay, n: on.missed, e: on.emergencies, '/': on.search, Escape: on.escape }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!run) return;
    if (event.key !== 'Escape') event.preventDefault();
    run();
  }, true);

  addEventListener('keyup', (event) => {
    // A Mac tells of no key that is let go while the command key is down.
    if (event.key === 'Meta') for (const code of [...held.keys()]) release(code);
    if (!held.has(event.code)) return;
    event.preventDefault();
    release(event.code);
  }, true);

  // What was let go elsewhere is not held here.
  addEventListener('blur', () => held.clear());
}
