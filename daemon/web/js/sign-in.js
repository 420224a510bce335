// How this device gets in: an invitation's secret becomes a device credential, which stays here.

const DEVICE = 'pttd.device';
const INVITATION = 'pttd.invitation';
const NAME = 'pttd.name';

/** The secret in an invitation link or in its fragment alone, or null. */
export const secretIn = (text) => /#i=([A-Za-z0-9_-]{22})$/.exec(text.trim())?.[1] ?? null;

/** Takes the secret out of the address bar, so that it is in no history and no screenshot. */
export function takeInvitation() {
  const secret = secretIn(location.hash);
  if (location.hash) history.replaceState(null, '', location.pathname + location.search);
  return secret;
}

/** The credential of this device. Throws nothing: a browser that keeps nothing has none. */
export function storedDevice() {
  try {
    return localStorage.getItem(DEVICE);
  } catch {
    return null;
  }
}

/** Whose device this was when the box last said. */
export function storedName() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

export function keepName(name) {
  try {
    localStorage.setItem(NAME, name);
  } catch {
    // Then it is not called by a name.
  }
}

/** False where the browser keeps nothing. */
export function keepDevice(device, invitation = null) {
  try {
    localStorage.setItem(DEVICE, device);
    if (invitation) localStorage.setItem(INVITATION, invitation);
    return true;
  } catch {
    return false;
  }
}

/** The device's credential is not good any more, so the same link may be tried again. */
export function forgetInvitation() {
  try {
    localStorage.removeItem(INVITATION);
  } catch {
    // Nothing was kept, so nothing has to go.
  }
}

export function forgetDevice() {
  forgetInvitation();
  try {
    localStorage.removeItem(DEVICE);
    localStorage.removeItem(NAME);
  } catch {
    // Nothing was kept, so nothing has to go.
  }
}

/** A link opened twice on one device must not use the invitation up twice. */
export function usedHere(invitation) {
  try {
    return localStorage.getItem(INVITATION) === invitation && localStorage.getItem(DEVICE) !== null;
  } catch {
    return false;
  }
}

/** `{device}` or `{refused: sentence}`; `{}` where the box did not answer. */
export async function redeem(invitation) {
  let answer;
  try {
    const response = await fetch('/api/v1/sign-in', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ invitation }),
      cache: 'no-store',
    });
    answer = await response.json();
  } catch {
    return {};
  }
  return answer.device ? { device: answer.device } : { refused: answer.message ?? answer.error };
}
