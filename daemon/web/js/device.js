// The device under the page: its screen, its vibration, and whether anyone looks at it.

/** Keeps the screen on while the page is looked at. Where it is not allowed (a low battery), the page works without. */
export function keepScreenOn() {
  const take = () => {
    if (document.visibilityState === 'visible') navigator.wakeLock?.request('screen').catch(() => {});
  };
  document.addEventListener('visibilitychange', take);
  take();
}

export const vibrate = (...pattern) => navigator.vibrate?.(pattern);

/** Tells when the page is hidden and, when it is looked at again, for how long it was not. */
export function watchAttention({ hidden, shown, networkBack }) {
  let since = null;
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') {
      since = Date.now();
      hidden();
    } else {
      shown(since === null ? 0 : Date.now() - since);
      since = null;
    }
  });
  // A page that comes back from the browser's cache has lost its connections without a word.
  addEventListener('pageshow', (event) => {
    if (event.persisted) shown(0);
  });
  addEventListener('online', networkBack);
}
