// How this device gets in: an invitation's secret admits a device credential, which stays here.

import { within } from './reach.js';

const DEVICE = 'pttd.device';
const NAME = 'pttd.name';
const INVITATION = 'pttd.invitation';
const NEXT = 'pttd.next';
const ANSWER_WITHIN_MS = 10000;

// The credential for the invitation being used; with its mark, and as NEXT in the storage.
let next = '';

/** The secret in an invitation link or in its fragment alone, or null. */
export const secretIn = (text) => /#i=([A-Za-z0-9_-]{22})$/.exec(text.trim())?.[1] ?? null;

/** Takes the secret out of the address bar, so that it is in no history and no screenshot. */
export function takeInvitation() {
  const secret = secretIn(location.hash);
  if (location.hash) history.replaceState(null, '', location.pathname + location.search);
  return secret;
}

/** The credential of this device; null where there is none, or the browser keeps nothing. */
export const storedDevice = () => recall(DEVICE);

/** Whose device this was when the box last said. */
export const storedName = () => recall(NAME);
export const keepName = (name) => remember(NAME, name);

/** False where the browser keeps nothing. `mark`: of the invitation that admitted it. */
export function keepDevice(device, mark = null) {
  erase(NEXT);
  if (mark) remember(INVITATION, mark);
  return remember(DEVICE, device);
}

/** The device's credential is not good any more, so the same link may be tried again. */
export function forgetInvitation() {
  next = '';
  for (const key of [INVITATION, NEXT]) erase(key);
}

export function forgetDevice() {
  forgetInvitation();
  for (const key of [DEVICE, NAME]) erase(key);
}

/** True for the link this device came in by. */
export const usedHere = async (invitation) => recall(DEVICE) !== null && recall(INVITATION) === await markOf(invitation);

/** `{device, mark}` or `{refused: sentence}`; `{}` where the box did not answer. */
export async function redeem(invitation, again = false) {
  const mark = await markOf(invitation);
  const device = credentialFor(mark);
  let answer;
  try {
    const response = await fetch('/api/v1/sign-in', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ invitation, device }),
      cache: 'no-store',
      signal: within(ANSWER_WITHIN_MS),
    });
    answer = await response.json();
  } catch {
    return {};
  }
  // The credential was somebody else's on this device: a new one is as good.
  if (answer.error === 'device_taken' && !again) {
    forgetInvitation();
    return redeem(invitation, true);
  }
  return answer.device ? { device: answer.device, mark } : { refused: answer.message ?? answer.error };
}

// The credential is made here and kept before it is sent: where the box's answer gets lost, the next try shows the same
// one, and the box knows the device it has admitted already.
export function credentialFor(mark) {
  next = recall(NEXT) ?? next;
  if (!next.startsWith(`${mark} `)) {
    next = `${mark} ${base64url(crypto.getRandomValues(new Uint8Array(32)))}`;
    remember(NEXT, next);
  }
  return next.slice(mark.length + 1);
}

// Enough to know an invitation or a poster again, not to use it.
export async function markOf(invitation) {
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(invitation))));
}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

// A browser may keep nothing (a private window, a full disk) and throws when it is asked to.
export function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(key, value);
    return true;
  } catch {
    return false;
  }
}

export function erase(key) {
  try {
    localStorage.removeItem(key);
  } catch {
    // Nothing was kept, so nothing has to go.
  }
}
