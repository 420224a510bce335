// What the three lamps of a radio show, on each page that has some.

import { words } from './words.js';

/** Its PTT line is meant to be keyed. */
export const isOnAir = ({ state }) => ['lead', 'onAir', 'draining', 'tail', 'testTone'].includes(state);

// The TOT's last seconds look like them.
const TOT_NEAR_MS = 10000;
export const nearTot = ({ totLeftMs }) => totLeftMs !== null && totLeftMs <= TOT_NEAR_MS;

// The line is read a moment after it was lowered. What is up for longer than the box needs to lower it stays.
const STAYS_MS = 500;
const upSince = new Map();
function stays(radio) {
  if (!radio.lineKeyed || isOnAir(radio)) return upSince.delete(radio.id) && false;
  const now = performance.now();
  if (!upSince.has(radio.id)) upSince.set(radio.id, now);
  return now - upSince.get(radio.id) >= STAYS_MS;
}

/** `{lamp: [state, shape, words]}`: what the three lamps of a radio show. */
export function lamps(radio) {
  const { squelch, state } = radio;
  const on = isOnAir(radio);
  const opened = { closed: 'off', debounce: 'off', filtering: 'wait', open: 'on', deaf: 'off', stuck: 'bad', heldOff: 'bad' }[squelch] ?? 'off';
  return {
    carrier: radio.carrier ? ['on', 'carrier', words.carrier.up] : ['off', 'idle', words.carrier.down],
    squelch: [opened, { on: 'hearing', wait: 'wait', bad: 'denied', off: 'closed' }[opened], words.squelch[squelch] ?? squelch],
    // A line that is up although nobody keys it is the accident this page is looked at for.
    onAir: stays(radio) ? ['bad', 'emergency', words.air.stays]
      : state === 'lead' ? ['wait', 'wait', words.air.lead]
        : on ? ['on', 'on-air', words.air.on] : ['off', 'idle', words.air.off],
  };
}
