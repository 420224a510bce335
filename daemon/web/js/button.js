// What begins and ends a press: fingers, the space bar, the latch, the emergency ring, the headset's button, and the
// page going away under the finger.

export const EMERGENCY_HOLD_MS = 2000;

/** A key that is held: call what this returns at its keydown, with what it begins; `up(reason, begun)` is its end. */
function heldKey(up) {
  let held = null;
  // A Mac tells of no key let go while its command key is down: that one's end, or a second beginning, ends it.
  const release = () => {
    const begun = held?.begun;
    held = null;
    if (begun) up('keyup', begun);
  };
  // On the window: the focus may have moved on while the key was down.
  addEventListener('keyup', (event) => {
    if (!held || (event.key !== held.name && event.key !== 'Meta')) return;
    event.preventDefault();
    release();
  });
  return (event, down) => {
    event.preventDefault();
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    release();
    const begun = down();
    if (begun) held = { name: event.key, begun };
  };
}

/**
 * A button that is held: by a pointer, or by Enter or the space bar on it. `down(source)` returns what the hold began,
 * or null where there is no end to wait for; `up(reason, begun)` is that end, `tap` a click without either.
 */
export function holdable(element, { down, up, tap }) {
  let pointer = null;

  element.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    const begun = down('pointer');
    if (!begun) return;
    pointer = { id: event.pointerId, begun };
    try {
      element.setPointerCapture(event.pointerId);
    } catch {
      // The finger is gone already; its pointerup or pointercancel follows.
    }
  });
  for (const type of ['pointerup', 'pointercancel', 'lostpointercapture']) {
    element.addEventListener(type, (event) => {
      if (event.pointerId !== pointer?.id) return;
      const { begun } = pointer;
      pointer = null;
      up(type, begun);
    });
  }
  const press = heldKey(up);
  element.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.stopPropagation();
    press(event, () => down('key'));
  });
  element.addEventListener('keyup', (event) => {
    if (event.key === 'Enter' || event.key === ' ') event.preventDefault();
  });
  // Screen readers and switches click without a pointer or a key.
  element.addEventListener('click', (event) => {
    if (event.detail === 0) tap();
  });
  // iOS starts its own long press from the touch, not from the pointer.
  element.addEventListener('touchstart', (event) => event.preventDefault(), { passive: false });
}

/** The big button and the space bar. With the latch a tap begins and the next one ends; `level()` is asked at each press. */
export function wireTalkButton(button, press, latched, level = () => 'normal') {
  const toggle = (source) => {
    if (!press.end(source)) press.begin(source, level(), false);
    return null;
  };
  const down = (source) => {
    if (press.active && !press.active.held) {
      press.end('tap');
      return null;
    }
    return latched() ? toggle('tap') : press.begin(source, level(), true);
  };
  const up = (reason, begun) => press.end(reason, begun);
  holdable(button, { down, up, tap: () => toggle('tap') });

  // The space bar talks from anywhere, except where the keyboard has walked to a control of its own.
  const taken = (target) => target.closest?.('input, dialog') || target.matches?.('button:focus-visible');
  const space = heldKey(up);
  addEventListener('keydown', (event) => {
    if (event.key === ' ' && !taken(event.target)) space(event, () => down('space'));
  });
}

/** The emergency key: once it was held for two seconds it raises one and asks for the floor; the ring shows how far it is. */
export function wireEmergency(button, press, latched, { show, raise }) {
  let timer = 0;
  const rest = () => {
    clearTimeout(timer);
    timer = 0;
    show(false);
  };
  const down = (source) => {
    if (press.active?.level === 'emergency') {
      press.end('tap');
      return null;
    }
    if (timer) return null;
    show(true);
    const hold = { press: null };
    timer = setTimeout(() => {
      rest();
      press.end('emergency');
      raise();
      hold.press = press.begin(source, 'emergency', !latched());
    }, EMERGENCY_HOLD_MS);
    return hold;
  };
  const up = (reason, hold) => {
    if (timer) rest();
    else if (hold.press?.held) press.end(reason, hold.press);
  };
  holdable(button, { down, up, tap: () => {} });
  return { rest };
}

/** A page that is hidden, left or covered lets go, whatever held it: a notification shade must not leave a hot microphone. */
export function wireEnds(end) {
  addEventListener('blur', () => end('blur'));
  addEventListener('pagehide', () => end('pagehide'));
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') end('hidden');
  });
  addEventListener('contextmenu', (event) => {
    if (!event.target.closest?.('input')) event.preventDefault();
  });
}

/**
 * The headset's button, where the browser has a media session. It belongs to whoever plays sound, so a silent file
 * runs while we are on air and rests otherwise: 'play' then means talk and 'pause' means let go. It must be
 * this way round: phones also send 'pause' when a headset is pulled out.
 */
export class HeadsetButton {
  #silence = null;

  constructor(press) {
    const session = navigator.mediaSession;
    if (!session) return;
    this.#silence = new Audio('/silence.flac');
    this.#silence.loop = true;
    const actions = {
      // A page nobody looks at must not open the microphone.
      play: () => document.visibilityState === 'visible' && press.begin('headset', 'normal', false),
      pause: () => press.end('headset'),
      stop: () => press.end('headset'),
      hangup: () => press.end('headset'),
    };
    for (const [action, run] of Object.entries(actions)) {
      try {
        session.setActionHandler(action, run);
      } catch {
        // This browser has no such button.
      }
    }
  }

  /** To be called from a tap: the browser gives the button to pages that have played something. */
  async unlock() {
    if (!this.#silence) return;
    await this.#silence.play().catch(() => {});
    this.#silence.pause();
  }

  show(channel, box, onAir) {
    if (!this.#silence) return;
    navigator.mediaSession.metadata = new MediaMetadata({ title: channel, artist: box, artwork: [{ src: '/icons/icon-192.png', sizes: '192x192' }] });
    navigator.mediaSession.playbackState = onAir ? 'playing' : 'paused';
    if (onAir) this.#silence.play().catch(() => {});
    else this.#silence.pause();
  }
}
